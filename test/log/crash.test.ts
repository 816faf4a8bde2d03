import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { append, draft, EMPTY, group, replica, term, text } from "./frames.ts";
import { Machine } from "./machine.ts";
import { runStories, TINY_SEGMENTS } from "./story.ts";

describe("a log that crashes at any disk operation", () => {
  it("is one that was written, with everything that was called durable", () => runStories(1, 12));

  it("is so where segments are tiny beside the files of the ring", () => runStories(500, 4, TINY_SEGMENTS));

  it("makes durable what it recovered from the page cache, before it says so (recovered is not durable)", async () => {
    let recoveredUnpromised = 0;
    for (let seed = 1; seed <= 80; seed += 1) {
      const machine = new Machine(seed);
      const store = await machine.open();
      const log = await machine.run(store.create(group(1), replica(1), EMPTY, text("")));
      append(log, term(1), [draft(seed, 3000)]);
      // The process dies in the middle of the write of the block: the page cache may have all of it, the disk nothing.
      let crashed = false;
      machine.device.watch = (kind) => {
        if (kind !== "write" || crashed) return;
        crashed = true;
        machine.crash();
      };
      await machine.scheduler.run(machine.scheduler.now + 1000, () => crashed);
      machine.device.watch = undefined;
      const seen = (await machine.open()).recovered[0]?.lastIndex ?? 0;
      recoveredUnpromised += seen;
      machine.crash(true);
      assert.ok(((await machine.open()).recovered[0]?.lastIndex ?? 0) >= seen, `seed ${seed}`);
    }
    assert.ok(recoveredUnpromised > 10, `${recoveredUnpromised} of 80: the test tests nothing`);
  });
});
