import assert from "node:assert/strict";
import { it } from "node:test";
import { raftRun } from "./raft-run.ts";

it("The Raft core keeps R1 to R8 under faults, and makes progress once all is healed", async () => {
  let committed = 0;
  let faults = 0;
  const judged = new Map<string, number>();
  for (let seed = 1; seed <= 30; seed++) {
    const run = await raftRun(seed);
    committed += run.committed;
    faults += run.faults;
    for (const verdict of run.invariants.verdicts()) judged.set(verdict.row, (judged.get(verdict.row) ?? 0) + verdict.judged);
  }
  assert.ok(committed > 3_000, `only ${committed} entries committed`);
  assert.ok(faults > 300, `only ${faults} faults`);
  // R7 needs to know whom a replica voted for, which the core does not tell.
  for (const [row, facts] of judged) assert.ok(facts > 0 || row === "R7", `${row} judged nothing`);
});

it("One seed is one run", async () => {
  assert.equal((await raftRun(5)).digest, (await raftRun(5)).digest);
});

it("A disk that does not keep what it calls durable is noticed", async () => {
  let noticed = "";
  for (let seed = 1; seed <= 40 && noticed === ""; seed++) {
    noticed = await raftRun(seed, undefined, { durableWrites: true, sync: true }).then(
      () => "",
      (error: Error) => error.message,
    );
  }
  assert.match(noticed, /seed \d+: R\d/);
});
