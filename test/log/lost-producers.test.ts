import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { GroupLog } from "../../src/log/types.ts";
import { decodeFrame } from "../../src/records/frame.ts";
import type { Frame } from "../../src/records/frame-types.ts";
import { trimDraft } from "../../src/records/trim.ts";
import { assertSame, FRAMES, peer, producersOf, readAll, segmentPaths, twoGroups, unpaced } from "./damaged.ts";
import { append, fromProducer, group, term } from "./frames.ts";
import type { Machine } from "./machine.ts";

/** Frames of other producers and of one that is known, enough for segments of their own. */
async function goOn(machine: Machine, log: GroupLog, frames: Frame[], count: number): Promise<void> {
  for (let i = 0; i < count; i += 1) {
    const id = i % 2 === 0 ? 40 : 90;
    const sequence = id === 40 ? FRAMES + log.lastIndex : Math.floor(i / 2);
    for (const frame of append(log, term(9), [fromProducer(id, sequence, i, 4000)])) frames.push(decodeFrame(Uint8Array.from(frame.bytes)));
    log.commit(log.lastIndex);
    if (i % 4 === 0) await machine.settle();
  }
  await machine.settle();
}

const allOf = (log: GroupLog): unknown => [...(producersOf(log) as unknown[]), log.producers.get(90)];

/** What is lost, of the files of the group in order. */
const losses: Readonly<Record<string, (paths: readonly string[]) => readonly string[]>> = {
  "the newest segment and its index": (paths) => paths.filter((path) => path.includes(stemOf(paths.at(-1) as string))),
  "every file of the group": (paths) => paths,
};

const stemOf = (path: string): string => path.replace(/\.\w+$/, "");

/** The same group without any loss. */
async function undamaged(count: number): Promise<unknown> {
  const { machine, frames } = await twoGroups();
  const log = (await machine.open()).open(group(7));
  await goOn(machine, log, frames, count);
  return allOf(log);
}

describe("what producers wrote", () => {
  for (const [name, lost] of Object.entries(losses)) {
    for (const restarts of ["not at all", "before the repair", "after the repair"]) {
      it(`is known again after ${name} went and later segments were begun before the repair; started anew ${restarts}`, async () => {
        const { machine, frames } = await twoGroups();
        for (const path of lost(segmentPaths(machine, ""))) await machine.run(machine.disk.unlink(path));
        let store = await machine.open();
        let log = store.open(group(7));
        assert.equal(log.producers.known, false);
        await goOn(machine, log, frames, 60);
        if (restarts === "before the repair") {
          machine.crash(true);
          store = await machine.open();
          log = store.open(group(7));
          assert.equal(log.producers.known, false);
          assert.ok(log.holes.length > 0);
        }
        assert.equal(await machine.run(log.repair(peer(frames))), true);
        const right = await undamaged(60);
        assert.equal(log.producers.known, true);
        assert.deepEqual(allOf(log), right);
        for (let i = 0; restarts === "after the repair" && i < 2; i += 1) {
          // Without the derived files: what stands at the head of each segment must say it.
          machine.crash(true);
          for (const path of segmentPaths(machine, ".index")) await machine.run(machine.disk.unlink(path));
          log = (await machine.open()).open(group(7));
          assert.deepEqual(log.holes, []);
          assert.deepEqual(allOf(log), right);
        }
        assert.deepEqual((await machine.run(log.scrub(unpaced))).holes, []);
        assertSame(await readAll(machine, log), frames);
        await goOn(machine, log, frames, 10);
        assertSame(await readAll(machine, log), frames);
      });
    }
  }

  it("is known again although more is written all the time", async () => {
    const { machine, frames } = await twoGroups();
    for (const path of segmentPaths(machine, "").slice(-2)) await machine.run(machine.disk.unlink(path));
    const log = (await machine.open()).open(group(7));
    await goOn(machine, log, frames, 8);
    const others = peer(frames);
    const repaired = log.repair(async (first, last) => {
      for (let i = 0; i < 3; i += 1) {
        for (const frame of append(log, term(9), [fromProducer(91, log.lastIndex, i, 4000)]))
          frames.push(decodeFrame(Uint8Array.from(frame.bytes)));
        log.commit(log.lastIndex);
      }
      return others(first, last);
    });
    assert.equal(await machine.run(repaired), true);
    await machine.settle();
    assert.equal(log.producers.known, true);
    assert.deepEqual(log.holes, []);
    assertSame(await readAll(machine, log), frames);
    machine.crash(true);
    const again = (await machine.open()).open(group(7));
    assert.deepEqual(again.holes, []);
    assert.deepEqual(allOf(again), allOf(log));
  });

  it("is told to nobody who is to begin where it is not known, before the repair", async () => {
    const { machine, frames } = await twoGroups();
    for (const path of segmentPaths(machine, "")) await machine.run(machine.disk.unlink(path));
    let log = (await machine.open()).open(group(7));
    await goOn(machine, log, frames, 60);
    // All that is damaged goes, but not what was begun behind it.
    const damaged = log.segments.find(({ lastIndex }) => lastIndex === FRAMES);
    assert.ok(damaged !== undefined);
    append(log, term(9), [trimDraft(damaged.endOffset)]);
    log.commit(log.lastIndex);
    await machine.settle();
    for (let starts = 0; starts < 2; starts += 1) {
      assert.equal(log.start.index, FRAMES);
      await assert.rejects(machine.run(log.startState()), /what producers wrote before it was not known/);
      machine.crash();
      log = (await machine.open()).open(group(7));
    }
    assert.equal(await machine.run(log.repair(peer(frames))), true);
    assert.equal((await machine.run(log.startState())).producers.known, true);
  });
});
