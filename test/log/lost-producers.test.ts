import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { checkProducer } from "../../src/broker/partition/producer-check.ts";
import type { GroupLog } from "../../src/log/types.ts";
import { decodeFrame } from "../../src/records/frame.ts";
import type { Frame, FrameDraft } from "../../src/records/frame-types.ts";
import { trimDraft } from "../../src/records/trim.ts";
import { assertSame, contents, FRAMES, overwrite, peer, producersOf, readAll, segmentPaths, twoGroups, unpaced } from "./damaged.ts";
import { append, EMPTY, fromProducer, group, offset, replica, term, text } from "./frames.ts";
import { Machine } from "./machine.ts";

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

  /** Producer 77 wrote two batches at the very beginning, which is trimmed away; 90 goes on. The first segment that is left has lost its head. */
  async function trimmedHead(
    left: "several segments" | "one segment" | "one segment, and no index",
  ): Promise<{ machine: Machine; log: GroupLog }> {
    const machine = new Machine();
    const store = await machine.open();
    const before = await machine.run(store.create(group(7), replica(3), EMPTY, text("who votes")));
    const frames: Frame[] = [];
    const write = (drafts: readonly FrameDraft[]): void => {
      for (const frame of append(before, term(1), drafts)) frames.push(decodeFrame(Uint8Array.from(frame.bytes)));
    };
    write([fromProducer(77, 0), fromProducer(77, 1)]);
    for (let i = 0; i < 70; i += 1) {
      write([fromProducer(90, i, i, 4000)]);
      before.commit(before.lastIndex);
      if (i % 4 === 0) await machine.settle();
    }
    const first = before.segments.at(left === "several segments" ? 0 : -1);
    write([trimDraft(left === "several segments" ? (first?.endOffset ?? offset(0)) : before.endOffset)]);
    await machine.settle();
    before.commit(before.lastIndex);
    await machine.settle();
    await machine.run(store.close());
    machine.crash();
    const paths = segmentPaths(machine);
    assert.equal(paths.length > 1, left === "several segments", paths.join());
    const head = contents(machine, paths[0] as string);
    head[60] = (head[60] ?? 0) ^ 1;
    await overwrite(machine, paths[0] as string, head);
    if (left.endsWith("no index")) for (const path of segmentPaths(machine, ".index")) await machine.run(machine.disk.unlink(path));
    const log = (await machine.open()).open(group(7));
    assert.ok(log.start.index > 2 && log.startOffset > 2, "what 77 wrote is behind the start");
    assert.equal((await machine.run(log.scrub(unpaced))).holes.length, 1);
    machine.events = [];
    assert.equal(await machine.run(log.repair(peer(frames))), true);
    return { machine, log };
  }

  for (const left of ["several segments", "one segment"] as const)
    it(`before a trim is known to ${left} that are left, also when the oldest has lost what stood at its head`, async () => {
      let { machine, log } = await trimmedHead(left);
      for (let starts = 0; starts < 3; starts += 1) {
        const sequences = log.producers.get(77)?.batches.map(({ baseSequence }) => baseSequence);
        assert.deepEqual(sequences, [0, 1]);
        const { producers } = await machine.run(log.startState());
        assert.deepEqual(producers.get(77)?.batches.length, 2, "and is told to whoever is to begin there");
        assert.ok((producers.get(90)?.batches ?? []).every(({ index }) => index <= log.start.index));
        assert.deepEqual(machine.events, []);
        machine.crash(true);
        for (const path of segmentPaths(machine, ".index")) await machine.run(machine.disk.unlink(path));
        log = (await machine.open()).open(group(7));
      }
    });

  it("before a trim is lost with the head and the index of the only segment left: what may be written again then is deleted already", async () => {
    const { machine, log } = await trimmedHead("one segment, and no index");
    assert.ok(
      machine.events.some((event) => event.startsWith("log.producers_lost")),
      machine.events.join(),
    );
    assert.deepEqual([log.producers.known, log.producers.get(77)], [true, undefined]);
    const batch = (baseSequence: number) =>
      checkProducer(log.producers.get(77), { epoch: 0, baseSequence, recordCount: 1 }, log.producers.known);
    assert.deepEqual(batch(1), { kind: "refused", code: "UNKNOWN_PRODUCER" });
    assert.deepEqual(
      batch(0),
      { kind: "accept" },
      "its very first one, of which the first copy was trimmed away: two are never in the log",
    );
  });
});
