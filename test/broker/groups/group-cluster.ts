import assert from "node:assert/strict";
import type { GroupId } from "../../../src/base/ids.ts";
import { GROUPS_TOPIC } from "../../../src/cluster/internal-topics.ts";
import { shardOf } from "../../../src/consumer-groups/shard.ts";
import type { MessageInput } from "../../../src/protocol/codec/index.ts";
import { GroupService } from "../../../src/protocol/methods.ts";
import {
  type CommitOffsetsResponse,
  type MemberHeartbeat,
  type MemberState,
  SessionRequest,
  SessionResponse,
} from "../../../src/protocol/public.ts";
import { errorOf } from "../../../src/protocol/rpc-status.ts";
import { Cluster, type ClusterOptions, recordSet } from "../harness.ts";
import { OpenStream } from "../open-stream.ts";
import * as rpc from "../stubs.ts";

export type Beat = MessageInput<typeof MemberHeartbeat>;

/** `topic:partition` of what a member is to hold. */
export const held = (state: Pick<MemberState, "assignment">): readonly string[] =>
  state.assignment.flatMap(({ topic, partitions }) => partitions.map((partition) => `${topic}:${partition}`));

/** Codes by `topic:partition`. */
export const refusals = ({ errors }: CommitOffsetsResponse): readonly string[] =>
  errors.map(({ topic, partition, error }) => `${topic}:${partition} ${error === undefined ? "" : errorOf(error)?.code}`);

/** Brokers, and calls of groups to any of them. */
export class GroupCluster {
  readonly cluster: Cluster;

  private constructor(cluster: Cluster) {
    this.cluster = cluster;
  }

  static async start(options: ClusterOptions): Promise<GroupCluster> {
    return new GroupCluster(await Cluster.start(options));
  }

  async beat(via: number, beat: Beat): Promise<MemberState> {
    const { state } = await this.cluster.call(via, rpc.Heartbeat, { heartbeat: beat });
    return state ?? assert.fail("a heartbeat is answered with a state");
  }

  join(via: number, groupId: string, memberId: string, topics: readonly string[], more: Beat = {}): Promise<MemberState> {
    return this.beat(via, { groupId, memberId, memberEpoch: 0, topics: [...topics], topicsChanged: true, ...more });
  }

  commit(
    via: number,
    groupId: string,
    member: Pick<MemberState, "memberId" | "memberEpoch"> | undefined,
    offsets: Readonly<Record<string, number>>,
  ) {
    return this.cluster.call(via, rpc.CommitOffsets, {
      groupId,
      memberId: member?.memberId ?? "",
      memberEpoch: member?.memberEpoch ?? -1,
      offsets: Object.entries(offsets).map(([place, offset]) => {
        const [topic = "", partition] = place.split(":");
        return { topic, partition: Number(partition), offset };
      }),
    });
  }

  /** `topic:partition=offset` of all that is committed. */
  async committed(via: number, groupId: string): Promise<readonly string[]> {
    const { offsets } = await this.cluster.call(via, rpc.FetchOffsets, { groupId });
    return offsets.map(({ topic, partition, offset }) => `${topic}:${partition}=${offset}`).sort();
  }

  /** So many records, one by one. */
  async fill(topic: string, partition: number, records: number): Promise<void> {
    const values = Array.from({ length: records }, (_, n) => `${n}`);
    await this.cluster.call(this.cluster.alive[0] ?? 1, rpc.Produce, { topic, partition, records: recordSet(values) });
  }

  /** Raft group of the shard that has the group. */
  groupOf(groupId: string): GroupId {
    for (const n of this.cluster.alive) {
      const found = this.cluster.broker(n).groups?.groupOf(shardOf(groupId));
      if (found !== undefined) return found;
    }
    return assert.fail(`${GROUPS_TOPIC} is there`);
  }

  async coordinator(groupId: string): Promise<number> {
    const group = this.groupOf(groupId);
    await this.cluster.until(() => this.cluster.serving(group) !== undefined, `a coordinator of ${groupId}`);
    return this.cluster.serving(group) as number;
  }

  /** A broker that is alive and not its coordinator. */
  async another(groupId: string): Promise<number> {
    const coordinator = await this.coordinator(groupId);
    return this.cluster.alive.find((n) => n !== coordinator) ?? assert.fail("there is another one");
  }

  /** Hands it over, as a broker that leaves does. */
  async moveCoordinator(groupId: string, to: number): Promise<void> {
    const group = this.groupOf(groupId);
    const from = await this.coordinator(groupId);
    if (from === to) return;
    const target = this.cluster.replica(to, group) ?? assert.fail("it has a replica");
    assert.deepEqual(this.cluster.replica(from, group)?.transfer(target.id), { kind: "started" });
    await this.cluster.until(() => this.cluster.serving(group) === to, `broker ${to} coordinates ${groupId}`);
  }

  session(via: number): Session {
    return Session.open(this.cluster, via);
  }
}

/** One session stream of a member; what it was told, in order. */
export class Session extends OpenStream {
  readonly states: MemberState[] = [];

  static open(cluster: Cluster, via: number): Session {
    return new Session(cluster, cluster.channel(via).openStream(GroupService.Session.path, "bidi", { timeoutMs: 600_000 }));
  }

  protected take(bytes: Uint8Array): void {
    const { state } = SessionResponse.decode(bytes);
    if (state !== undefined) this.states.push(state);
  }

  send(heartbeat: Beat): void {
    this.write(SessionRequest.encode({ heartbeat }));
  }

  get last(): MemberState {
    return this.states.at(-1) ?? assert.fail("it was told something");
  }

  /** The nth thing that it is told, from 1. */
  async told(count: number): Promise<MemberState> {
    await this.come(() => this.states.length >= count, `${count} states of a session`);
    return this.states[count - 1] ?? assert.fail(`the session ended after ${this.states.length} states`);
  }
}
