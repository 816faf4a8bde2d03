import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Frame } from "../../src/records/frame-types.ts";
import { append, draft, EMPTY, group, index, replica, term, text } from "./frames.ts";
import { KiB, Machine } from "./machine.ts";

const FRAME = 4 * KiB;
const FRAMES = 8;

describe("a slow read of the write-ahead log", () => {
  it("gets what was written, although everything it reads is freed and the ring goes round meanwhile", async () => {
    const machine = new Machine(61);
    const options = { hotTailBytes: 0, walFilesMax: 5 };
    const first = await machine.open(options);
    const log = await machine.run(first.create(group(1), replica(1), EMPTY, text("")));
    await machine.run(
      new Promise<void>((durable) =>
        append(
          log,
          term(1),
          Array.from({ length: FRAMES }, (_, n) => draft(n, FRAME)),
          durable,
        ),
      ),
    );
    machine.crash();

    const store = await machine.open(options);
    const again = store.open(group(1));
    const other = await machine.run(store.create(group(2), replica(2), EMPTY, text("")));
    // Only the read is slow: what is asked for in this turn.
    machine.device.slowness = 100_000;
    const read: Frame[] = [];
    let ended = false;
    const reading = Promise.resolve(again.read(index(1), 1024 * KiB, index(FRAMES))).then((result) => {
      if (result.kind === "frames") read.push(...result.frames);
      ended = true;
    });
    for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
    machine.device.slowness = 1;

    again.commit(index(FRAMES));
    let written = 0;
    for (let n = 0; n < 60; n += 1) {
      append(other, term(1), [draft(1_000 + n, FRAME)], () => {
        written += 1;
      });
      other.commit(other.lastIndex);
      await machine.scheduler.run(machine.scheduler.now + 20);
    }
    assert.ok(!ended && written > 5 && written < 60, `it is slower than ${written} writes, and more wait for its file`);
    await machine.run(reading);
    assert.equal(read.length, FRAMES);
    for (const [n, frame] of read.entries()) assert.equal(Buffer.compare(frame.payload, draft(n, FRAME).payload), 0);
    // The files that it kept are free when it has ended: what waited for one goes on.
    await machine.settle();
    assert.equal(written, 60);
    await machine.run(store.close());
    assert.deepEqual(machine.failures, []);
  });

  it("finds a frame that is appended again where it lay, until it lies elsewhere", async () => {
    const machine = new Machine(62);
    const options = { hotTailBytes: 0, walFilesMax: 5 };
    const first = await machine.open(options);
    const log = await machine.run(first.create(group(1), replica(1), EMPTY, text("")));
    const drafts = Array.from({ length: FRAMES }, (_, n) => draft(n, FRAME / 4));
    await machine.run(new Promise<void>((durable) => append(log, term(1), drafts, durable)));
    machine.crash();

    // Recovered and not committed: they are read from the log, and keep their file until they are appended again.
    const store = await machine.open(options);
    const waiting = store.open(group(1));
    const other = await machine.run(store.create(group(2), replica(2), EMPTY, text("")));
    machine.device.platterMs = 5;
    let reads = 0;
    for (let n = 0; n < 60; n += 1) {
      append(other, term(1), [draft(1_000 + n, FRAME)], () => {});
      other.commit(other.lastIndex);
      for (let slice = 0; slice < 8; slice += 1) {
        const result = await machine.run(Promise.resolve(waiting.read(index(1), 1024 * KiB, index(FRAMES))));
        assert.ok(result.kind === "frames");
        for (const [at, frame] of result.frames.entries()) assert.equal(Buffer.compare(frame.payload, draft(at, FRAME / 4).payload), 0);
        reads += result.frames.length;
        await machine.scheduler.run(machine.scheduler.now + 1);
      }
    }
    assert.equal(reads, 60 * 8 * FRAMES);
    await machine.settle();
    await machine.run(store.close());
    assert.deepEqual(machine.failures, []);
  });
});
