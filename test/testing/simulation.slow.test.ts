import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { it } from "node:test";
import { fileURLToPath } from "node:url";
import type { Disk } from "../../src/base/ports/disk.ts";
import { createBroker } from "../../src/broker/broker.ts";
import type { MakeBroker } from "../../src/testing/cluster/broker-under-test.ts";
import { runSeed } from "../../src/testing/cluster/run-seed.ts";

const MAIN = fileURLToPath(new URL("../../src/testing/main.js", import.meta.url));

it("One seed of the whole cluster is one run: twice in this process, and in another one", async () => {
  const traces: string[][] = [[], []];
  const [first, second] = [
    await runSeed(15, { makeBroker: createBroker, print: (line) => traces[0]?.push(line) }),
    await runSeed(15, { makeBroker: createBroker, print: (line) => traces[1]?.push(line) }),
  ];
  assert.equal(second.digest, first.digest);
  assert.deepEqual(traces[1], traces[0]);
  // Faults, events, what brokers say to each other, what clients are told, and what disks are written and read.
  for (const kind of [
    / fault \d+ /,
    / gets \d+: \d+#/,
    / gets message of call \d+: \d+#/,
    / write wal.* \d+#/,
    / read .* \d+#/,
    / row \d+ ok /,
  ])
    assert.ok(
      traces[0]?.some((line) => kind.test(line)),
      `no line of the trace has ${kind}`,
    );
  assert.match(
    execFileSync(process.execPath, [MAIN, "--seed", "15", "--short"], { encoding: "utf8" }),
    new RegExp(`digest ${first.digest}\n`),
  );
});

/** What is said of a broken broker within so many seeds. */
async function complaints(makeBroker: MakeBroker, seeds: number): Promise<readonly string[]> {
  const said: string[] = [];
  for (let seed = 1; seed <= seeds; seed++) {
    try {
      const { verdicts } = await runSeed(seed, { makeBroker });
      said.push(...verdicts.flatMap(({ row, violations }) => violations.map((violation) => `${row}: ${violation}`)));
    } catch (error) {
      said.push(error instanceof Error ? error.message : String(error));
    }
  }
  return said;
}

it("A broker that does not wait for its disk is caught by what it promised", async () => {
  const hasty = (disk: Disk): Disk => ({
    root: disk.root,
    open: (path, { mode }) => disk.open(path, { mode }),
    list: (path) => disk.list(path),
    makeDirectory: (path) => disk.makeDirectory(path),
    rename: (from, to) => disk.rename(from, to),
    unlink: (path) => disk.unlink(path),
    removeDirectory: (path) => disk.removeDirectory(path),
    syncDirectory: (path) => disk.syncDirectory(path),
    freeBytes: () => disk.freeBytes(),
    lock: () => disk.lock(),
  });
  const found = await complaints((ports, config, options) => createBroker({ ...ports, disk: hasty(ports.disk) }, config, options), 20);
  // By an invariant, a checker, or the next start that finds its log torn in the middle.
  assert.ok(
    found.some((one) => /^(R\d|L\d+)| is damaged /.test(one)),
    found.join("\n"),
  );
});
