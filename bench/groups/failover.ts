import type { Cluster } from "../../chaos/cluster.ts";
import { percentiles } from "../../chaos/report.ts";
import { MillraceError } from "../../src/base/errors.ts";
import { RpcFailure } from "../../src/base/ports/rpc-client.ts";
import { type Connections, commit, heartbeat, insist } from "./calls.ts";
import { now, until } from "./clock.ts";
import { COMMITS_TOPIC, type Committer, kept, PARTITIONS } from "./commits.ts";
import type { Figures } from "./figures.ts";

const BAR_MS = 2_000;
const TRY_MS = 5_000;
const GIVE_UP_MS = 30_000;
const AGAIN_MS = 10;

/**
 * `kill -9` of the broker that coordinates most groups, so many times: from the signal until a heartbeat and a commit of each group that it
 * coordinated were accepted by the brokers that are left. The members ask from the moment of the signal, as they would not: they would be
 * told when their heartbeat is due, so this is what the brokers take.
 */
export async function failover(
  cluster: Cluster,
  connections: Connections,
  groups: readonly Committer[],
  kills: number,
  figures: Figures,
): Promise<void> {
  const perKill: number[] = [];
  const all: number[] = [];
  let others = 0;
  for (let kill = 0; kill < kills; kill += 1) {
    await Promise.all(groups.map((group, n) => look(connections, group, (n % connections.count) + 1)));
    const victim = busiest(groups);
    const left = cluster.brokers.map(({ id }) => id).filter((id) => id !== victim);
    const theirs = groups.filter(({ coordinator }) => coordinator === victim);
    others += groups.length - theirs.length;
    const killing = cluster.kill([victim]);
    const from = now();
    const times = await Promise.all(theirs.map((group, n) => usable(connections, group, left, n, from)));
    await killing;
    perKill.push(Math.max(...times));
    all.push(...times);
    await cluster.startAgainDirectly(victim);
    await cluster.healthy();
    // Leaderships go back to their brokers.
    await until(now() + 1_000);
  }
  const { p50, max } = percentiles(perKill);
  const each = percentiles(all);
  const note = `${kills} kills, of all groups p50 ${each.p50.toFixed(0)}, p99 ${each.p99.toFixed(0)}; ${others} times a group was elsewhere`;
  figures.add(
    { name: "failover: last group usable after kill -9, median", value: p50, unit: "ms", of: kills },
    { name: "failover: last group usable after kill -9, worst", value: max, unit: "ms", bar: { most: BAR_MS }, of: all.length, note },
    await kept(connections, groups),
  );
}

async function look(connections: Connections, group: Committer, via: number): Promise<void> {
  const { coordinatorId } = await insist(() => heartbeat(connections.of(via), group));
  group.coordinator = coordinatorId;
}

function busiest(groups: readonly Committer[]): number {
  const counts = new Map<number, number>();
  for (const { coordinator } of groups) counts.set(coordinator, (counts.get(coordinator) ?? 0) + 1);
  const [first] = [...counts].sort((a, b) => b[1] - a[1]);
  if (first === undefined) throw new Error("there are no groups");
  return first[0];
}

/** @returns milliseconds until both were accepted */
async function usable(connections: Connections, group: Committer, left: readonly number[], n: number, from: number): Promise<number> {
  for (let attempt = n; ; attempt += 1) {
    const channel = connections.of(left[attempt % left.length] as number);
    try {
      const { groupId, memberId, memberEpoch } = group;
      group.coordinator = (await heartbeat(channel, { groupId, memberId, memberEpoch }, TRY_MS)).coordinatorId;
      await commit(channel, group, COMMITS_TOPIC, PARTITIONS, group.at + 1, TRY_MS);
      group.at += 1;
      return now() - from;
    } catch (error) {
      if (!(error instanceof MillraceError || error instanceof RpcFailure)) throw error;
      if (now() - from > GIVE_UP_MS) throw new Error(`${group.groupId} is not usable after ${GIVE_UP_MS} ms: ${error.message}`);
      await until(now() + AGAIN_MS);
    }
  }
}
