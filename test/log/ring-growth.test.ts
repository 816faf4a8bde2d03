import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { append, draft, EMPTY, group, replica, term, text } from "./frames.ts";
import { KiB, Machine } from "./machine.ts";

const FILES = 6;

/** A group of which nobody commits what fills the oldest file of a ring, and one of which all is committed at once, until it finds no room. */
async function pinned() {
  const machine = new Machine(3);
  const store = await machine.open({ walFilesMax: FILES, walFileBytes: 64 * KiB, segmentBytes: 1024 * KiB });
  const stuck = await machine.run(store.create(group(1), replica(1), EMPTY, text("")));
  const healthy = await machine.run(store.create(group(2), replica(2), EMPTY, text("")));
  const tick = (ms: number) => machine.scheduler.run(machine.scheduler.now + ms);
  for (let n = 0; n < 10; n += 1) {
    append(stuck, term(1), [draft(n, 3_700)]);
    await tick(20);
  }
  let records = 0;
  const write = async (): Promise<boolean> => {
    if (!store.takes(3_900)) return false;
    records += 1;
    append(healthy, term(1), [draft(records, 3_700)]);
    await tick(5);
    healthy.commit(healthy.lastIndex);
    return true;
  };
  const refuse = async (groupId: number): Promise<number> => {
    let refused = 0;
    for (let look = 0; look < 600; look += 1) {
      if (!(await write())) {
        store.refusedAppend(group(groupId));
        refused += 1;
      }
      await tick(100);
    }
    return refused;
  };
  /** Until the ring is full. */
  const fill = async (): Promise<void> => {
    while (await write());
  };
  return { machine, store, stuck, fill, refuse, tick };
}

// FS18
describe("A ring whose oldest file is kept by what nobody commits", () => {
  it("does not grow for the records of another group, which would only fill it", async () => {
    const { store, refuse } = await pinned();
    assert.ok((await refuse(2)) > 100);
    assert.equal(store.walFilesMax, FILES);
  });

  it("grows for the group's own, to twice of what it was to have at most", async () => {
    const { store, refuse } = await pinned();
    assert.ok((await refuse(1)) > 10);
    assert.equal(store.walFilesMax, 2 * FILES);
  });

  it("does not grow for two refusals that are a minute apart", async () => {
    const { store, fill, tick } = await pinned();
    await fill();
    for (let n = 0; n < 5; n += 1) {
      assert.ok(!store.takes(3_900));
      store.refusedAppend(group(1));
      await tick(60_000);
    }
    assert.equal(store.walFilesMax, FILES);
  });

  it("does not grow once what keeps the oldest file is committed, however long its way into a segment is", async () => {
    const { machine, store, stuck, fill, tick } = await pinned();
    await fill();
    const refused = async (ms: number): Promise<void> => {
      for (let n = 0; n < ms / 100; n += 1) {
        assert.ok(!store.takes(40 * KiB));
        store.refusedAppend(group(1));
        await tick(100);
      }
    };
    await refused(1_900);
    const files = store.walFilesUsed;
    machine.device.slowness = 3_000;
    stuck.commit(stuck.lastIndex);
    await refused(2_000);
    assert.equal(store.walFilesUsed, files, "the file is kept");
    assert.equal(store.walFilesMax, FILES);
    machine.device.slowness = 1;
    await tick(60_000);
    store.takes(40 * KiB);
    await machine.settle();
    assert.ok(store.walFilesUsed < files);
  });
});

/** Of the largest block that a file of 64 KiB takes. */
const LARGEST = 15 * KiB;

/** One group of which nobody commits anything, until a batch near the largest block finds no room, although a smaller one does. */
async function noRoomForLarge(walFilesMax: number) {
  const machine = new Machine(4);
  const store = await machine.open({ walFilesMax, walFileBytes: 64 * KiB });
  const log = await machine.run(store.create(group(1), replica(1), EMPTY, text("")));
  const tick = (ms: number) => machine.scheduler.run(machine.scheduler.now + ms);
  await tick(1_000);
  const fill = async (): Promise<void> => {
    for (let n = 0; store.takes(LARGEST); n += 1) {
      append(log, term(1), [draft(n, 3_700)]);
      await tick(20);
    }
  };
  await fill();
  return { machine, store, fill, tick };
}

describe("A batch near the largest block, in a ring of the least files", () => {
  it("gets a file more in time, where records have a file yet, and not the room for this one", async () => {
    const { machine, store, fill, tick } = await noRoomForLarge(FILES);
    for (let look = 0; look < 5; look += 1) {
      await tick(1_000);
      await fill();
    }
    assert.ok(store.takes(2 * KiB), "there is room for a small one");
    for (let look = 0; look < 40 && !store.takes(LARGEST); look += 1) {
      store.refusedAppend(group(1));
      await tick(100);
    }
    assert.ok(store.takes(LARGEST));
    assert.equal(store.walFilesMax, FILES + 1);
    assert.ok(machine.events.some((event) => event.startsWith("log.ring_grew")));
  });

  it("gets a file at once that the ring was to have and has not yet", async () => {
    const { machine, store, tick } = await noRoomForLarge(12);
    await tick(1_000);
    assert.ok(store.takes(LARGEST));
    assert.equal(store.walFilesMax, 12);
    const made = await machine.run(machine.disk.list("wal"));
    assert.ok(made.length < 12, `${made.length} files`);
  });
});

describe("Votes in a full ring on a full disk", () => {
  it("get a file out of the reserve while a whole one fits, and then wait until one does", async () => {
    const machine = new Machine(5);
    const store = await machine.open({ walFilesMax: FILES, walFileBytes: 64 * KiB, diskReserveBytes: 256 * KiB });
    const log = await machine.run(store.create(group(1), replica(1), EMPTY, text("")));
    const tick = (ms: number) => machine.scheduler.run(machine.scheduler.now + ms);
    await tick(1_000);
    for (let n = 0; store.takes(3_900); n += 1) {
      append(log, term(1), [draft(n, 3_700)]);
      await tick(20);
    }
    machine.device.leaveFree(100 * KiB);
    await tick(5_000);
    assert.ok(store.space.full);
    let [at, durable] = [1, 0];
    // A block each: of 4 KiB, of which 15 fit into a file behind the checkpoint.
    const vote = async (count: number): Promise<void> => {
      for (let n = 0; n < count; n += 1) {
        at += 1;
        const state = { term: term(at), votedFor: replica(1) };
        log.write({ state, truncateFrom: undefined, frames: [] }, () => {
          durable += 1;
        });
        await tick(100);
      }
    };
    await vote(30);
    assert.equal(durable, 30);
    assert.equal(store.walFilesMax, FILES + 1, "a whole file, of the reserve");
    await vote(30);
    assert.ok(durable < 60, `${durable} of 60 votes are durable, without room for a file`);
    machine.device.leaveFree(1024 * KiB);
    await tick(10_000);
    assert.equal(durable, 60);
    assert.deepEqual(machine.failures, []);
  });
});
