import { Cluster } from "../../chaos/cluster.ts";
import { sleep } from "../../chaos/report.ts";
import { environmentName } from "../../src/config/table.ts";
import { Connections, commit, committed, heartbeat, insist } from "./calls.ts";
import { PARTITIONS } from "./commits.ts";
import type { Figures } from "./figures.ts";
import { Collected, type Memory } from "./processes.ts";

const MiB = 1024 * 1024;
const TOPIC = "bench-memory";
const BAR_MIB_OF_10_000 = 200;
const WARM_GROUPS = 100;
const AT_ONCE = 50;

/**
 * One broker that coordinates all groups, which no broker of three does: what they add to its memory, each with a member and ten committed
 * offsets; as it grew, and after a restart, which reads snapshots and the tail. What is compared has seen the same: a broker that answered
 * as many of the same calls for a few groups, which were deleted then; and one that was restarted, and has none.
 */
export async function memory(groups: number, figures: Figures): Promise<void> {
  const collected = new Collected();
  // Members say nothing for the rest of the run; a snapshot each 32 KiB of a shard's log, as there are after a while with any setting.
  const settings = { "group.session.timeout.ms": "1h", "metadata.snapshot.bytes": "32KiB" };
  const environment = {
    ...collected.environment,
    ...Object.fromEntries(Object.entries(settings).map(([key, value]) => [environmentName(key), value])),
  };
  const cluster = await Cluster.start({ brokers: 1, environment });
  const connections = new Connections(cluster.addresses);
  try {
    await cluster.admin.createTopic({ name: TOPIC, partitions: PARTITIONS });
    await cluster.healthy();
    // The call that makes the shards.
    await make(connections, "warm", WARM_GROUPS);
    await drop(cluster, connections);
    await restart(cluster);
    const fresh = await settled(cluster, collected);
    for (let made = 0; made < groups; made += WARM_GROUPS) await make(connections, "warm", WARM_GROUPS);
    await drop(cluster, connections);
    const empty = await settled(cluster, collected);
    await make(connections, "group", groups);
    const grown = await settled(cluster, collected);
    const snapshots = count(cluster, '"groups.snapshot"');
    await restart(cluster);
    const again = await settled(cluster, collected);
    const offsets = await insist(() => committed(connections.of(1), `group-${groups - 1}`));
    const of = offsets.size === PARTITIONS && snapshots >= 16 ? groups : 0;
    const most = (BAR_MIB_OF_10_000 * groups) / 10_000;
    const grewBy = (now: Memory, before: Memory): readonly [number, number] => [
      (now.heapBytes - before.heapBytes) / MiB,
      (now.rssBytes - before.rssBytes) / MiB,
    ];
    const note = `${groups} groups x ${PARTITIONS}, all on one broker; ${text(empty)} without them`;
    const noteAgain = `${snapshots} snapshots; ${text(fresh)} without them`;
    const [heap, rss] = grewBy(grown, empty);
    const [heapAgain, rssAgain] = grewBy(again, fresh);
    figures.add(
      { name: "memory: heap and buffers after collection, grew by", value: heap, unit: "MiB", bar: { most }, of, note },
      { name: "memory: resident, grew by", value: rss, unit: "MiB", bar: { most }, of },
      {
        name: "memory: heap and buffers, after a restart",
        value: heapAgain,
        unit: "MiB",
        bar: { most },
        of,
        note: noteAgain,
      },
      { name: "memory: resident, after a restart", value: rssAgain, unit: "MiB", bar: { most }, of },
    );
  } finally {
    connections.close();
    await cluster.stop();
    collected.close();
  }
}

const mib = (bytes: number): number => Math.round(bytes / MiB);
const text = ({ heapBytes, rssBytes }: Memory): string => `heap ${mib(heapBytes)}, resident ${mib(rssBytes)} MiB`;

async function each(count: number, work: (n: number) => Promise<void>): Promise<void> {
  let next = 0;
  const one = async (): Promise<void> => {
    for (let n = next++; n < count; n = next++) await work(n);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, one));
}

function make(connections: Connections, prefix: string, count: number): Promise<void> {
  return each(count, async (n) => {
    const beat = { groupId: `${prefix}-${n}`, memberId: "member", topics: [TOPIC] };
    const { memberEpoch } = await insist(() => heartbeat(connections.of(1), { ...beat, memberEpoch: 0 }));
    await insist(() => commit(connections.of(1), { ...beat, memberEpoch }, TOPIC, PARTITIONS, 0));
  });
}

/** The groups to warm up with leave nothing. */
function drop(cluster: Cluster, connections: Connections): Promise<void> {
  return each(WARM_GROUPS, async (n) => {
    const beat = { groupId: `warm-${n}`, memberId: "member", memberEpoch: -1 };
    await insist(() => heartbeat(connections.of(1), beat));
    await insist(() => cluster.admin.groups.delete(beat.groupId));
  });
}

async function restart(cluster: Cluster): Promise<void> {
  await cluster.terminate(1);
  await cluster.startAgainDirectly(1);
  await cluster.healthy();
}

/** When it has nothing left to do: collected twice, with time between. */
async function settled(cluster: Cluster, collected: Collected): Promise<Memory> {
  const pid = cluster.pid(1);
  if (pid === undefined) throw new Error("the broker does not run");
  await sleep(1_000);
  await collected.memory(pid);
  await sleep(500);
  return collected.memory(pid);
}

function count(cluster: Cluster, what: string): number {
  return cluster.brokerLog(1).split(what).length - 1;
}
