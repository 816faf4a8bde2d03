import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { GroupLog, LogStore, LogStoreOptions } from "../../src/log/types.ts";
import type { Frame } from "../../src/records/frame-types.ts";
import { append, draft, EMPTY, group, index, replica, term, text } from "./frames.ts";
import { KiB, Machine } from "./machine.ts";

const FRAME = 8 * KiB;
const RESERVE = 64 * KiB;
const options: Partial<LogStoreOptions> = { diskReserveBytes: RESERVE, walFileBytes: 256 * KiB, walFilesMax: 8, segmentBytes: 512 * KiB };

async function opened(
  seed: number,
  more: Partial<LogStoreOptions> = options,
): Promise<{ machine: Machine; store: LogStore; log: GroupLog }> {
  const machine = new Machine(seed);
  const store = await machine.open(more);
  const log = await machine.run(store.create(group(1), replica(1), EMPTY, text("")));
  await machine.settle();
  return { machine, store, log };
}

/** Appends and commits, and waits until it is durable in the ring. */
async function write(machine: Machine, log: GroupLog, count: number): Promise<void> {
  for (let n = 0; n < count; n += 1)
    await machine.run(
      new Promise<void>((durable) => {
        append(log, term(1), [draft(log.lastIndex, FRAME)], durable);
        log.commit(log.lastIndex);
      }),
    );
}

async function readAll(machine: Machine, log: GroupLog): Promise<readonly Frame[]> {
  const frames: Frame[] = [];
  for (let next = 1; next <= log.lastIndex; next = (frames.at(-1) as Frame).index + 1) {
    const result = await machine.run(Promise.resolve(log.read(index(next), 64 * KiB, log.lastIndex)));
    assert.ok(result.kind === "frames" && result.frames.length > 0);
    frames.push(...result.frames);
  }
  return frames;
}

function assertWhole(frames: readonly Frame[], count: number): void {
  assert.equal(frames.length, count);
  for (const [i, frame] of frames.entries()) assert.equal(Buffer.compare(frame.payload, draft(i, FRAME).payload), 0, `frame ${i}`);
}

describe("a full disk", () => {
  it("is seen before it is full, when less than the reserve is free, and is over when somewhat more is", async () => {
    const { machine, store } = await opened(21);
    assert.ok(!store.space.full);
    const left = async (bytes: number): Promise<boolean> => {
      machine.device.leaveFree(bytes);
      await machine.settle();
      return store.space.full;
    };
    assert.equal(await left(RESERVE), false);
    assert.equal(await left(RESERVE - 1), true);
    assert.equal(store.space.freeBytes, RESERVE - 1);
    assert.equal(await left(RESERVE), true, "the next write would end it");
    assert.equal(await left(RESERVE * 1.125), false);
    await machine.run(store.close());
  });

  it("stops nothing: segments wait, votes do not, and all of it is written once there is room", async () => {
    const { machine, store, log } = await opened(22);
    machine.device.leaveFree(20 * KiB);
    await write(machine, log, 12);
    await machine.settle();
    assert.ok(store.space.full);
    assert.deepEqual(machine.failures, []);
    assert.equal(log.segmentBytes > 12 * FRAME, false, "there was no room for it");
    await machine.run(
      new Promise<void>((durable) => {
        log.write({ state: { term: term(2), votedFor: replica(1) }, truncateFrom: undefined, frames: [] }, durable);
      }),
    );
    assertWhole(await readAll(machine, log), 12);
    machine.device.leaveFree(1024 * KiB);
    await machine.settle();
    assert.ok(!store.space.full);
    await machine.run(store.close());
    assert.ok(log.segmentBytes > 12 * FRAME);
    const again = await machine.open(options);
    assertWhole(await readAll(machine, again.open(group(1))), 12);
    assert.deepEqual(machine.failures, []);
  });

  it("leaves nothing half written", async () => {
    const { machine, store, log } = await opened(23);
    await write(machine, log, 40);
    await machine.settle();
    const before = log.segmentBytes;
    machine.device.leaveFree(3 * FRAME + 100);
    await write(machine, log, 5);
    await machine.scheduler.run(machine.scheduler.now + 3_000);
    assert.equal(log.segmentBytes, before);
    await machine.run(store.close());
    const files = machine.device.files().filter(({ path }) => path.startsWith("groups/") && path.endsWith(".log"));
    assert.equal(files.reduce((sum, { file }) => sum + file.size, 0) - footers(files.length), before);
    assert.deepEqual(machine.failures, []);
  });

  it("loses nothing when the process dies while it lasts", async () => {
    for (let seed = 30; seed < 40; seed += 1) {
      const { machine, log } = await opened(seed);
      machine.device.leaveFree((seed - 30) * 9 * KiB);
      await write(machine, log, 14);
      await machine.scheduler.run(machine.scheduler.now + 10 * (seed - 30));
      machine.crash(seed % 2 === 0);
      const again = await machine.open(options);
      assert.ok(seed > 37 || again.space.full);
      const recovered = again.open(group(1));
      assertWhole(await readAll(machine, recovered), 14);
      machine.device.leaveFree(1024 * KiB);
      recovered.commit(index(14));
      await machine.settle();
      await machine.run(again.close());
      assert.deepEqual(machine.failures, []);
    }
  });

  it("that fills at once finds nothing in line before a vote that the ring has no room for", async () => {
    const { machine, log, store } = await opened(29, { ...options, diskReserveBytes: 0, walFileBytes: 64 * KiB, walFilesMax: 4 });
    machine.device.leaveFree(20 * KiB);
    await machine.settle();
    let frames = 0;
    // Committed at once: nothing but the segments stands between this and more room.
    for (; frames < 200 && store.takes(FRAME + 200); frames += 1) {
      append(log, term(1), [draft(frames, FRAME)]);
      log.commit(log.lastIndex);
    }
    let voted = false;
    log.write({ state: { term: term(2), votedFor: replica(1) }, truncateFrom: undefined, frames: [] }, () => {
      voted = true;
    });
    await machine.settle();
    assert.ok(voted, `${frames} frames stand before it`);
    machine.device.leaveFree(10_000 * KiB);
    await machine.settle();
    assert.ok(store.takes(FRAME + 200));
    assertWhole(await readAll(machine, log), frames);
  });

  it("keeps the ring from growing into the reserve, not from having the files that are kept free", async () => {
    const { machine, store, log } = await opened(24);
    const rings = (): number => machine.device.files().filter(({ path }) => path.startsWith("wal/")).length;
    assert.equal(rings(), 4);
    machine.device.leaveFree(RESERVE + 400 * KiB);
    for (let n = 0; n < 40; n += 1) await write(machine, log, 1);
    await machine.settle();
    assert.equal(rings(), 5, "for one there was room");
    assert.deepEqual(machine.failures, []);
    machine.device.leaveFree(10_000 * KiB);
    for (let n = 0; n < 30; n += 1) await write(machine, log, 1);
    await machine.settle();
    await machine.run(store.close());
  });

  it("goes on in a ring that could not grow", async () => {
    const { machine, store, log } = await opened(27);
    let written = 0;
    // Of eight files there are four: no half of eight is ever used, and the ones that are there must be freed all the same.
    for (; written < 200 && !store.space.full; written += 1) {
      assert.ok(store.takes(FRAME + 200), `no room after ${written}`);
      // Enough for segments, not for a file of the ring.
      machine.device.leaveFree(RESERVE + 200 * KiB);
      await write(machine, log, 1);
    }
    assert.equal(written, 200);
    await machine.run(store.close());
  });

  it("lets a log be closed and a group be dropped at once", async () => {
    const { machine, store, log } = await opened(25);
    const other = await machine.run(store.create(group(2), replica(2), EMPTY, text("")));
    machine.device.leaveFree(0);
    await write(machine, log, 5);
    await write(machine, other, 5);
    await machine.settle();
    await machine.run(store.drop(group(2)));
    await machine.run(store.close());
    assert.deepEqual(machine.failures, []);
  });

  it("is told apart from a disk that fails: any other failed write, and any failed sync, ends the broker", async () => {
    for (const [kind, code] of [
      ["write", "EIO"],
      ["write", "EDQUOT"],
      ["sync", "EIO"],
      ["sync", "ENOSPC"],
    ] as const) {
      const { machine, store, log } = await opened(26);
      machine.device.failNext(kind, code, "groups/");
      for (let n = 0; n < 40; n += 1) append(log, term(1), [draft(n, FRAME)]);
      await machine.settle();
      log.commit(log.lastIndex);
      await machine.run(store.close());
      assert.equal(machine.failures.length, 1, `${kind} ${code}`);
      assert.match(String(machine.failures[0]), new RegExp(code));
    }
  });
});

const footers = (segments: number): number => (segments - 1) * 88;
