import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Machine } from "../../log/machine.ts";
import { TallyRun } from "./machine-run.ts";

describe("a machine that is not the metadata", () => {
  it("decides on what is not committed yet, answers once it is, and reads behind what was answered", async () => {
    const machine = new Machine();
    const run = await TallyRun.start(machine);
    assert.deepEqual(run.told, ["began"]);
    const answers = Promise.all([run.add({ name: "a", by: 3 }), run.add({ name: "a", by: 3, atMost: 5 }), run.add({ name: "a", by: 2 })]);
    assert.deepEqual([run.decider.image.sum("a"), run.view.image.sum("a")], [5, 0], "decided, not committed");
    assert.deepEqual(await answers, [3, "INVALID_REQUEST", 5]);
    assert.equal(await run.read("a"), 5);
    assert.deepEqual(run.changes, [[{ name: "a", by: 3 }], [{ name: "a", by: 2 }]]);
    assert.equal(run.log.endOffset, 4, "two facts of two records each");
  });

  it("goes on from snapshot and tail after a power cut, and its log is trimmed behind the older snapshot", async () => {
    const machine = new Machine();
    const before = await TallyRun.start(machine);
    for (let i = 1; i <= 40; i += 1) assert.equal(await before.add({ name: "a", by: 1 }), i);
    await machine.settle();
    assert.ok(before.told.filter((one) => one === "snapshot").length >= 3, before.told.join());
    assert.ok(before.log.start.index > 0, "what lies behind two snapshots is gone");
    machine.crash(true);
    const after = await TallyRun.start(machine);
    assert.deepEqual([after.told[0], after.changes[0]], ["began", undefined]);
    assert.equal(await after.read("a"), 40);
    assert.ok(after.view.appliedBytes < before.view.appliedBytes / 2, "most of it came from the snapshot");
    assert.equal(await after.add({ name: "a", by: 1 }), 41);
  });
});
