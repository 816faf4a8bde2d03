import { MillraceError } from "../base/errors.ts";
import { AdminService } from "../protocol/methods.ts";
import {
  AddPartitionsRequest,
  AddPartitionsResponse,
  AlterClusterConfigsRequest,
  AlterClusterConfigsResponse,
  AlterTopicRequest,
  AlterTopicResponse,
  type ConfigEntry,
  CreateTopicRequest,
  CreateTopicResponse,
  DeleteTopicRequest,
  DeleteTopicResponse,
  DescribeClusterRequest,
  DescribeClusterResponse,
  GetClusterHealthRequest,
  GetClusterHealthResponse,
  ListClusterConfigsRequest,
  ListClusterConfigsResponse,
  ListTopicsRequest,
  ListTopicsResponse,
  type PartitionOffsets,
  type TopicDescription,
  type TopicListing,
  TransferLeaderRequest,
  TransferLeaderResponse,
  TrimTopicRequest,
  TrimTopicResponse,
} from "../protocol/public.ts";
import { errorOf } from "../protocol/rpc-status.ts";
import { AdminCalls, type AdminOptions } from "./admin-calls.ts";
import { listOffsets } from "./consumer/locate.ts";
import type { ClientCore } from "./core.ts";
import { describeTopics } from "./describe-topics.ts";
import { GroupAdmin } from "./group-admin.ts";
import { TopicIdsObeyed } from "./topic-ids-obeyed.ts";

export interface NewTopic {
  readonly name: string;
  /** Default 1. */
  readonly partitions?: number | undefined;
  /** Default min(3, live brokers). */
  readonly replicas?: number | undefined;
  readonly configs?: Readonly<Record<string, string>> | undefined;
  /** Checks everything, records nothing. */
  readonly validateOnly?: boolean | undefined;
}

/** What of a partition is to go. */
export interface TrimOf {
  readonly partition: number;
  /** Records below it; undefined: all that are committed. */
  readonly before: number | undefined;
}

export interface TrimmedPartition {
  readonly partition: number;
  /** What is readable begins here. */
  readonly logStartOffset: number;
  readonly highWatermark: number;
  /** False: the log began there before, or later. */
  readonly moved: boolean;
  /** Why this partition could not be trimmed; the numbers mean nothing then. */
  readonly error: MillraceError | undefined;
}

export interface TopicOptions extends AdminOptions {
  /**
   * When given, the topic must have it: what was read of one topic says nothing of another that was made under its name since. A change that gives
   * it is refused with UNSUPPORTED_FEATURE_LEVEL while a broker of before, which would pass over it, may take the call (`obeysTopicIds`).
   */
  readonly topicId?: string | undefined;
}

/** All or none. */
export interface ConfigChange {
  readonly set?: Readonly<Record<string, string>>;
  /** Keys that go back to their default. */
  readonly reset?: readonly string[];
  /** Checks everything, changes nothing. */
  readonly validateOnly?: boolean | undefined;
}

/** Topics, partitions, consumer groups and the cluster. Changes whose outcome is unknown are not repeated: describe, and see. */
export class Admin {
  readonly #core: ClientCore;
  readonly #calls: AdminCalls;
  readonly #ids: TopicIdsObeyed;
  /** Consumer groups and their offsets. */
  readonly groups: GroupAdmin;

  /** @param defaults for calls that do not say */
  constructor(core: ClientCore, defaults: AdminOptions = {}) {
    this.#core = core;
    this.#calls = new AdminCalls(core.calls, defaults);
    this.#ids = new TopicIdsObeyed(this.#calls, core.ports.clock);
    this.groups = new GroupAdmin(this.#calls);
  }

  /** @returns undefined with `validateOnly` @throws {MillraceError} TOPIC_EXISTS, INVALID_NAME, INVALID_CONFIG, INSUFFICIENT_BROKERS … */
  async createTopic(topic: NewTopic, options: AdminOptions = {}): Promise<TopicDescription | undefined> {
    const { name, partitions, replicas, configs, validateOnly } = topic;
    const request = CreateTopicRequest.encode({ name, partitions, replicas, configs: mapOf(configs), validateOnly });
    const reply = await this.#calls.change(AdminService.CreateTopic.path, request, options);
    return CreateTopicResponse.decode(reply).topic;
  }

  /**
   * @param names none: all topics
   * @param options `latest`: as recorded now, also where the broker that answers has not heard of it yet
   * @throws {MillraceError} UNKNOWN_TOPIC
   */
  async describeTopics(
    names: readonly string[] = [],
    options: AdminOptions & { readonly latest?: boolean } = {},
  ): Promise<readonly TopicDescription[]> {
    return describeTopics(this.#core.calls, names, { ...this.#calls.limits(options), latest: options.latest });
  }

  /** By name. */
  async listTopics(options: AdminOptions = {}): Promise<readonly TopicListing[]> {
    return ListTopicsResponse.decode(await this.#calls.read(AdminService.ListTopics.path, ListTopicsRequest.encode({}), options)).topics;
  }

  /** Sets configuration keys, and puts those in `reset` back to their default; all or none. @throws {MillraceError} UNKNOWN_TOPIC … */
  async alterTopic(name: string, change: ConfigChange, options: TopicOptions = {}): Promise<readonly ConfigEntry[]> {
    const left = await this.#ids.demand(`alter topic ${name}`, options.topicId, options);
    const { set, reset, validateOnly } = change;
    const request = AlterTopicRequest.encode({ name, set: mapOf(set), delete: reset, validateOnly, topicId: options.topicId });
    return AlterTopicResponse.decode(await this.#calls.change(AdminService.AlterTopic.path, request, left)).configs;
  }

  /**
   * Raises the number of partitions to `partitions`; the number there is already changes nothing. Keys are spread anew: records of one
   * key written before and after may lie in different partitions.
   *
   * @throws {MillraceError} INVALID_REQUEST when the topic has more, UNKNOWN_TOPIC, INSUFFICIENT_BROKERS …
   */
  async addPartitions(
    name: string,
    partitions: number,
    options: TopicOptions & { readonly validateOnly?: boolean | undefined } = {},
  ): Promise<TopicDescription | undefined> {
    const { validateOnly, topicId } = options;
    const left = await this.#ids.demand(`add partitions to topic ${name}`, topicId, options);
    const request = AddPartitionsRequest.encode({ name, partitions, validateOnly, topicId });
    const reply = await this.#calls.change(AdminService.AddPartitions.path, request, left);
    this.#core.metadata.refresh(name);
    return AddPartitionsResponse.decode(reply).topic;
  }

  /**
   * Deletes the records below an offset, of each partition for itself: one that failed has its `error`. Answered when no replica serves
   * them any more. Below the log start offset nothing changes, and `moved` is false.
   *
   * @param trims `before` undefined: all that are committed now
   * @param options `topicId`: offsets that were read of one topic are none of another
   */
  async trimTopic(name: string, trims: readonly TrimOf[], options: TopicOptions = {}): Promise<readonly TrimmedPartition[]> {
    const left = await this.#ids.demand(`trim topic ${name}`, options.topicId, options);
    const partitions = trims.map(({ partition, before }) => ({ partition, beforeOffset: before ?? -1 }));
    const reply = await this.#calls.change(
      AdminService.TrimTopic.path,
      TrimTopicRequest.encode({ name, partitions, topicId: options.topicId }),
      left,
    );
    return TrimTopicResponse.decode(reply).partitions.map(({ error, ...trimmed }) => ({
      ...trimmed,
      error: error === undefined ? undefined : (errorOf(error) ?? new MillraceError("CONNECTION_LOST", error.message)),
    }));
  }

  /** @param topicId when given, must be the topic's @throws {MillraceError} UNKNOWN_TOPIC */
  async deleteTopic(name: string, topicId?: string, options: AdminOptions = {}): Promise<void> {
    const reply = await this.#calls.change(AdminService.DeleteTopic.path, DeleteTopicRequest.encode({ name, topicId }), options);
    DeleteTopicResponse.decode(reply);
    this.#core.metadata.forget(name);
  }

  /** Every broker obeys `topicId` of a change. False while brokers of two versions meet, and then true for good. */
  obeysTopicIds(options: AdminOptions = {}): Promise<boolean> {
    return this.#ids.obeyed(options);
  }

  async describeCluster(options: AdminOptions = {}): Promise<DescribeClusterResponse> {
    return DescribeClusterResponse.decode(
      await this.#calls.read(AdminService.DescribeCluster.path, DescribeClusterRequest.encode({}), options),
    );
  }

  async clusterHealth(options: AdminOptions = {}): Promise<GetClusterHealthResponse> {
    return GetClusterHealthResponse.decode(
      await this.#calls.read(AdminService.GetClusterHealth.path, GetClusterHealthRequest.encode({}), options),
    );
  }

  /** Settings that topics get when they have none of their own, each with its default or the cluster's value. */
  async clusterConfigs(options: AdminOptions = {}): Promise<readonly ConfigEntry[]> {
    const reply = await this.#calls.read(AdminService.ListClusterConfigs.path, ListClusterConfigsRequest.encode({}), options);
    return ListClusterConfigsResponse.decode(reply).configs;
  }

  /** Changes what topics get when they have no setting of their own; takes effect at once. @throws {MillraceError} INVALID_CONFIG */
  async alterClusterConfigs(change: ConfigChange, options: AdminOptions = {}): Promise<readonly ConfigEntry[]> {
    const request = AlterClusterConfigsRequest.encode({
      set: mapOf(change.set),
      delete: change.reset,
      validateOnly: change.validateOnly,
    });
    return AlterClusterConfigsResponse.decode(await this.#calls.change(AdminService.AlterClusterConfigs.path, request, options)).configs;
  }

  /** @param toBrokerId absent: whichever in-sync replica is furthest @throws {MillraceError} TRANSFER_FAILED */
  async transferLeader(topic: string, partition: number, toBrokerId?: number, options: TopicOptions = {}): Promise<TransferLeaderResponse> {
    const left = await this.#ids.demand(`transfer the leader of topic ${topic}`, options.topicId, options);
    const request = TransferLeaderRequest.encode({ topic, partition, toBrokerId, topicId: options.topicId });
    return TransferLeaderResponse.decode(await this.#calls.change(AdminService.TransferLeader.path, request, left));
  }

  /**
   * Where partitions begin and end and, with `timeMs`, their first record of that time or a later one. Linearizable.
   *
   * @param partitions none: all of which a leader answers now; those that are named are waited for
   * @throws {MillraceError} UNKNOWN_TOPIC …
   */
  async listOffsets(
    topic: string,
    partitions: readonly number[] = [],
    options: TopicOptions & { readonly timeMs?: number } = {},
  ): Promise<readonly PartitionOffsets[]> {
    const { timeMs, topicId } = options;
    const found = await listOffsets(this.#core, { topic, topicId }, partitions, timeMs, this.#calls.limits(options).timeoutMs);
    return [...found.values()].sort((a, b) => a.partition - b.partition);
  }
}

function mapOf(entries: Readonly<Record<string, string>> | undefined): ReadonlyMap<string, string> | undefined {
  return entries === undefined ? undefined : new Map(Object.entries(entries));
}
