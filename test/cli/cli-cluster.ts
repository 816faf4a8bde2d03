import { MillraceError } from "../../src/base/errors.ts";
import { describeTopicConfig, refuseTopicConfig, refuseTopicConfigKey, topicConfigKeys } from "../../src/cluster/topic-config.ts";
import { AdminService, LogService } from "../../src/protocol/methods.ts";
import {
  AddPartitionsRequest,
  AddPartitionsResponse,
  AlterClusterConfigsRequest,
  AlterClusterConfigsResponse,
  AlterTopicRequest,
  AlterTopicResponse,
  ConfigSource,
  CreateTopicRequest,
  CreateTopicResponse,
  DeleteTopicRequest,
  DeleteTopicResponse,
  DescribeTopicsRequest,
  DescribeTopicsResponse,
  FetchRequest,
  FetchResponse,
  GetClusterHealthResponse,
  ListClusterConfigsResponse,
  ListTopicsResponse,
  TransferLeaderRequest,
  TransferLeaderResponse,
  TrimTopicRequest,
  TrimTopicResponse,
} from "../../src/protocol/public.ts";
import { statusOf } from "../../src/protocol/rpc-status.ts";
import { records } from "../../src/records/log-record.ts";
import { RecordSetBuilder } from "../../src/records/record-set-builder.ts";
import { FakeCluster } from "../client/fake/cluster.ts";

/** What a broker does to the records it serves: for `check` to find. */
export type Lie = "forgets" | "changes";

/** The fake of the client's tests with the calls that only the command line makes. */
export class CliCluster extends FakeCluster {
  readonly lies = new Map<string, Lie>();
  /** What happens once, before a call of this path is answered. */
  readonly before = new Map<string, () => void>();
  /** Answers of calls this fake knows nothing of. */
  readonly scripted = new Map<string, (request: Uint8Array) => Uint8Array>();
  readonly #configs = new Map<string, Map<string, string>>();
  readonly #clusterConfigs = new Map<string, string>();

  /** @param address of the broker that is asked */
  answerAt(address: string, path: string, request: Uint8Array): Uint8Array {
    const first = this.before.get(path);
    this.before.delete(path);
    first?.();
    const scripted = this.scripted.get(path);
    if (scripted !== undefined) return scripted(request);
    switch (path) {
      case AdminService.CreateTopic.path:
        return this.#create(CreateTopicRequest.decode(request));
      case AdminService.DescribeTopics.path: {
        const { topics } = DescribeTopicsResponse.decode(super.answer(path, request));
        return DescribeTopicsResponse.encode({ topics: topics.map((topic) => ({ ...topic, configs: this.#configsOf(topic.name) })) });
      }
      case AdminService.AlterTopic.path:
        return this.#alter(AlterTopicRequest.decode(request));
      case AdminService.AddPartitions.path:
        return this.#grow(AddPartitionsRequest.decode(request));
      case AdminService.ListClusterConfigs.path:
        return ListClusterConfigsResponse.encode({ configs: entries(new Map(), this.#clusterConfigs) });
      case AdminService.AlterClusterConfigs.path: {
        const change = AlterClusterConfigsRequest.decode(request);
        changeConfigs(this.#clusterConfigs, change);
        return AlterClusterConfigsResponse.encode({ configs: entries(new Map(), this.#clusterConfigs) });
      }
      case AdminService.ListTopics.path:
        return ListTopicsResponse.encode({
          topics: [...this.topics].map(([name, logs]) => ({ name, partitions: logs.length, replicas: 1 })),
        });
      case AdminService.DeleteTopic.path:
        return this.#delete(DeleteTopicRequest.decode(request));
      case AdminService.GetClusterHealth.path:
        return GetClusterHealthResponse.encode({ healthy: true, brokersLive: 1, brokersKnown: 1, partitions: this.topics.size });
      case AdminService.TransferLeader.path:
        return this.#transfer(TransferLeaderRequest.decode(request));
      case AdminService.TrimTopic.path:
        return this.#trim(TrimTopicRequest.decode(request));
      case LogService.Fetch.path:
        return this.#fetch(address, FetchRequest.decode(request));
      default:
        return super.answer(path, request);
    }
  }

  #create({ name, partitions, configs }: CreateTopicRequest): Uint8Array {
    this.addTopic(name, partitions);
    this.#configs.set(name, new Map(configs));
    const described = super.answer(AdminService.DescribeTopics.path, DescribeTopicsRequest.encode({ names: [name] }));
    const [topic] = DescribeTopicsResponse.decode(described).topics;
    return CreateTopicResponse.encode(topic === undefined ? {} : { topic });
  }

  #alter(request: AlterTopicRequest): Uint8Array {
    this.logs(request.name, request.topicId);
    const configs = this.#configs.get(request.name) ?? new Map<string, string>();
    changeConfigs(configs, request);
    this.#configs.set(request.name, configs);
    return AlterTopicResponse.encode({ configs: this.#configsOf(request.name) });
  }

  #configsOf(topic: string) {
    return entries(this.#configs.get(topic) ?? new Map(), this.#clusterConfigs);
  }

  #grow({ name, partitions, validateOnly, topicId }: AddPartitionsRequest): Uint8Array {
    const present = this.logs(name, topicId).length;
    if (partitions < present) throw new MillraceError("INVALID_REQUEST", `Cannot make ${name} smaller: it has ${present}`);
    if (!validateOnly) this.grow(name, partitions);
    const described = super.answer(AdminService.DescribeTopics.path, DescribeTopicsRequest.encode({ names: [name] }));
    const [topic] = DescribeTopicsResponse.decode(described).topics;
    return AddPartitionsResponse.encode(topic === undefined ? {} : { topic });
  }

  #delete({ name, topicId }: DeleteTopicRequest): Uint8Array {
    this.logs(name, topicId);
    this.topics.delete(name);
    return DeleteTopicResponse.encode({});
  }

  #transfer({ topic, partition, topicId }: TransferLeaderRequest): Uint8Array {
    const log = this.logs(topic, topicId)[partition];
    if (log === undefined) throw new MillraceError("UNKNOWN_PARTITION", `${topic} has no partition ${partition}`);
    log.term++;
    return TransferLeaderResponse.encode({ leaderId: 1, term: log.term });
  }

  #trim({ name, topicId, partitions }: TrimTopicRequest): Uint8Array {
    const logs = this.logs(name, topicId);
    return TrimTopicResponse.encode({
      partitions: partitions.map(({ partition, beforeOffset }) => {
        const log = logs[partition];
        const before = beforeOffset === -1 ? (log?.end ?? 0) : beforeOffset;
        if (log === undefined || before > log.end)
          return { partition, error: statusOf(new MillraceError("OFFSET_OUT_OF_RANGE", `Cannot trim to ${before}`)) };
        const moved = before > log.logStart;
        log.logStart = Math.max(log.logStart, before);
        return { partition, logStartOffset: log.logStart, highWatermark: log.end, moved };
      }),
    });
  }

  #fetch(address: string, { topic, topicId, partition, offset }: FetchRequest): Uint8Array {
    const log = this.logs(topic, topicId)[partition];
    if (log === undefined) throw new Error(`no partition ${partition}`);
    const lie = this.lies.get(address);
    const builder = new RecordSetBuilder();
    for (const batch of log.batches) {
      let at = batch.baseOffset;
      for (const record of records(batch.records)) {
        const value = lie === "changes" ? Buffer.from("another") : record.value;
        if (at++ >= offset) builder.append(record.key, value, record.headers, record.timestampMs);
      }
    }
    const recordCount = builder.recordCount;
    const batches = recordCount === 0 || lie === "forgets" ? [] : [{ baseOffset: offset, recordCount, records: builder.take() }];
    return FetchResponse.encode({ batches, nextOffset: log.end, highWatermark: log.end });
  }
}

interface Change {
  readonly set: ReadonlyMap<string, string>;
  readonly delete: readonly string[];
  readonly validateOnly: boolean;
}

function changeConfigs(configs: Map<string, string>, change: Change): void {
  for (const [key, value] of change.set) {
    const error = refuseTopicConfig(key, value);
    if (error !== undefined) throw error;
  }
  for (const key of change.delete) {
    const error = refuseTopicConfigKey(key);
    if (error !== undefined) throw error;
  }
  if (change.validateOnly) return;
  for (const [key, value] of change.set) configs.set(key, value);
  for (const key of change.delete) configs.delete(key);
}

function entries(topic: ReadonlyMap<string, string>, cluster: ReadonlyMap<string, string>) {
  return describeTopicConfig(topic, cluster).map(({ key, value, source }) => ({ key, value, source: ConfigSource[source] }));
}

/** Default of a setting, as text. */
export function defaultOf(key: keyof typeof topicConfigKeys): string {
  return String(topicConfigKeys[key].default);
}
