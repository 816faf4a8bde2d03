import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Inherited } from "../../src/log/types.ts";
import { file } from "./damaged.ts";
import { append, draft, EMPTY, group, index, replica, term, text } from "./frames.ts";
import { KiB, Machine } from "./machine.ts";

const FILES = 6;
const RING = { walFilesMax: FILES, walFileBytes: 64 * KiB, segmentBytes: 1024 * KiB };

/** What the leader of this group has from leaders before it. */
function inherited(groupId: number, at = 11): Inherited {
  return { groupId: group(groupId), term: term(2), index: index(at) };
}

/** A group of which nobody commits what fills the oldest file of a ring, and one of which all is committed at once, until it finds no room. */
async function pinned() {
  const machine = new Machine(3);
  const store = await machine.open(RING);
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
  /** For a minute somebody has records that its leader may be unable to commit without, and others have some too. */
  const refuse = async (refused: () => Inherited, bytes = 3_900): Promise<void> => {
    for (let look = 0; look < 600; look += 1) {
      await write();
      const asked = refused();
      if (!store.takes(bytes, asked)) store.refusedAppend(asked);
      await tick(100);
    }
  };
  /** Until the ring is full. */
  const fill = async (): Promise<void> => {
    while (await write());
  };
  return { machine, store, stuck, fill, refuse, tick };
}

// FS18
describe("A ring whose oldest file is kept by what nobody commits", () => {
  it("does not grow for records that everybody may have", async () => {
    const { store, fill, tick } = await pinned();
    for (let look = 0; look < 100; look += 1) {
      await fill();
      assert.ok(!store.takes(3_900));
      await tick(300);
    }
    assert.equal(store.walFilesMax, FILES);
  });

  it("grows for what any group's leader inherited, as far as that needs it: others get nothing of it", async () => {
    for (const groupId of [1, 2]) {
      const { store, refuse } = await pinned();
      await refuse(() => inherited(groupId));
      assert.equal(store.walFilesMax, FILES + 1);
      assert.ok(store.takes(3_900, inherited(groupId)));
      assert.ok(!store.takes(3_900));
      assert.ok(!store.takes(3_900, inherited(3 - groupId)), "of another group");
      assert.ok(!store.takes(3_900, { ...inherited(groupId), term: term(3) }), "of another leader");
    }
  });

  it("grows to twice of what it was to have at most, and says so", async () => {
    const { machine, store, refuse } = await pinned();
    await refuse(() => inherited(1), 1_000_000);
    assert.equal(store.walFilesMax, 2 * FILES);
    assert.equal(machine.events.filter((event) => event.startsWith("log.ring_outgrown")).length, 1);
  });

  it("keeps such files through closes: none of them is begun for a checkpoint", async () => {
    const { machine, store, refuse } = await pinned();
    await refuse(() => inherited(1));
    const used = store.walFilesUsed;
    let open = store;
    for (let n = 0; n < 3; n += 1) {
      await machine.run(open.close());
      open = await machine.open(RING);
      assert.equal(open.walFilesUsed, used, `after ${n + 1} closes`);
      assert.ok(!open.takes(3_900));
      for (let look = 0; look < 60 && !open.takes(3_900, inherited(1)); look += 1) {
        open.refusedAppend(inherited(1));
        await machine.scheduler.run(machine.scheduler.now + 100);
      }
      assert.ok(open.takes(3_900, inherited(1)));
    }
    assert.equal(open.walFilesMax, FILES + 1);
  });

  it("keeps such files from what is said of segments, one mark after the other, of which none lets the oldest file go", async () => {
    const { machine, store, refuse, tick } = await pinned();
    const slow = await machine.run(store.create(group(3), replica(3), EMPTY, text("")));
    for (let n = 0; n < 40; n += 1) append(slow, term(1), [draft(n, 100)]);
    await refuse(() => inherited(1));
    const used = store.walFilesUsed;
    for (let at = 1; at <= slow.lastIndex; at += 1) {
      slow.commit(index(at));
      slow.push();
      await tick(100);
      assert.equal(store.walFilesUsed, used, `after ${at} marks`);
    }
    assert.equal(store.walFilesMax, FILES + 1);
    assert.ok(store.takes(3_900, inherited(1)));
  });

  it("gives one to the checkpoint of a start that found damage", async () => {
    const { machine, store, refuse } = await pinned();
    await refuse(() => inherited(1));
    const used = store.walFilesUsed;
    await machine.run(store.close());
    file(machine, "wal/01").flipBit(5 * 4096 + 300, 1);
    const salvaged = (): number => machine.events.filter((event) => event.startsWith("log.wal_salvaged")).length;
    const found = await machine.open(RING);
    assert.equal(salvaged(), 1);
    assert.equal(found.walFilesUsed, used + 1);
    await machine.run(found.close());
  });

  it("does not grow for a group of which something else is refused each time: others commit it without this broker", async () => {
    const { store, refuse } = await pinned();
    let at = 11;
    await refuse(() => inherited(1, at++));
    assert.equal(store.walFilesMax, FILES);
  });

  it("does not grow for a group whose leader changes all the time", async () => {
    const { store, refuse } = await pinned();
    let at = 2;
    await refuse(() => ({ ...inherited(1), term: term(at++) }));
    assert.equal(store.walFilesMax, FILES);
  });

  it("grows for what a leader inherited though appends of the one before it come late, and gives them nothing", async () => {
    const { store, refuse } = await pinned();
    let asked = 0;
    const late = { ...inherited(1), term: term(1) };
    await refuse(() => (asked++ % 2 === 1 ? late : inherited(1)));
    assert.equal(store.walFilesMax, FILES + 1);
    store.refusedAppend(late);
    assert.ok(store.takes(3_900, inherited(1)), "it keeps its files");
    assert.ok(!store.takes(3_900, late));
  });

  it("does not grow for two refusals that are a minute apart", async () => {
    const { store, fill, tick } = await pinned();
    await fill();
    for (let n = 0; n < 5; n += 1) {
      assert.ok(!store.takes(3_900));
      store.refusedAppend(inherited(1));
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
        store.refusedAppend(inherited(1));
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
    for (let look = 0; look < 40 && !store.takes(LARGEST, inherited(1)); look += 1) {
      store.refusedAppend(inherited(1));
      await tick(100);
    }
    assert.ok(store.takes(LARGEST, inherited(1)));
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

/** Frames of the batches below, and what the log asks for them. */
const BATCH = 3_700;
const ROOM = BATCH + 200;

/**
 * A follower of two groups. Of one nothing is known to be committed until `lacks` more batches came, which its leader sends again until they are
 * taken; `others` batches of the other one, committed at once, come for each of them.
 */
async function contest(lacks: number, others: number) {
  const machine = new Machine(3);
  const store = await machine.open(RING);
  const stuck = await machine.run(store.create(group(1), replica(1), EMPTY, text("")));
  const healthy = await machine.run(store.create(group(2), replica(2), EMPTY, text("")));
  const tick = (ms: number) => machine.scheduler.run(machine.scheduler.now + ms);
  for (let n = 0; n < 10; n += 1) {
    append(stuck, term(1), [draft(n, BATCH)]);
    await tick(20);
  }
  let serial = 100;
  const take = async (log: typeof stuck): Promise<void> => {
    serial += 1;
    append(log, term(1), [draft(serial, BATCH)]);
    await tick(2);
  };
  const offer = async (): Promise<boolean> => {
    if (!store.takes(ROOM)) return false;
    await take(healthy);
    healthy.commit(healthy.lastIndex);
    return true;
  };
  // Nothing of the other is sent before the ring is full: its leader was away.
  while (await offer());
  let left = lacks;
  for (let look = 0; look < 2_000 && left > 0; look += 1) {
    for (let n = 0; n < others; n += 1) await offer();
    const needed = inherited(1, stuck.lastIndex + 1);
    if (store.takes(ROOM, needed)) {
      await take(stuck);
      left -= 1;
    } else store.refusedAppend(needed);
    await tick(50);
  }
  if (left === 0) stuck.commit(stuck.lastIndex);
  await tick(5_000);
  assert.ok(lacks * ROOM < store.uncommittedBytesMax, "no more than its leader may have uncommitted");
  const takes = store.takes(ROOM);
  // Asking for what there is no room for is what makes it look for files to free.
  assert.ok(!store.takes(1_000_000));
  await tick(5_000);
  return { left, takes, used: store.walFilesUsed };
}

describe("A ring that grows for what a leader inherited", () => {
  for (const others of [0, 1, 5, 20])
    it(`takes 20 batches of it, though ${others} of another group come for each, and all have room again then`, async () => {
      const { left, takes, used } = await contest(20, others);
      assert.deepEqual({ left, takes }, { left: 0, takes: true });
      assert.ok(used <= 2, `${used} files`);
    });
});
