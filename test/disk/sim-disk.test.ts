import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { DiskLies } from "../../src/testing/sim/disk/device.ts";
import { diskCases, diskContract } from "./contract.ts";
import type { Cut } from "./crash-contract.ts";
import { cutRun, settled, simulatedBench } from "./sim-disk-run.ts";

const SEEDS = [1, 2, 3, 4, 5, 6, 7, 8];
const CUTS: readonly Cut[] = ["process crash", "power cut"];

diskContract("simulated", async (work) => {
  const { scheduler, start } = simulatedBench(7);
  await settled(
    scheduler,
    work(start().disk, () => start().disk),
  );
});

/** Every cut at every operation, for every seed. */
async function everyCut(lies: DiskLies): Promise<{ broken: string[]; judged: number; cuts: number }> {
  const total = { broken: [] as string[], judged: 0, cuts: 0 };
  for (const seed of SEEDS) {
    for (const cut of CUTS) {
      for (let at = 1; ; at++) {
        const verdict = await cutRun(seed, at, cut, lies);
        if (verdict === undefined) break;
        total.cuts++;
        total.judged += verdict.judged;
        for (const line of verdict.broken) total.broken.push(`seed ${seed}, operation ${at}: ${line}`);
      }
    }
  }
  return total;
}

describe("Disk crash contract: simulated", () => {
  it("keeps every promise when the process or the power dies at any operation", async () => {
    const { broken, judged, cuts } = await everyCut({});
    assert.deepEqual(broken, []);
    assert.ok(cuts > 300, `only ${cuts} cuts`);
    assert.ok(judged > 1_000, `only ${judged} promises judged`);
  });

  const liars: readonly { readonly lies: DiskLies; readonly refusedBy: RegExp }[] = [
    { lies: { sync: true }, refusedBy: /after a power cut, a synced file renamed/ },
    { lies: { durableWrites: true }, refusedBy: /after a power cut, a durable write is kept whole/ },
    { lies: { syncDirectory: true }, refusedBy: /after a power cut, a rename over a file is durable/ },
    { lies: { forgetfulCache: true }, refusedBy: /after a process crash, a write that returned survives/ },
  ];
  for (const { lies, refusedBy } of liars) {
    it(`refuses a disk that lies about ${Object.keys(lies).join()}`, async () => {
      const { broken } = await everyCut(lies);
      assert.match(broken.join("\n"), refusedBy);
    });
  }
});

describe("Disk contract: what it refuses", () => {
  const liars: readonly { readonly lies: DiskLies; readonly refusedBy: string }[] = [
    { lies: { earlyWrites: true }, refusedBy: "a write is visible to every reader once it returned" },
    { lies: { lock: true }, refusedBy: "the lock keeps a second owner away until it is released" },
    { lies: { create: true }, refusedBy: "create refuses an existing file, read and write refuse a missing one" },
  ];
  for (const { lies, refusedBy } of liars) {
    it(`refuses a disk that lies about ${Object.keys(lies).join()}`, async () => {
      const failed: string[] = [];
      for (const each of diskCases) {
        const { scheduler, start } = simulatedBench(7, lies);
        await settled(
          scheduler,
          each.run(start().disk, () => start().disk),
        ).catch(() => failed.push(each.name));
      }
      assert.ok(failed.includes(refusedBy), `failed cases: ${failed.join("; ")}`);
    });
  }
});
