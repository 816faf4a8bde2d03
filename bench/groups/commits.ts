import type { Cluster } from "../../chaos/cluster.ts";
import { percentiles } from "../../chaos/report.ts";
import { type Connections, commit, committed, fill, heartbeat, insist } from "./calls.ts";
import { now, until } from "./clock.ts";
import type { Figure, Figures } from "./figures.ts";
import { cpuSeconds } from "./processes.ts";

export interface CommitsOptions {
  readonly groups: number;
  readonly seconds: number;
}

export const COMMITS_TOPIC = "bench-commits";
export const PARTITIONS = 10;
/** In each partition: no commit is beyond the end, and each goes forwards. */
const RECORDS = 50_000;
const ASKED_PER_SECOND = 10_000;
/** A little more than what is asked, so that a rate that falls short is the brokers'. */
const PACE_PER_SECOND = 10_500;
const WARM_SECONDS = 3;

/** A member of a group of its own, with what it commits. */
export interface Committer {
  readonly groupId: string;
  readonly memberId: string;
  readonly memberEpoch: number;
  /** Broker that coordinated it last. */
  coordinator: number;
  /** Offset that was acknowledged last. */
  at: number;
}

/** Groups of one member each, which holds the ten partitions of the topic. */
export async function committers(cluster: Cluster, connections: Connections, count: number): Promise<readonly Committer[]> {
  await cluster.admin.createTopic({ name: COMMITS_TOPIC, partitions: PARTITIONS });
  await cluster.healthy();
  await fill(connections, COMMITS_TOPIC, PARTITIONS, RECORDS);
  return Promise.all(
    Array.from({ length: count }, async (_, n) => {
      const beat = { groupId: `bench-${n}`, memberId: `member-${n}`, topics: [COMMITS_TOPIC] };
      const join = await insist(() => heartbeat(connections.of((n % connections.count) + 1), { ...beat, memberEpoch: 0 }));
      return { ...beat, memberEpoch: join.memberEpoch, coordinator: join.coordinatorId, at: 0 };
    }),
  );
}

/**
 * Each group commits its ten partitions again and again at the coordinator, as clients do, one call at a time: at a pace first, by the clock (a
 * commit that waits for the one before it is late all the same), then as fast as it is answered. A thousand groups commit once a second each,
 * which is what clients do unless they are told otherwise; with a hundred the next commit is due after a tenth of that.
 */
export async function commits(
  cluster: Cluster,
  connections: Connections,
  groups: readonly Committer[],
  options: CommitsOptions,
  figures: Figures,
): Promise<void> {
  const everyMs = (groups.length * PARTITIONS * 1_000) / PACE_PER_SECOND;
  // A coordinator may move under load: the same commit is sent again, as a client does, and is late for it.
  const next = async (group: Committer): Promise<void> => {
    await insist(() => commit(connections.of(group.coordinator), group, COMMITS_TOPIC, PARTITIONS, group.at + 1));
    group.at += 1;
  };
  const paced = async (seconds: number): Promise<{ readonly latencies: readonly number[]; readonly tookMs: number }> => {
    const latencies: number[] = [];
    const began = now() + 100;
    const end = began + seconds * 1_000;
    await Promise.all(
      groups.map(async (group, n) => {
        for (let due = began + (n * everyMs) / groups.length; due < end; due += everyMs) {
          await until(due);
          await next(group);
          latencies.push(now() - due);
        }
      }),
    );
    return { latencies, tookMs: now() - began };
  };
  const flatOut = async (seconds: number): Promise<number> => {
    let done = 0;
    const began = now();
    const end = began + seconds * 1_000;
    await Promise.all(
      groups.map(async (group) => {
        for (; now() < end; done += 1) {
          await next(group);
        }
      }),
    );
    return (done * PARTITIONS * 1_000) / (now() - began);
  };

  await paced(WARM_SECONDS);
  const pids = cluster.brokers.map(({ id }) => cluster.pid(id) as number);
  const cpu = (): number => pids.reduce((sum, pid) => sum + cpuSeconds(pid), 0);
  const cpuBefore = cpu();
  const loadBefore = process.cpuUsage();
  const { latencies, tookMs } = await paced(options.seconds);
  const brokersCpu = cpu() - cpuBefore;
  const { user, system } = process.cpuUsage(loadBefore);
  const calls = latencies.length;
  const { p50, p99, max } = percentiles(latencies);
  const note = `${groups.length} groups, ${PARTITIONS} partitions a call every ${everyMs.toFixed(0)} ms, ${options.seconds} s, ${calls} calls`;
  figures.add(
    {
      name: "commits: partition offsets per second, paced",
      value: (calls * PARTITIONS * 1_000) / tookMs,
      unit: "/s",
      bar: { least: ASKED_PER_SECOND },
      of: calls,
      note,
    },
    { name: "commits: latency from when it was due, p50", value: p50, unit: "ms", of: calls },
    { name: "commits: latency from when it was due, p99", value: p99, unit: "ms", of: calls, note: `max ${max.toFixed(0)}` },
    {
      name: "commits: CPU of three brokers a call",
      value: (brokersCpu * 1e6) / calls,
      unit: "us",
      of: calls,
      note: `${(brokersCpu / options.seconds).toFixed(2)} cores, the load ${((user + system) / 1e6 / options.seconds).toFixed(2)}`,
    },
  );
  const rate = await flatOut(Math.min(5, options.seconds));
  figures.add({ name: "commits: partition offsets per second, flat out", value: rate, unit: "/s", of: groups.length });
  figures.add(await kept(connections, groups));
}

/** What was acknowledged is what a linearizable read tells, by another broker. */
export async function kept(connections: Connections, groups: readonly Committer[]): Promise<Figure> {
  const wrong: string[] = [];
  for (const { groupId, coordinator, at } of groups) {
    const offsets = await insist(() => committed(connections.of((coordinator % connections.count) + 1), groupId));
    for (let partition = 0; partition < PARTITIONS; partition += 1)
      if ((offsets.get(partition) ?? 0) !== at) wrong.push(`${groupId}-${partition}: ${offsets.get(partition)}, acknowledged ${at}`);
  }
  const note = wrong[0];
  return {
    name: "commits: acknowledged offsets that a read does not tell",
    value: wrong.length,
    unit: "",
    bar: { most: 0 },
    of: groups.length * PARTITIONS,
    ...(note === undefined ? {} : { note }),
  };
}
