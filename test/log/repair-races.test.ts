import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { GroupLogImpl } from "../../src/log/group-log.ts";
import type { GroupLog } from "../../src/log/types.ts";
import type { Frame } from "../../src/records/frame-types.ts";
import { trimDraft } from "../../src/records/trim.ts";
import { assertSame, contents, FRAMES, file, overwrite, peer, readAll, segmentPaths, twoGroups, unpaced } from "./damaged.ts";
import { append, draft, fromProducer, group, index, offset, term } from "./frames.ts";
import type { Machine } from "./machine.ts";

/** Runs until the process ends, or the work does. */
async function until(machine: Machine, work: Promise<unknown>, crashed: () => boolean): Promise<void> {
  let done = false;
  const end = (): void => {
    done = true;
  };
  void work.then(end, end);
  await machine.scheduler.run(machine.scheduler.now + 20_000, () => crashed() || done);
}

/** Trims the log to the frame at `at`, and lets go of what lies below. */
async function trimTo(machine: Machine, log: GroupLog, frames: readonly Frame[], at: number): Promise<void> {
  append(log, term(9), [trimDraft(frames[at - 1]?.baseOffset ?? offset(0))]);
  log.commit(log.lastIndex);
  await machine.settle();
}

describe("a repair", () => {
  it("says nothing of its segment when a newer one is synced, though the log does not know that yet", async () => {
    const { machine, frames } = await twoGroups();
    const path = segmentPaths(machine).at(-1) as string;
    file(machine, path).flipBit(20_000, 2);
    const log = (await machine.open()).open(group(7));
    assert.ok(log instanceof GroupLogImpl);
    await machine.run(log.scrub(unpaced));
    for (let i = 0; i < 3; i += 1) append(log, term(9), [fromProducer(40, FRAMES + i, i, 4000)]);
    await machine.settle();
    log.commit(log.lastIndex);
    let phase = 0;
    machine.device.watch = (kind, at) => {
      if (phase === 0 && at === `${path}.repair` && kind === "sync") {
        phase = 1;
        void log.flush();
      } else if (phase === 1 && kind === "open" && at.endsWith(".index")) {
        phase = 2;
        // A block that takes long is on its way when the writer says what it synced.
        machine.device.platterMs = 3_000;
        append(log, term(9), [draft(1)]);
      } else if (phase === 2 && kind === "rename") {
        phase = 3;
        machine.device.platterMs = 0;
      }
    };
    assert.equal(await machine.run(log.repair(peer(frames))), true);
    machine.device.watch = undefined;
    assert.equal(phase, 3);
    await machine.settle();
    assert.deepEqual(machine.failures, []);
  });

  it("is not undone by a scrub that read the segment before", async () => {
    const { machine, frames } = await twoGroups();
    const path = segmentPaths(machine)[1] as string;
    file(machine, path).flipBit(20_000, 2);
    const log = (await machine.open()).open(group(7));
    let repaired = false;
    let reading = "";
    machine.device.watch = (kind, at) => {
      if (kind === "read") reading = at;
    };
    const slow = async <T>(_bytes: number, read: () => Promise<T>): Promise<T> => {
      const found = await read();
      if (repaired || reading !== path) return found;
      // Somebody else falls into the damage that this pass has just read, and it is repaired.
      for (let at = (log.segments[0]?.lastIndex ?? 0) + 1; log.holes.length === 0; at += 1)
        await Promise.resolve(log.read(index(at), 1, index(at))).catch(() => {});
      repaired = await log.repair(peer(frames));
      return found;
    };
    await machine.run(log.scrub(slow));
    assert.ok(repaired);
    assert.deepEqual(log.holes, []);
    assert.deepEqual((await machine.run(log.scrub(unpaced))).rebuilt, []);
    assertSame(await readAll(machine, log), frames);
  });

  it("loses nothing when the process dies before the index follows a start point of another length", async () => {
    for (const [place, power] of [
      [-1, false],
      [-2, true],
    ] as const) {
      let finished = false;
      for (let stop = 1; !finished; stop += 1) {
        const { machine, frames } = await twoGroups();
        let log = (await machine.open()).open(group(7));
        // What the log forgets by a trim no start point written later says: terms, here.
        await trimTo(machine, log, frames, 70);
        const first = log.start.index + 1;
        assert.ok(first > 50);
        machine.crash();
        const path = segmentPaths(machine).at(place) as string;
        file(machine, path).flipBit(30, 3);
        log = (await machine.open()).open(group(7));
        await machine.run(log.scrub(unpaced));
        assert.equal(log.holes.length, 1);
        const size = file(machine, path).size;
        let operations = 0;
        let crashed = false;
        machine.device.watch = (kind) => {
          if (operations > 0 || kind === "rename") operations += 1;
          if (operations !== stop) return;
          crashed = true;
          machine.crash(power);
        };
        await until(
          machine,
          log.repair(async () => undefined),
          () => crashed,
        );
        machine.device.watch = undefined;
        finished = !crashed;
        if (finished) assert.notEqual(file(machine, path).size, size);
        else await machine.settle();
        if (!crashed) machine.crash(power);
        // Nobody is there to repair from: every frame must be found here.
        for (let starts = 0; starts < 2; starts += 1) {
          log = (await machine.open()).open(group(7));
          for (let i = 0; i < 70; i += 1) append(log, term(9), [draft(i, 4000)]);
          log.commit(log.lastIndex);
          await machine.settle();
          for (let at: number = first; at <= log.lastIndex; ) {
            const read = await machine.run(Promise.resolve(log.read(index(at), 64 * 1024, log.lastIndex)));
            assert.ok(read.kind === "frames" && read.frames[0]?.index === at, `frame ${at} after operation ${stop}`);
            at += read.frames.length;
          }
          machine.crash(power);
        }
        assert.ok(stop < 30);
      }
    }
  });
});

describe("a read that fell into damage", () => {
  it("is told where the log begins, when the segment is trimmed away meanwhile, and no hole is found", async () => {
    const { machine, frames } = await twoGroups();
    const path = segmentPaths(machine)[0] as string;
    file(machine, path).flipBit(20_000, 2);
    const log = (await machine.open()).open(group(7));
    let phase = 0;
    machine.device.watch = (kind, at) => {
      if (phase === 0 && kind === "read" && at === path) {
        phase = 1;
        append(log, term(9), [trimDraft(frames[59]?.baseOffset ?? offset(0))]);
        log.commit(log.lastIndex);
      } else if (phase === 1 && kind === "open" && at.endsWith(".index")) {
        phase = 2;
        machine.device.slowness = 100;
      }
    };
    const read = await machine.run(Promise.resolve(log.read(index(1), 64 * 1024, log.lastIndex)));
    machine.device.watch = undefined;
    assert.equal(phase, 2);
    assert.equal(read.kind, "below-start");
    await machine.settle();
    assert.ok(log.start.index > 0);
    assert.deepEqual(log.holes, []);
    assert.deepEqual(
      machine.events.filter((event) => event.startsWith("log.hole_found")),
      [],
    );
  });

  it("gets whole data on a full disk, where what is derived cannot be made again", async () => {
    const { machine, frames } = await twoGroups();
    for (const path of segmentPaths(machine, ".index")) await machine.run(machine.disk.unlink(path));
    const [first] = segmentPaths(machine);
    await overwrite(machine, first as string, contents(machine, first as string).subarray(0, -88));
    const log = (await machine.open()).open(group(7));
    machine.device.leaveFree(0);
    assertSame(await readAll(machine, log), frames);
    assert.deepEqual(log.holes, []);
    assert.deepEqual(machine.failures, []);
  });
});
