import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { readMeta } from "../../src/log/meta.ts";
import { incarnationBytes, padded, readBlockHeader } from "../../src/log/model/block.ts";
import type { LogStore, RecoveredGroup } from "../../src/log/types.ts";
import type { FileNode } from "../../src/testing/sim/disk/file-node.ts";
import { append, draft, EMPTY, group, index, replica, term, text } from "./frames.ts";
import { KiB, Machine } from "./machine.ts";

const SMALL = { walFilesMax: 8 };

interface Block {
  readonly path: string;
  readonly sequence: number;
  readonly at: number;
  readonly bytes: number;
}

function file(machine: Machine, path: string): FileNode {
  const found = machine.device.files().find((one) => one.path.replace(/^\//, "") === path);
  assert.ok(found !== undefined, path);
  return found.file;
}

/** Every block of the present use of each ring file, by sequence. */
function blocks(machine: Machine, store: Pick<LogStore, "incarnation">): Block[] {
  const found: Block[] = [];
  for (const { path, file: node } of machine.device.files()) {
    if (!/^\/?wal\//.test(path)) continue;
    const bytes = new Uint8Array(node.size);
    node.read(0, bytes);
    let last = 0;
    for (let at = 0; ; ) {
      const header = readBlockHeader(bytes, at, incarnationBytes(store.incarnation));
      if (header === undefined || (last > 0 && header.sequence !== last + 1)) break;
      last = header.sequence;
      found.push({ path: path.replace(/^\//, ""), sequence: last, at, bytes: header.bytes });
      at += padded(header.bytes);
    }
  }
  return found.sort((a, b) => a.sequence - b.sequence);
}

/** Group 7 votes and appends ten frames, each in a block of its own; then the process dies. */
async function tenBlocks(): Promise<{ machine: Machine; all: readonly Block[] }> {
  const machine = new Machine();
  const store = await machine.open(SMALL);
  const log = await machine.run(store.create(group(7), replica(3), EMPTY, text("")));
  log.write({ state: { term: term(4), votedFor: replica(5) }, truncateFrom: undefined, frames: [] }, () => {});
  await machine.settle();
  for (let i = 0; i < 10; i += 1) {
    append(log, term(4), [draft(i, 500)]);
    await machine.settle();
  }
  const all = blocks(machine, store);
  machine.crash();
  return { machine, all };
}

/**
 * Group 7 has three frames that are not committed, in the first ring file; group 8 writes until several files were begun after it.
 */
async function pinned(): Promise<{ machine: Machine; all: readonly Block[] }> {
  const machine = new Machine();
  const store = await machine.open(SMALL);
  const first = await machine.run(store.create(group(7), replica(3), EMPTY, text("")));
  const busy = await machine.run(store.create(group(8), replica(4), EMPTY, text("")));
  for (let i = 0; i < 3; i += 1) {
    append(first, term(1), [draft(i, 500)]);
    await machine.settle();
  }
  for (let i = 0; i < 28; i += 1) {
    append(busy, term(1), [draft(i, 4000)]);
    busy.commit(busy.lastIndex);
    await machine.settle();
  }
  const all = blocks(machine, store);
  machine.crash();
  return { machine, all };
}

function flip(machine: Machine, { path, at, bytes }: Block, place = Math.floor(bytes / 2)): void {
  file(machine, path).flipBit(at + place, 5);
}

function found(store: LogStore, id: number): RecoveredGroup | undefined {
  return store.recovered.find(({ groupId }) => groupId === id);
}

const told = (machine: Machine, event: string): string[] => machine.events.filter((one) => one.startsWith(`${event} `));

// D4: what a bad block held is forgotten, which is worse than missing: it may have been a vote.
describe("Damage in the write-ahead log", () => {
  it("scenarios 68 and 69: is named by file and byte, and the group is quarantined with the entries that are left", async () => {
    const sequences = (await tenBlocks()).all.map(({ sequence }) => sequence);
    for (const sequence of sequences.slice(0, -1)) {
      for (const place of [26, 70, undefined]) {
        const { machine, all } = await tenBlocks();
        const block = all.find((one) => one.sequence === sequence) as Block;
        if (place !== undefined && place >= block.bytes) continue;
        flip(machine, block, place);
        const store = await machine.open(SMALL);
        assert.match(told(machine, "log.wal_found_damaged").join(), new RegExp(`"path":"${block.path}","position":${block.at},`));
        const left = found(store, 7);
        // Without the record that opened it the group is not known; whoever comes under its name later is doubted.
        if (left === undefined) assert.ok(store.forgot && sequence <= 2, `block ${sequence}`);
        else {
          assert.ok(left.doubted && left.lastIndex <= 10, `block ${sequence}`);
          assert.ok(left.lastIndex === 10 ? sequence <= 3 : left.lastIndex === sequence - 4, `block ${sequence} leaves ${left.lastIndex}`);
        }
      }
    }
  });

  it("a file that is gone, a page of zeros, another file copied over: the same", async () => {
    for (const wound of ["delete", "zero", "copy"]) {
      const { machine, all } = await pinned();
      const path = all[0]?.path as string;
      const other = all.find((one) => one.path !== path)?.path as string;
      const bytes = new Uint8Array(64 * KiB);
      file(machine, wound === "copy" ? other : path).read(0, bytes);
      if (wound === "zero") bytes.fill(0, 4096 * 4, 4096 * 5);
      await machine.run(machine.disk.unlink(path));
      if (wound !== "delete") {
        const made = await machine.run(machine.disk.open(path, { mode: "create" }));
        await machine.run(made.write(0, [bytes]));
      }
      const store = await machine.open(SMALL);
      assert.equal(told(machine, "log.wal_found_damaged").length, 1, wound);
      assert.equal(found(store, 7)?.doubted, true, wound);
      assert.ok((found(store, 7)?.lastIndex ?? 9) < 3);
    }
  });

  it("a group is proved by a later checkpoint whose last index is all there, and by nothing else", async () => {
    const { machine, all } = await pinned();
    const store = await machine.open(SMALL);
    machine.crash();
    // The second frame of group 7: checkpoint, open, open, frame, frame.
    flip(machine, all[4] as Block);
    const after = await machine.open(SMALL);
    assert.deepEqual([found(after, 7)?.doubted, found(after, 7)?.lastIndex], [true, 1]);
    assert.deepEqual([found(after, 8)?.doubted, found(after, 8)?.lastIndex], [false, 28]);
    assert.equal(after.forgot, false);
    assert.equal(after.incarnation, store.incarnation);
    // All that is proved is read.
    const busy = after.open(group(8));
    for (let next = 1; next <= 28; ) {
      const read = await machine.run(Promise.resolve(busy.read(index(next), 64 * KiB, index(28))));
      assert.ok(read.kind === "frames" && read.frames[0]?.index === next);
      if (read.kind === "frames") next += read.frames.length;
    }
  });

  it("the quarantine outlives crashes, and ends for good when somebody vouches; the damage is read again by no start", async () => {
    const { machine, all } = await tenBlocks();
    flip(machine, all[6] as Block);
    for (let start = 0; start < 3; start += 1) {
      const store = await machine.open(SMALL);
      assert.equal(found(store, 7)?.doubted, true, `start ${start}`);
      machine.crash(start === 1);
    }
    let store = await machine.open(SMALL);
    let log = store.open(group(7));
    await machine.run(store.remembered());
    log.vouched();
    append(log, term(9), [draft(1, 300)]);
    const { lastIndex } = log;
    log.commit(lastIndex);
    await machine.settle();
    machine.crash(true);
    store = await machine.open(SMALL);
    assert.deepEqual([found(store, 7)?.doubted, found(store, 7)?.lastIndex], [false, lastIndex]);
    log = store.open(group(7));
    log.commit(lastIndex);
    await machine.run(store.close());
    machine.crash();
    await machine.open(SMALL);
    assert.deepEqual(told(machine, "log.wal_found_damaged"), []);
  });

  it("on a full disk the start waits for room to say so, and goes on by itself", async () => {
    const full = async (wound: (machine: Machine, all: readonly Block[]) => Promise<void>, unwanted = (): boolean => false) => {
      const { machine, all } = await tenBlocks();
      await wound(machine, all);
      machine.device.leaveFree(0);
      const opening = machine.opening({ ...SMALL, unwanted });
      opening.catch(() => {});
      await machine.settle();
      assert.match(told(machine, "disk.full").join(), /"path":"meta.json"/);
      assert.equal((await machine.run(readMeta(machine.disk)))?.walDamaged, undefined, "nothing is half written");
      return { machine, opening };
    };
    const flipped = async (machine: Machine, all: readonly Block[]): Promise<void> => flip(machine, all[5] as Block);
    const { machine, opening } = await full(flipped);
    machine.device.leaveFree(1024 * KiB);
    const store = await machine.run(opening);
    assert.equal(found(store, 7)?.doubted, true);
    assert.ok(!store.space.full);

    // Room to say so, and not for a ring of which a piece of a file is left.
    const gone = await full(async (one) => {
      for (const { name } of await one.run(one.disk.list("wal"))) await one.run(one.disk.unlink(`wal/${name}`));
      const left = await one.run(one.disk.open("wal/00", { mode: "create" }));
      await one.run(left.write(0, [new Uint8Array(4 * KiB)]));
      await one.run(left.close());
      await one.run(one.disk.syncDirectory("wal"));
    });
    gone.machine.device.leaveFree(16 * KiB);
    await gone.machine.settle();
    assert.equal((await gone.machine.run(readMeta(gone.machine.disk)))?.walDamaged, true);
    // The piece was taken away for the file that finds no room: a process that dies here is not asked for what it had.
    gone.machine.crash();
    const again = gone.machine.opening(SMALL);
    again.catch(() => {});
    await gone.machine.settle();
    gone.machine.device.leaveFree(1024 * KiB);
    assert.ok((await gone.machine.run(again)).forgot);

    let over = false;
    const stopped = await full(flipped, () => over);
    over = true;
    await assert.rejects(stopped.machine.run(stopped.opening), /ENOSPC/);
  });

  it("a start that dies at any disk operation does not pass for one that found nothing, also when the next finds a full disk", async () => {
    let finished = false;
    let waited = 0;
    for (let stop = 1; !finished; stop += 1) {
      const { machine, all } = await tenBlocks();
      // A file that is made again shows no damage any more.
      await machine.run(machine.disk.unlink(all[0]?.path as string));
      await machine.run(machine.disk.syncDirectory("wal"));
      let operations = 0;
      let crashed = false;
      machine.device.watch = () => {
        operations += 1;
        if (operations !== stop) return;
        crashed = true;
        machine.crash(stop % 2 === 0);
      };
      let opened = false;
      void machine.opening(SMALL).then(
        () => {
          opened = true;
        },
        () => {},
      );
      await machine.scheduler.run(machine.scheduler.now + 60_000, () => crashed || opened);
      machine.device.watch = undefined;
      finished = !crashed;
      if (!crashed) machine.crash();
      // The next one may have to wait for room, wherever the last one ended.
      machine.device.leaveFree(0);
      const opening = machine.opening(SMALL);
      opening.catch(() => {});
      await machine.settle();
      if (told(machine, "disk.full").length > 0) waited += 1;
      machine.device.leaveFree(1024 * KiB);
      const store = await machine.run(opening);
      assert.ok(store.forgot, `operation ${stop}`);
      assert.ok(stop < 200);
    }
    assert.ok(waited > 0);
  });

  it("who is made while it is not known what was forgotten is doubted, until it is", async () => {
    const { machine, all } = await tenBlocks();
    flip(machine, all[0] as Block);
    flip(machine, all[1] as Block);
    let store = await machine.open(SMALL);
    assert.ok(store.forgot && store.recovered.length === 0);
    const again = await machine.run(store.create(group(7), replica(3), EMPTY, text("")));
    assert.ok(again.doubted);
    machine.crash(true);
    store = await machine.open(SMALL);
    assert.deepEqual([store.forgot, found(store, 7)?.doubted], [true, true]);
    await machine.run(store.remembered());
    const fresh = await machine.run(store.create(group(9), replica(8), EMPTY, text("")));
    assert.ok(!fresh.doubted);
    machine.crash(true);
    store = await machine.open(SMALL);
    assert.deepEqual([store.forgot, found(store, 7)?.doubted, found(store, 9)?.doubted], [false, true, false]);
    assert.equal((await machine.run(readMeta(machine.disk)))?.forgot, undefined);
  });

  it("who has an id that was given out after the broker registered is new, at this start and the next ones", async () => {
    const { machine, all } = await tenBlocks();
    flip(machine, all[0] as Block);
    flip(machine, all[1] as Block);
    let store = await machine.open(SMALL);
    const make = async (id: number): Promise<boolean> => (await machine.run(store.create(group(id), replica(id), EMPTY, text("")))).doubted;
    assert.equal(await make(50), true, "nothing is known of ids yet");
    await machine.run(store.registered(replica(20)));
    assert.deepEqual([await make(19), await make(20)], [true, false]);
    machine.crash(true);
    store = await machine.open(SMALL);
    assert.equal(store.forgot, true);
    assert.deepEqual([found(store, 50)?.doubted, found(store, 19)?.doubted, found(store, 20)?.doubted], [true, true, false]);
    // This may be a copy of that disk, and who came after it was copied is forgotten as well.
    assert.equal(await make(30), true);
    await machine.run(store.registered(replica(40)));
    assert.deepEqual([await make(39), await make(40)], [true, false]);
    machine.crash(true);
    store = await machine.open(SMALL);
    assert.deepEqual(
      [20, 30, 39, 40].map((id) => found(store, id)?.doubted),
      [false, true, true, false],
    );
    await machine.run(store.registered(replica(60)));
    const firstNew = async () => (await machine.run(readMeta(machine.disk)))?.firstNew;
    assert.equal(await firstNew(), 20);
    await machine.run(store.admit(1_000));
    assert.equal(await firstNew(), 60, "who is missing now may have come since");
    await machine.run(store.remembered());
    assert.equal(await firstNew(), undefined);
  });

  it("who votes alone, and has an id that was given out after a former start registered, is new: nobody could end its doubt", async () => {
    const { machine, all } = await tenBlocks();
    flip(machine, all[0] as Block);
    flip(machine, all[1] as Block);
    let store = await machine.open(SMALL);
    const make = async (id: number): Promise<boolean> =>
      (await machine.run(store.create(group(id), replica(id), EMPTY, text(""), true))).doubted;
    assert.equal(await make(10), true, "nothing is known of ids yet");
    await machine.run(store.registered(replica(20)));
    machine.crash(true);
    store = await machine.open(SMALL);
    assert.equal(store.forgot, true);
    // Before this start registers, and after.
    assert.deepEqual([await make(19), await make(20)], [true, false]);
    await machine.run(store.registered(replica(40)));
    assert.deepEqual([await make(18), await make(30), await make(40)], [true, false, false]);
    machine.crash(true);
    store = await machine.open(SMALL);
    assert.deepEqual(
      [18, 19, 20, 30, 40].map((id) => found(store, id)?.doubted),
      [true, true, false, false, false],
    );
    // A peer remembers more of this disk: whatever was given out before this process registered may have been here.
    await machine.run(store.admit(1_000));
    assert.equal(await make(50), true);
    machine.crash(true);
    store = await machine.open(SMALL);
    assert.deepEqual(
      [20, 30, 40].map((id) => found(store, id)?.doubted),
      [true, true, true],
    );
    await machine.run(store.registered(replica(60)));
    for (let id = 61; id < 64; id += 1) assert.equal(await make(id), false);
    // The log goes bad: what `meta.json` says was before that.
    const now = blocks(machine, store);
    machine.crash(true);
    flip(machine, now.at(-3) as Block);
    store = await machine.open(SMALL);
    assert.equal(await make(65), true);
  });

  it("what a peer remembers is held against who was here before, and not against who is new since this process registered", async () => {
    const machine = new Machine(1);
    let store = await machine.open(SMALL);
    const make = (id: number) => machine.run(store.create(group(id), replica(id), EMPTY, text("")));
    await make(7);
    machine.crash(true);
    store = await machine.open(SMALL);
    const old = store.open(group(7));
    const early = await make(8);
    await machine.run(store.registered(replica(9)));
    const fresh = await make(9);
    await machine.run(store.admit(1_000));
    assert.deepEqual([old.doubted, early.doubted, fresh.doubted, store.forgot], [true, true, false, true]);
    assert.deepEqual(
      [8, 9].map((id) => store.maybeForgotten(replica(id))),
      [true, false],
    );
    machine.crash(true);
    store = await machine.open(SMALL);
    assert.deepEqual(
      [7, 8, 9].map((id) => found(store, id)?.doubted),
      [true, true, false],
    );
    assert.equal((await machine.run(readMeta(machine.disk)))?.firstNew, 9);
    // Then the log goes bad: anybody may be missing, those who were new as well.
    for (let id = 10; id < 13; id += 1) await make(id);
    const all = blocks(machine, store);
    machine.crash(true);
    flip(machine, all.at(-3) as Block);
    store = await machine.open(SMALL);
    assert.equal(told(machine, "log.wal_found_damaged").length, 1);
    assert.deepEqual([store.forgot, (await machine.run(readMeta(machine.disk)))?.firstNew], [true, undefined]);
    assert.equal(found(store, 9)?.doubted, true);
  });
});
