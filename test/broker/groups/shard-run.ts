import assert from "node:assert/strict";
import type { MillraceError } from "../../../src/base/errors.ts";
import { Coordinator } from "../../../src/broker/groups/coordinator/coordinator.ts";
import type { Shard, ShardLeader } from "../../../src/broker/groups/shards.ts";
import type { GroupCommand } from "../../../src/consumer-groups/commands.ts";
import type { GroupReply } from "../../../src/consumer-groups/decision.ts";
import { GROUPS_PARTITIONS, shardOf } from "../../../src/consumer-groups/shard.ts";
import { Cluster, type ClusterOptions } from "../harness.ts";

/** What is committed of topic `t`. */
const PARTITIONS = 64;

/** Small, so that some commands make some snapshots. */
export const SNAPSHOT_BYTES = 2_048;

/** Brokers with `__groups` on them, and their coordinators, who are asked past the service. */
export class ShardRun {
  readonly cluster: Cluster;

  constructor(cluster: Cluster) {
    this.cluster = cluster;
  }

  static async start(options: ClusterOptions = {}, partitions = PARTITIONS): Promise<ShardRun> {
    const cluster = await Cluster.start({
      configure: (config) => ({ ...config, limits: { ...config.limits, metadataSnapshotBytes: SNAPSHOT_BYTES } }),
      ...options,
    });
    await cluster.createTopic("t", partitions);
    const run = new ShardRun(cluster);
    await run.ensure(1);
    return run;
  }

  /** As the first call of a group does, and everybody opens its replicas. */
  async ensure(n: number): Promise<void> {
    const { cluster } = this;
    await cluster.settle(this.groups(n).ensure({ deadline: 1_000_000 }));
    await cluster.until(() => shards.every((shard) => this.leader(shard) !== undefined), "every shard is led");
  }

  groups(n: number) {
    const { groups } = this.cluster.broker(n);
    assert.ok(groups !== undefined);
    return groups;
  }

  shard(n: number, shard: number): Shard<ShardLeader> | undefined {
    return this.groups(n).here(shard);
  }

  /** The broker that serves a shard. */
  leader(shard: number): number | undefined {
    const { cluster } = this;
    const some = cluster.alive.find((n) => cluster.broker(n).groups?.groupOf(shard) !== undefined);
    const groupId = some === undefined ? undefined : this.groups(some).groupOf(shard);
    return groupId === undefined ? undefined : cluster.serving(groupId);
  }

  /** Who decides here. */
  decider({ leader }: Shard<ShardLeader>): Coordinator {
    assert.ok(leader instanceof Coordinator);
    return leader;
  }

  /** Decides at whoever leads, waits for the commit. */
  async submit(command: GroupCommand): Promise<GroupReply | MillraceError> {
    const number = shardOf(command.groupId);
    let decider: Coordinator | undefined;
    await this.cluster.until(() => {
      const n = this.leader(number);
      const shard = n === undefined ? undefined : this.shard(n, number);
      decider = shard === undefined ? undefined : this.decider(shard);
      return decider?.active === true;
    }, `somebody decides in shard ${number}`);
    let answer: GroupReply | MillraceError | undefined;
    decider?.submit(command, (said) => {
      answer = "error" in said ? said.error : said.reply;
    });
    await this.cluster.until(() => answer !== undefined, `${command.kind} is answered`);
    assert.ok(answer !== undefined);
    return answer;
  }

  /** From outside of the group, which has no members. */
  async commit(groupId: string, partition: number, offset: number, metadata = ""): Promise<void> {
    const offsets = [{ topic: "t", topicId: undefined, partition, offset, term: -1, metadata, highWatermark: undefined }];
    const reply = await this.submit({ kind: "commitOffsets", groupId, member: undefined, offsets });
    assert.deepEqual(reply, { kind: "offsets", refused: [] });
  }

  /** So many commits of one group, each of more than 600 bytes. */
  async commits(groupId: string, from: number, count: number): Promise<void> {
    for (let offset = from; offset < from + count; offset += 1) await this.commit(groupId, offset % PARTITIONS, offset, "x".repeat(600));
  }

  async join(groupId: string, memberId: string): Promise<number> {
    const member = {
      instanceId: undefined,
      rack: "",
      clientAddress: "c:1",
      topics: ["t"],
      topicPattern: "",
      assignor: "",
      rebalanceTimeoutMs: 0,
    };
    const reply = await this.submit({ kind: "join", groupId, memberId, ...member });
    assert.ok("kind" in reply && reply.kind === "member");
    return reply.state.memberEpoch;
  }

  /** All live replicas of the shard have replayed the same, and made the same of it. */
  async agreed(shard: number): Promise<void> {
    const views = (): (readonly [number, string] | undefined)[] =>
      this.cluster.alive.map((n) => {
        const view = this.shard(n, shard)?.view;
        return view === undefined ? undefined : [view.applied, view.image.hash()];
      });
    const said = (): string => JSON.stringify(views());
    await this.cluster.until(() => {
      const n = this.leader(shard);
      const last = n === undefined ? undefined : this.shard(n, shard)?.replica.core.lastIndex;
      // Asked after every event: a hash takes long, and means nothing before they are all there.
      if (last === undefined || this.cluster.alive.some((one) => this.shard(one, shard)?.view.applied !== last)) return false;
      const [first, ...others] = views();
      return others.every((view) => view?.[1] === first?.[1]);
    }, `the replicas of shard ${shard} agree: ${said()}`);
  }

  offset(n: number, groupId: string, partition: number): number | undefined {
    const offsets = this.shard(n, shardOf(groupId))?.view.image.group(groupId)?.offsets;
    const [topic] = offsets?.topics() ?? [];
    return topic === undefined ? undefined : offsets?.get(topic, partition)?.offset;
  }
}

export const shards: readonly number[] = Array.from({ length: GROUPS_PARTITIONS }, (_, shard) => shard);
