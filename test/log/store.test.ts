import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { GroupLog } from "../../src/log/types.ts";
import type { Frame } from "../../src/records/frame-types.ts";
import { append, draft, EMPTY, group, index, noop, offset, replica, term, text } from "./frames.ts";
import { KiB, Machine } from "./machine.ts";

/** Reads everything in [from, upTo], whatever it lies in. */
async function readAll(machine: Machine, log: GroupLog, from = 1, upTo: number = log.lastIndex, maxBytes = 64 * KiB): Promise<Frame[]> {
  const frames: Frame[] = [];
  for (let next = from; next <= upTo; ) {
    const result = await machine.run(Promise.resolve(log.read(index(next), maxBytes, index(upTo))));
    assert.equal(result.kind, "frames");
    if (result.kind !== "frames") break;
    assert.ok(result.frames.length > 0, `nothing is read at ${next}`);
    frames.push(...result.frames);
    next = (frames.at(-1) as Frame).index + 1;
  }
  return frames;
}

function assertSame(actual: readonly Frame[], expected: readonly Frame[]): void {
  assert.deepEqual(
    actual.map((frame) => Buffer.from(frame.bytes).toString("base64")),
    expected.map((frame) => Buffer.from(frame.bytes).toString("base64")),
  );
}

describe("a log store", () => {
  it("gives back what was written, in memory and after a restart", async () => {
    const machine = new Machine();
    let store = await machine.open();
    let log = await machine.run(store.create(group(7), replica(3), EMPTY, text("config")));
    let durable = 0;
    log.write({ state: { term: term(4), votedFor: replica(3) }, truncateFrom: undefined, frames: [] }, () => durable++);
    const written = append(log, term(4), [noop(), draft(1), draft(2, 5000), draft(3, 0)], () => durable++);
    assert.equal(durable, 0);
    await machine.settle();
    assert.equal(durable, 2);
    assertSame(await readAll(machine, log), written);

    machine.crash();
    store = await machine.open();
    const [recovered] = store.recovered;
    assert.deepEqual(recovered, {
      groupId: 7,
      replicaId: 3,
      term: 4,
      votedFor: 3,
      doubted: false,
      start: EMPTY,
      terms: [{ term: 4, firstIndex: 1 }],
      lastIndex: 4,
      syncedIndex: 0,
      config: text("config"),
      configs: [],
    });
    log = store.open(group(7));
    assertSame(await readAll(machine, log), written);
    assert.equal(log.endOffset, (written.at(-1)?.baseOffset ?? 0) + (written.at(-1)?.recordCount ?? 0));
    await machine.run(store.close());
    assert.deepEqual(machine.failures, []);
  });

  it("goes round the ring many times, and keeps every committed frame in segments", async () => {
    const machine = new Machine();
    let store = await machine.open();
    let log = await machine.run(store.create(group(7), replica(3), EMPTY, text("")));
    const written: Frame[] = [];
    for (let i = 0; i < 400; i += 1) {
      written.push(...append(log, term(1), [draft(i, 4000)]));
      if (i % 5 === 4) await machine.settle();
      log.commit(log.lastIndex);
    }
    await machine.settle();
    assert.deepEqual(machine.failures, []);
    assertSame(await readAll(machine, log), written);
    assert.ok(log.segmentBytes > 1000 * KiB, `${log.segmentBytes} bytes in segments`);

    machine.crash(true);
    store = await machine.open();
    log = store.open(group(7));
    assertSame(await readAll(machine, log), written);
    log.commit(index(400));
    await machine.run(store.close());
    store = await machine.open();
    log = store.open(group(7));
    assertSame(await readAll(machine, log), written);
    assert.equal(store.recovered[0]?.syncedIndex, 400);
  });

  it("cuts a segment to what was synced, whatever the page cache kept behind it", async () => {
    const machine = new Machine();
    const options = { walFileBytes: 2048 * KiB, walFilesMax: 8, segmentBytes: 4096 * KiB };
    let store = await machine.open(options);
    let log = await machine.run(store.create(group(7), replica(3), EMPTY, text("")));
    const written = append(log, term(1), [draft(1, 4000)]);
    log.commit(log.lastIndex);
    await machine.run(store.close());
    store = await machine.open(options);
    log = store.open(group(7));
    const path = machine.device.files().find((one) => one.path.endsWith(".log"))?.path;
    const size = (): number => machine.device.files().find((one) => one.path === path)?.file.size ?? 0;
    const synced = size();
    // A whole piece goes to the segment, and nobody syncs it.
    for (let i = 0; i < 80; i += 1) written.push(...append(log, term(1), [draft(i, 4000)]));
    log.commit(log.lastIndex);
    await machine.settle();
    assert.ok(size() > synced + 256 * KiB);
    machine.crash();
    store = await machine.open(options);
    assert.equal(size(), synced);
    log = store.open(group(7));
    assert.equal(log.lastIndex, 81);
    assertSame(await readAll(machine, log), written);
    log.commit(log.lastIndex);
    await machine.run(store.close());
    machine.crash(true);
    store = await machine.open(options);
    assertSame(await readAll(machine, store.open(group(7))), written);
  });

  it("does not keep memory for frames that segments have, and says from where on it has them", async () => {
    const machine = new Machine();
    const store = await machine.open({ hotTailBytes: 2 * 1024 * KiB, walFileBytes: 4096 * KiB, walFilesMax: 8, segmentBytes: 4096 * KiB });
    const log = await machine.run(store.create(group(7), replica(3), EMPTY, text("")));
    const written: Frame[] = [];
    for (let i = 0; i < 200; i += 1) {
      written.push(...append(log, term(1), [draft(i, 50_000)]));
      log.commit(log.lastIndex);
      await machine.settle();
    }
    assert.ok(log.hotFrom > 120 && log.hotFrom < 200, `hot from ${log.hotFrom}`);
    assert.equal(log.frame(index(1)), undefined);
    assert.equal(log.frame(log.hotFrom)?.index, log.hotFrom);
    assert.ok(log.read(log.hotFrom, 1, log.lastIndex) instanceof Promise === false);
    assertSame(await readAll(machine, log), written);
    assert.ok(log.pendingBytes < 1024 * KiB);
  });

  it("keeps uncommitted frames in memory when committed ones have to go", async () => {
    const machine = new Machine();
    const store = await machine.open({ hotTailBytes: 2 * 1024 * KiB, walFileBytes: 4096 * KiB, walFilesMax: 8, segmentBytes: 4096 * KiB });
    const slow = await machine.run(store.create(group(1), replica(1), EMPTY, text("")));
    const fast = await machine.run(store.create(group(2), replica(2), EMPTY, text("")));
    const waiting = append(slow, term(1), [draft(1, 100), draft(2, 100)]);
    for (let i = 0; i < 200; i += 1) {
      append(fast, term(1), [draft(i, 50_000)]);
      fast.commit(fast.lastIndex);
      await machine.settle();
    }
    assert.equal(fast.frame(index(1)), undefined);
    assert.equal(slow.hotFrom, 1);
    assertSame([slow.frame(index(1)), slow.frame(index(2))] as Frame[], waiting);
  });

  it("keeps in memory whatever is not committed, even beyond the budget: followers can get it from nowhere else", async () => {
    const machine = new Machine();
    const store = await machine.open({ hotTailBytes: 512 * KiB, walFileBytes: 4096 * KiB, walFilesMax: 8, segmentBytes: 4096 * KiB });
    const log = await machine.run(store.create(group(1), replica(1), EMPTY, text("")));
    const other = await machine.run(store.create(group(2), replica(2), EMPTY, text("")));
    const waiting: Frame[] = [];
    for (let i = 0; i < 60; i += 1) {
      waiting.push(...append(log, term(1), [draft(i, 50_000)]));
      append(other, term(1), [draft(i, 50_000)]);
      other.commit(other.lastIndex);
      await machine.settle();
    }
    assert.equal(log.hotFrom, 1);
    assertSame(
      waiting.map((frame) => log.frame(frame.index) as Frame),
      waiting,
    );
    // Once it is committed it goes like everything else.
    log.commit(log.lastIndex);
    for (let i = 0; i < 60; i += 1) {
      append(other, term(1), [draft(i, 50_000)]);
      other.commit(other.lastIndex);
      await machine.settle();
    }
    assert.ok(log.hotFrom > 40, `hot from ${log.hotFrom}`);
    assertSame(await readAll(machine, log), waiting);
  });

  it("appends again what nobody commits, so that the ring goes on", async () => {
    const machine = new Machine();
    let store = await machine.open();
    const slow = await machine.run(store.create(group(1), replica(1), EMPTY, text("")));
    const fast = await machine.run(store.create(group(2), replica(2), EMPTY, text("")));
    const waiting = append(slow, term(1), [draft(1, 3000), draft(2, 3000), noop()]);
    let durable = 0;
    for (let i = 0; i < 150; i += 1) {
      append(fast, term(1), [draft(i, 4000)], () => durable++);
      fast.commit(fast.lastIndex);
      await machine.settle();
    }
    assert.equal(durable, 150);
    machine.crash(true);
    store = await machine.open();
    assert.equal(store.recovered.find((one) => one.groupId === 1)?.syncedIndex, 0);
    assertSame(await readAll(machine, store.open(group(1))), waiting);
    assert.equal(store.open(group(2)).lastIndex, 150);
  });

  it("never takes a dropped replica id again", async () => {
    const machine = new Machine();
    let store = await machine.open();
    await machine.run(store.create(group(7), replica(3), EMPTY, text("")));
    await machine.run(store.drop(group(7)));
    assert.deepEqual([store.wasDropped(replica(3)), store.wasDropped(replica(4))], [true, false]);
    await assert.rejects(machine.run(store.create(group(7), replica(3), EMPTY, text(""))), /dropped/);
    await machine.run(store.create(group(7), replica(4), EMPTY, text("")));
    machine.crash(true);
    store = await machine.open();
    assert.deepEqual(
      store.recovered.map((one) => one.replicaId),
      [4],
    );
    await machine.run(store.drop(group(7)));
    assert.deepEqual([store.wasDropped(replica(3)), store.wasDropped(replica(4))], [true, true]);
    await assert.rejects(machine.run(store.create(group(7), replica(3), EMPTY, text(""))), /dropped/);
  });

  it("calls back in the order of the writes, one block for all of one turn", async () => {
    const machine = new Machine();
    const store = await machine.open();
    const log = await machine.run(store.create(group(7), replica(3), EMPTY, text("")));
    const other = await machine.run(store.create(group(8), replica(4), EMPTY, text("")));
    const order: string[] = [];
    const before = store.durableBlockSequence;
    append(log, term(1), [draft(1)], () => order.push("a"));
    append(other, term(1), [draft(2)], () => order.push("b"));
    append(log, term(1), [draft(3)], () => order.push("c"));
    await machine.settle();
    assert.deepEqual(order, ["a", "b", "c"]);
    assert.equal(store.durableBlockSequence, before + 1);
  });

  it("says of each block with records of clients how long the first of them waited, and of no other", async () => {
    const machine = new Machine();
    const store = await machine.open();
    const log = await machine.run(store.create(group(1), replica(1), EMPTY, text("")));
    const waits: number[] = [];
    store.waited = (ms) => waits.push(ms);
    log.write({ state: { term: term(1), votedFor: replica(1) }, truncateFrom: undefined, frames: [] }, () => {});
    append(log, term(1), [noop()]);
    await machine.settle();
    assert.deepEqual(waits, []);
    machine.device.slowness = 100;
    const began = machine.scheduler.now;
    const durableAt: number[] = [];
    append(log, term(1), [draft(1)], () => durableAt.push(machine.scheduler.now));
    // Behind the block on its way, from here on: the second of these does not begin the wait anew.
    await machine.scheduler.run(began + 1);
    const second = machine.scheduler.now;
    append(log, term(1), [draft(2)]);
    await machine.scheduler.run(second + 5);
    append(log, term(1), [draft(3)], () => durableAt.push(machine.scheduler.now));
    await machine.settle();
    assert.equal(waits.length, 2);
    assert.ok(Math.abs((waits[0] ?? 0) - ((durableAt[0] ?? 0) - began)) < 1, `${waits[0]} ms`);
    assert.ok(Math.abs((waits[1] ?? 0) - ((durableAt[1] ?? 0) - second)) < 1, `${waits[1]} ms`);
  });

  it("ends a read that was given up at its next load, with nothing", async () => {
    const machine = new Machine();
    const store = await machine.open({ segmentBytes: 8 * 1024 * KiB });
    const log = await machine.run(store.create(group(7), replica(3), EMPTY, text("")));
    for (let i = 0; i < 240; i += 1) {
      append(log, term(1), [draft(i, 12 * KiB)]);
      if (i % 6 === 5) await machine.settle();
      log.commit(log.lastIndex);
    }
    await machine.settle();
    let reads = 0;
    machine.device.watch = (kind) => {
      if (kind === "read") reads += 1;
    };
    const read = async (stopped?: () => boolean): Promise<readonly [frames: number, reads: number]> => {
      reads = 0;
      const result = await machine.run(Promise.resolve(log.readFrom(offset(0), 64 * 1024 * KiB, log.lastIndex, stopped)));
      return [result.kind === "frames" ? result.frames.length : -1, reads];
    };
    const [frames, loads] = await read();
    assert.ok(frames > 64 && loads >= 3, `${frames} frames in ${loads} loads`);
    assert.deepEqual(await read(() => true), [0, 0]);
    assert.deepEqual(await read(() => reads >= 1), [0, 1]);
  });

  it("ends a search by time that was given up, in the middle of a segment", async () => {
    const machine = new Machine();
    const store = await machine.open({ segmentBytes: 8 * 1024 * KiB });
    const log = await machine.run(store.create(group(7), replica(3), EMPTY, text("")));
    const frames = 240;
    for (let i = 0; i < frames; i += 1) {
      // The first one is new enough and below where the search begins; then none is before the last.
      const timestamp = i === 0 || i === frames - 1 ? 1_000 : 1;
      append(log, term(1), [{ ...draft(i, 12 * KiB), firstTimestamp: timestamp, maxTimestamp: timestamp }]);
      if (i % 6 === 5) await machine.settle();
      log.commit(log.lastIndex);
    }
    await machine.settle();
    let reads = 0;
    machine.device.watch = (kind) => {
      if (kind === "read") reads += 1;
    };
    const from = offset(frames / 4);
    const search = async (stopped?: () => boolean): Promise<readonly [found: number | undefined, reads: number]> => {
      reads = 0;
      return [(await machine.run(log.findTime(1_000, log.lastIndex, from, stopped)))?.index, reads];
    };
    const [found, loads] = await search();
    assert.ok(found === frames && loads >= 3, `${found} in ${loads} loads`);
    assert.deepEqual(await search(() => true), [undefined, 0]);
    assert.deepEqual(await search(() => reads >= 1), [undefined, 1]);
  });
});
