import assert from "node:assert/strict";
import type { ErrorCode } from "../../src/base/errors.ts";
import {
  type BrokerId,
  type ClusterId,
  type GroupId,
  type Incarnation,
  type LogIndex,
  type TopicId,
  toBrokerId,
  toLogIndex,
  toReplicaId,
  toTerm,
} from "../../src/base/ids.ts";
import type { Command, CommandOf, IsrResult } from "../../src/cluster/commands.ts";
import { decide } from "../../src/cluster/decide.ts";
import type { DecideLimits } from "../../src/cluster/decision.ts";
import type { Fact } from "../../src/cluster/facts.ts";
import { type FeatureLevels, supportedLevels } from "../../src/cluster/feature-levels.ts";
import { MetadataImage } from "../../src/cluster/image.ts";
import type { PartitionImage } from "../../src/cluster/image-state.ts";
import type { Reply } from "../../src/cluster/replies.ts";

export const CLUSTER = "3f1c9a52-0000-4000-8000-000000000001" as ClusterId;
export const disk = (broker: number, life = 1): Incarnation => `disk-${broker}-${life}` as Incarnation;
export const topicUuid = (n: number): TopicId => `00000000-0000-4000-8000-${String(n).padStart(12, "0")}` as TopicId;

/** A metadata log of one controller: commands in, facts replayed, one frame per command that made any. */
export class Cluster {
  image = new MetadataImage();
  readonly log: { readonly index: LogIndex; readonly facts: readonly Fact[] }[] = [];
  limits: DecideLimits | undefined;
  /** Of whoever registers. */
  levels: FeatureLevels = supportedLevels;
  #topics = 0;

  /** Formed by three seeds, all registered. */
  static ofThree(): Cluster {
    const cluster = new Cluster();
    cluster.form([1, 2, 3]);
    for (const id of [1, 2, 3]) cluster.register(id);
    return cluster;
  }

  form(ids: readonly number[]): void {
    const seeds = ids.map((id, at) => ({
      brokerId: toBrokerId(id),
      incarnation: disk(id),
      replicaId: toReplicaId(at + 1),
      peerAddress: `127.0.0.1:74${id}1`,
    }));
    this.done({ kind: "formCluster", clusterId: CLUSTER, seeds });
  }

  registration(id: number, life = 1, rack?: string): CommandOf<"registerBroker"> {
    return {
      kind: "registerBroker",
      brokerId: toBrokerId(id),
      incarnation: disk(id, life),
      clientAddress: `127.0.0.1:74${id}0`,
      peerAddress: `127.0.0.1:74${id}1`,
      rack,
      version: "0.1.0",
      featureLevelMin: this.levels.min,
      featureLevelMax: this.levels.max,
    };
  }

  /** @returns the broker epoch */
  register(id: number, life = 1, rack?: string): LogIndex {
    this.done(this.registration(id, life, rack));
    return this.image.version;
  }

  fence(id: number): void {
    const epoch = this.image.brokers.get(toBrokerId(id))?.epoch ?? toLogIndex(0);
    this.done({ kind: "fenceBroker", brokerId: toBrokerId(id), brokerEpoch: epoch });
  }

  creation(name: string, partitions = 1, replicas = 3, configs: Readonly<Record<string, string>> = {}): CommandOf<"createTopic"> {
    this.#topics += 1;
    return {
      kind: "createTopic",
      name,
      partitions,
      replicas,
      configs: new Map(Object.entries(configs)),
      validateOnly: false,
      topicId: topicUuid(this.#topics),
      seed: this.#topics,
    };
  }

  create(name: string, partitions = 1, replicas = 3, configs: Readonly<Record<string, string>> = {}): readonly PartitionImage[] {
    this.done(this.creation(name, partitions, replicas, configs));
    return this.partitionsOf(name);
  }

  partitionsOf(name: string): readonly PartitionImage[] {
    const topic = this.image.topicByName(name);
    assert.ok(topic !== undefined, `topic ${name}`);
    return topic.groups.map((group) => this.partition(group));
  }

  partition(group: GroupId): PartitionImage {
    const partition = this.image.partitionOfGroup(group);
    assert.ok(partition !== undefined);
    return partition;
  }

  /** The claim of the replica at `at` in the partition's order. */
  claim(partition: PartitionImage, at: number, term: number, isr: readonly number[] = partition.isr): IsrResult {
    const replicaId = partition.replicas[at]?.replicaId ?? toReplicaId(1);
    const claims = [{ groupId: partition.groupId, replicaId, term: toTerm(term), isr: isr.map(toReplicaId) }];
    return this.isrResult({ kind: "leaderClaim", claims });
  }

  alter(partition: PartitionImage, term: number, isrVersion: number, isr: readonly number[]): IsrResult {
    return this.isrResult({
      kind: "alterIsr",
      proposals: [{ groupId: partition.groupId, term: toTerm(term), isrVersion, isr: isr.map(toReplicaId) }],
    });
  }

  isrResult(command: Command): IsrResult {
    const reply = this.done(command);
    assert.equal(reply.kind, "isrResults");
    const [result] = reply.kind === "isrResults" ? reply.results : [];
    assert.ok(result !== undefined);
    return result;
  }

  /** Decides, replays, and answers; fails the test on a refusal. */
  done(command: Command): Reply {
    const answer = this.run(command);
    assert.ok(!("error" in answer), "error" in answer ? answer.error.message : "");
    return answer.reply;
  }

  refused(command: Command, code: ErrorCode): string {
    const before = this.image.hash();
    const answer = this.run(command);
    assert.ok("error" in answer, `${command.kind} is refused`);
    assert.equal(answer.error.code, code, answer.error.message);
    assert.equal(this.image.hash(), before);
    return answer.error.message;
  }

  run(command: Command): ReturnType<typeof decide> {
    const answer = decide(this.image, command, { monotonic: 0, wall: 0 }, this.limits);
    if (!("error" in answer) && answer.facts.length > 0) {
      const index = toLogIndex(this.image.version + 1);
      this.log.push({ index, facts: answer.facts });
      for (const fact of answer.facts) this.image.replay(fact, index);
    }
    return answer;
  }
}

export const brokersOf = (partition: PartitionImage): readonly BrokerId[] => partition.replicas.map(({ brokerId }) => brokerId);
