import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { LogStore } from "../../src/log/types.ts";
import { decodeFrame } from "../../src/records/frame.ts";
import type { Frame } from "../../src/records/frame-types.ts";
import {
  assertSame,
  contents,
  FOLDER,
  FRAMES,
  file,
  lostOf,
  overwrite,
  peer,
  producersOf,
  readAll,
  segmentPaths,
  twoGroups,
  unpaced,
} from "./damaged.ts";
import { append, fromProducer, group, index, term } from "./frames.ts";
import type { Machine } from "./machine.ts";

/** Everything that can happen to one file of the group. */
const wounds: readonly {
  readonly name: string;
  /** The file, of those of the group in order. */
  readonly of: (logs: readonly string[], indexes: readonly string[]) => string;
  readonly wound: (machine: Machine, path: string) => Promise<void>;
  /** Frames may be lost by it; else only what is derived, or the start point, is. */
  readonly frames: boolean;
}[] = (["first", "middle", "newest"] as const).flatMap((which) => {
  const at = (paths: readonly string[]): string => paths.at({ first: 0, middle: 2, newest: -1 }[which]) as string;
  const of = (logs: readonly string[]): string => at(logs);
  const indexOf = (_logs: readonly string[], indexes: readonly string[]): string => at(indexes);
  const sibling = async (machine: Machine, path: string): Promise<void> => {
    const others = segmentPaths(machine, path.endsWith(".log") ? ".log" : ".index", "groups/8-4");
    const own = segmentPaths(machine, path.endsWith(".log") ? ".log" : ".index");
    await overwrite(machine, path, contents(machine, others[own.indexOf(path)] as string));
  };
  const zero = async (machine: Machine, path: string): Promise<void> => {
    const bytes = contents(machine, path);
    bytes.fill(0, Math.min(4096, bytes.length - 100), Math.min(8192, bytes.length));
    await overwrite(machine, path, bytes);
  };
  const flip =
    (place: (size: number) => number) =>
    async (machine: Machine, path: string): Promise<void> => {
      const node = file(machine, path);
      node.flipBit(place(node.size), 3);
    };
  const all = [
    { name: `one bit of a payload flipped in the ${which} segment`, of, wound: flip((size) => Math.floor(size / 2)), frames: true },
    { name: `one bit of a frame's header flipped in the ${which} segment`, of, wound: headerFlip, frames: true },
    { name: `one bit flipped in the start point of the ${which} segment`, of, wound: flip(() => 30), frames: false },
    { name: `the length of the start point of the ${which} segment flipped`, of, wound: flip(() => 5), frames: false },
    { name: `a page zeroed in the ${which} segment`, of, wound: zero, frames: true },
    { name: `the head of the ${which} segment zeroed`, of, wound: zeroHead, frames: true },
    { name: `the ${which} segment cut short`, of, wound: cut, frames: true },
    {
      name: `the ${which} segment deleted`,
      of,
      wound: (machine: Machine, path: string) => machine.run(machine.disk.unlink(path)),
      frames: true,
    },
    // Scenario 71: a file whose head names another group.
    { name: `the sibling's file copied over the ${which} segment`, of, wound: sibling, frames: true },
    { name: `one bit flipped in the index of the ${which} segment`, of: indexOf, wound: flip(() => 100), frames: false },
    {
      name: `the index of the ${which} segment deleted`,
      of: indexOf,
      wound: (machine: Machine, path: string) => machine.run(machine.disk.unlink(path)),
      frames: false,
    },
    { name: `the sibling's index copied over that of the ${which} segment`, of: indexOf, wound: sibling, frames: false },
    ...(which === "newest"
      ? []
      : [{ name: `one bit flipped in the footer of the ${which} segment`, of, wound: flip((size: number) => size - 30), frames: false }]),
  ];
  // What differs at the head of the log: nothing stands before it to build a start point from.
  return which === "first" ? all.filter(({ name }) => /start point|deleted|sibling/.test(name)) : all;
});

async function headerFlip(machine: Machine, path: string): Promise<void> {
  const bytes = contents(machine, path);
  const magic = Buffer.from("MLF1");
  const third = Buffer.from(bytes).indexOf(magic, Buffer.from(bytes).indexOf(magic, Buffer.from(bytes).indexOf(magic) + 4) + 4);
  file(machine, path).flipBit(third + 33, 1);
}

async function zeroHead(machine: Machine, path: string): Promise<void> {
  const bytes = contents(machine, path);
  bytes.fill(0, 0, 4096);
  await overwrite(machine, path, bytes);
}

async function cut(machine: Machine, path: string): Promise<void> {
  const bytes = contents(machine, path);
  await overwrite(machine, path, bytes.subarray(0, bytes.length - 9000));
}

describe("a hole in the segments of a group", () => {
  for (const { name, of, wound, frames: lossy } of wounds) {
    it(`${name}: found by start or scrub, named, the rest read, and repaired`, async () => {
      const { machine, frames } = await twoGroups();
      const before = await machine.open();
      const producers = producersOf(before.open(group(7)));
      await machine.run(before.close());
      machine.crash();
      const path = of(segmentPaths(machine), segmentPaths(machine, ".index"));
      await wound(machine, path);

      let store = await machine.open();
      let log = store.open(group(7));
      assert.equal(log.lastIndex, FRAMES);
      const scrub = await machine.run(log.scrub(unpaced));
      if (lossy) {
        assert.ok(log.holes.length > 0 && log.holes.every((hole) => hole.path === path), JSON.stringify(log.holes));
        const lost = lostOf(log.holes);
        assert.ok(lost.length > 0 && lost.length < FRAMES / 2);
        // What is whole is served; what is not, never.
        assertSame(await readAll(machine, log, lost), frames, lost);
        for (const at of lost)
          await assert.rejects(machine.run(Promise.resolve(log.read(index(at), 1, log.lastIndex))), { code: "DATA_LOSS" });
        const first = lost[0] as number;
        await assert.rejects(machine.run(Promise.resolve(log.readFrom(frames[first - 1]?.baseOffset as never, 1, log.lastIndex))), {
          code: "DATA_LOSS",
        });
        // Time looks into every hole it would pass over: an earlier record may lie there, and be repaired later.
        await assert.rejects(machine.run(log.findTime(frames[first - 1]?.maxTimestamp ?? 0, log.lastIndex)), { code: "DATA_LOSS" });
        // What stands before it is found, and what stands behind it by who asks for nothing below.
        const before = frames[first - 2];
        if (before !== undefined) assert.equal((await machine.run(log.findTime(before.maxTimestamp, log.lastIndex)))?.index, before.index);
        const behind = frames[lost.at(-1) as number];
        const above = behind === undefined ? undefined : await machine.run(log.findTime(0, log.lastIndex, behind.baseOffset));
        assert.equal(above?.index, behind?.index);
        // After another start it is known from the beginning.
        machine.crash();
        store = await machine.open();
        log = store.open(group(7));
        assert.deepEqual(lostOf(log.holes), lost);
      } else assert.ok(log.holes.every((hole) => hole.last < hole.first) || scrub.rebuilt.length > 0);

      assert.equal(await machine.run(log.repair(peer(frames))), true);
      assert.deepEqual(log.holes, []);
      assertSame(await readAll(machine, log), frames);
      assert.deepEqual(producersOf(log), producers);
      // And it goes on: more is written, and all of it is there after a power cut.
      for (let i = 0; i < 30; i += 1) {
        frames.push(...append(log, term(9), [fromProducer(40, 40 + i, i, 4000)]));
        log.commit(log.lastIndex);
      }
      await machine.settle();
      const settled = frames.map((frame) => decodeFrame(Uint8Array.from(frame.bytes)));
      const after = producersOf(log);
      machine.crash(true);
      const again = (await machine.open()).open(group(7));
      assert.deepEqual(again.holes, []);
      assert.deepEqual((await machine.run(again.scrub(unpaced))).holes, []);
      assertSame(await readAll(machine, again), settled);
      assert.deepEqual(producersOf(again), after);
    });
  }

  it("the whole folder: every frame in segments is copied", async () => {
    const { machine, frames } = await twoGroups();
    for (const kind of [".log", ".index"]) for (const path of segmentPaths(machine, kind)) await machine.run(machine.disk.unlink(path));
    await machine.run(machine.disk.removeDirectory(FOLDER));
    const store = await machine.open();
    const log = store.open(group(7));
    assert.equal(lostOf(log.holes).length, FRAMES);
    assert.equal(await machine.run(log.repair(peer(frames))), true);
    assertSame(await readAll(machine, log), frames);
    // As many segments as before, not one large one.
    assert.ok(segmentPaths(machine).length >= 4);
    machine.crash(true);
    const again = (await machine.open()).open(group(7));
    assert.deepEqual(again.holes, []);
    assertSame(await readAll(machine, again), frames);
  });

  it("what nobody has stays a hole, and the rest of the same segment is repaired", async () => {
    const { machine, frames } = await twoGroups();
    const path = segmentPaths(machine)[1] as string;
    const size = file(machine, path).size;
    for (const at of [10_000, Math.floor(size / 2), size - 10_000]) file(machine, path).flipBit(at, 2);
    const store = await machine.open();
    const log = store.open(group(7));
    await machine.run(log.scrub(unpaced));
    const lost = lostOf(log.holes);
    assert.equal(log.holes.length, 3);
    const gone = lost[1] as number;
    assert.equal(await machine.run(log.repair(peer(frames, [gone]))), false);
    assert.deepEqual(lostOf(log.holes), [gone]);
    assertSame(await readAll(machine, log, [gone]), frames, [gone]);
    machine.crash(true);
    const again = (await machine.open()).open(group(7));
    assert.deepEqual(lostOf(again.holes), [gone]);
    assert.equal(await machine.run(again.repair(peer(frames))), true);
    assertSame(await readAll(machine, again), frames);
  });

  for (const name of ["in two places", "to its end"]) {
    it(`of the newest segment, ${name}, is still known after a start when it was repaired in part`, async () => {
      const { machine, frames } = await twoGroups();
      const path = segmentPaths(machine).at(-1) as string;
      if (name === "to its end") {
        await headerFlip(machine, path);
        await machine.run(machine.disk.unlink(segmentPaths(machine, ".index").at(-1) as string));
      } else for (const at of [6_000, 14_000]) file(machine, path).flipBit(at, 2);
      let log = (await machine.open()).open(group(7));
      await machine.run(log.scrub(unpaced));
      const gone = lostOf(log.holes).slice(1);
      assert.ok(gone.length > 0);
      // Who has the frames ends in the midst of it.
      assert.equal(await machine.run(log.repair(peer(frames, gone))), false);
      await machine.settle();
      for (let starts = 0; starts < 2; starts += 1) {
        // What was not synced, as the index, outlives the process.
        machine.crash();
        log = (await machine.open()).open(group(7));
        assert.deepEqual(lostOf(log.holes), gone);
      }
      assert.equal(await machine.run(log.repair(peer(frames))), true);
      assert.equal(log.producers.known, true);
      assertSame(await readAll(machine, log), frames);
    });
  }

  it("is repaired by a read that meets it, when there is somebody who repairs", async () => {
    const { machine, frames } = await twoGroups();
    file(machine, segmentPaths(machine)[0] as string).flipBit(20_000, 2);
    const store: LogStore = await machine.open();
    const log = store.open(group(7));
    const told: number[] = [];
    store.repairer = {
      holesChanged: (_group, holes) => told.push(holes.length),
      heal: () => log.repair(peer(frames)),
    };
    assertSame(await readAll(machine, log), frames);
    assert.deepEqual(told, [1, 0]);
  });

  it("does not take frames that are not the ones that were lost", async () => {
    const { machine, frames } = await twoGroups();
    file(machine, segmentPaths(machine)[0] as string).flipBit(20_000, 2);
    const log = (await machine.open()).open(group(7));
    await machine.run(log.scrub(unpaced));
    const [first] = lostOf(log.holes);
    const wrong = frames[first as number] as Frame;
    assert.equal(await machine.run(log.repair(async () => [wrong])), false);
    const changed = decodeFrame(Uint8Array.from((frames[(first as number) - 1] as Frame).bytes));
    changed.payload[7] = (changed.payload[7] ?? 0) ^ 1;
    assert.equal(await machine.run(log.repair(async () => [changed])), false);
    assert.deepEqual(lostOf(log.holes), [first]);
  });

  it("and its repair survive a crash at every disk operation", async () => {
    for (const [place, power] of [
      [1, false],
      [-1, true],
    ] as const) {
      let finished = false;
      for (let stop = 1; !finished; stop += 1) {
        const { machine, frames } = await twoGroups();
        file(machine, segmentPaths(machine).at(place) as string).flipBit(20_000, 2);
        const log = (await machine.open()).open(group(7));
        await machine.run(log.scrub(unpaced));
        let operations = 0;
        let crashed = false;
        machine.device.watch = () => {
          operations += 1;
          if (operations !== stop) return;
          crashed = true;
          machine.crash(power);
        };
        let repaired = false;
        void log.repair(peer(frames)).then(
          () => {
            repaired = true;
          },
          () => {},
        );
        await machine.scheduler.run(machine.scheduler.now + 10_000, () => crashed || repaired);
        if (repaired) await machine.settle();
        machine.device.watch = undefined;
        finished = !crashed;
        if (!crashed) machine.crash(power);
        const store = await machine.open();
        const again = store.open(group(7));
        assert.equal(await machine.run(again.repair(peer(frames))), true);
        // A footer that came back with a power cut hides the hole until it is read.
        store.repairer = { holesChanged: () => {}, heal: () => again.repair(peer(frames)) };
        assertSame(await readAll(machine, again), frames);
        assert.ok(stop < 60);
      }
    }
  });
});
