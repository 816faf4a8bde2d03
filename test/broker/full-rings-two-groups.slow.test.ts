import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Acks } from "../../src/protocol/public.ts";
import { Cluster, recordSet } from "./harness.ts";
import * as stubs from "./stubs.ts";

const MiB = 1024 * 1024;

/** Bytes of a record, and of a file of the ring, by this. */
type Scale = number;

/** Partition 0 is led by broker 1, 1 by broker 2. `keeps(n)`: whose segments get no further on broker n. */
async function standing(keeps: (n: number) => readonly number[], scale: Scale) {
  const cluster = await Cluster.start({
    seed: 7,
    configure: (config) => ({ ...config, log: { ...config.log, walFileBytes: scale * MiB, walFilesMax: 6, diskReserveBytes: 0 } }),
  });
  await cluster.createTopic("t", 2);
  await cluster.moveLeader("t", 0, 1);
  await cluster.moveLeader("t", 1, 2);
  const groups = [await cluster.groupOf("t", 0), await cluster.groupOf("t", 1)] as const;
  const starts = cluster.numbers.map((n) => {
    const disk = cluster.disk(n);
    const start = disk.start.bind(disk);
    disk.start = (operation) => {
      if (!keeps(n).some((p) => operation.path.startsWith(`groups/${groups[p]}-`))) start(operation);
    };
    return () => {
      disk.start = start;
    };
  });
  const free = (): void => {
    for (const start of starts) start();
  };
  return { cluster, groups, free };
}

function produce(cluster: Cluster, partition: number, scale: Scale): Promise<boolean> {
  const records = recordSet(["x".repeat(scale * 60_000)]);
  return cluster.call(partition + 1, stubs.Produce, { topic: "t", partition, records, acks: Acks.all }, { timeoutMs: 1_500 }).then(
    () => true,
    () => false,
  );
}

async function pairs(
  keeps: (n: number) => readonly number[],
  most: number,
  scale: Scale,
): Promise<{ ok: number; state: Awaited<ReturnType<typeof standing>> }> {
  const state = await standing(keeps, scale);
  let ok = 0;
  while (ok < most) {
    // First a file of the one, then of the other, then in turn.
    if (!(await produce(state.cluster, ok < 15 ? 0 : ok < 31 ? 1 : ok % 2, scale))) break;
    ok += 1;
  }
  return { ok, state };
}

/**
 * @param fewer batches below what the rings take before all die
 * @param scale of records and files: batches of 300 kB take more than one message each, so that what a leader inherited comes piece by piece
 */
async function goesOn(keeps: (n: number) => readonly number[], fewer: number, scale: Scale): Promise<void> {
  const first = await pairs(keeps, 1_000, scale);
  first.state.cluster.close();
  const { ok: most } = first;
  const { state } = await pairs(keeps, most - fewer, scale);
  const { cluster, groups, free } = state;
  await cluster.pass(50);
  cluster.kill(3);
  cluster.world.network.partition([["b1"], ["b2"], ["b3"]]);
  // Each leader alone has its last batches.
  const alone = Array.from({ length: 48 }, (_, n) => produce(cluster, n % 2, scale));
  await cluster.pass(100);
  for (const n of [1, 2]) cluster.kill(n);
  await cluster.settle(Promise.all(alone));
  cluster.world.network.heal();
  free();
  for (const n of [1, 2]) cluster.boot(n);
  await cluster.pass(60_000);
  const grew = cluster.warnings.filter((one) => /ring_grew|ring_pinned/.test(one));
  const serving = groups.map((group) => cluster.serving(group));
  assert.ok(
    serving.every((one) => one !== undefined),
    `served by ${serving}; ${grew.join(", ")}`,
  );
  cluster.close();
}

for (const [name, keeps] of [
  ["both groups keep the oldest file everywhere", () => [0, 1]],
  [
    "broker 1's oldest file is kept by what it leads, and broker 2's by what that leads",
    (n: number) => (n === 1 ? [0] : n === 2 ? [1] : []),
  ],
] as const) {
  describe(`Full rings of brokers that all died, two partitions: ${name}`, () => {
    for (const fewer of [2, 3, 4, 6]) it(`goes on, ${fewer} below the most`, () => goesOn(keeps, fewer, 1));
    it("goes on, 24 below the most, with batches and files five times as large", () => goesOn(keeps, 24, 5));
  });
}
