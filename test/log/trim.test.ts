import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Offset } from "../../src/base/ids.ts";
import type { GroupLog, LogStore } from "../../src/log/types.ts";
import { makeFrame } from "../../src/records/frame.ts";
import { trimDraft } from "../../src/records/trim.ts";
import { append, draft, EMPTY, framesAfter, group, index, offset, replica, term, text } from "./frames.ts";
import { KiB, Machine } from "./machine.ts";

const FOLDER = "groups/7-3";

interface Opened {
  readonly store: LogStore;
  readonly log: GroupLog;
}

/** A log of six segments or so; frames of 8 KiB. */
async function filled(machine: Machine, frames = 60): Promise<Opened> {
  const store = await machine.open();
  const log = await machine.run(store.create(group(7), replica(3), EMPTY, text("")));
  for (let i = 0; i < frames; i += 1) {
    append(log, term(1 + Math.floor(i / 25)), [draft(i, 8 * KiB)]);
    if (i % 5 === 4) await machine.settle();
    log.commit(log.lastIndex);
  }
  await machine.settle();
  assert.ok(log.segments.length >= 4, `${log.segments.length} segments`);
  return { store, log };
}

async function reopened(machine: Machine): Promise<Opened> {
  const store = await machine.open();
  return { store, log: store.open(group(7)) };
}

/** Proposed, committed and settled. */
async function trim(machine: Machine, log: GroupLog, to: number): Promise<void> {
  append(log, term(9), [trimDraft(offset(to))]);
  await machine.settle();
  log.commit(log.lastIndex);
  await machine.settle();
}

async function files(machine: Machine): Promise<readonly string[]> {
  return (await machine.run(machine.disk.list(FOLDER))).map((entry) => entry.name).sort();
}

async function offsetsFrom(machine: Machine, log: GroupLog, from: number): Promise<readonly number[]> {
  const found: number[] = [];
  for (let next = from; next < log.endOffset; ) {
    const result = await machine.run(Promise.resolve(log.readFrom(offset(next), 64 * KiB, log.lastIndex)));
    assert.ok(result.kind === "frames" && result.frames.length > 0, `nothing is read at offset ${next}`);
    if (result.kind !== "frames") break;
    for (const frame of result.frames)
      for (let i = 0; i < frame.recordCount; i += 1) if (frame.baseOffset + i >= from) found.push(frame.baseOffset + i);
    next = (found.at(-1) as number) + 1;
  }
  return found;
}

describe("a trim", () => {
  it("counts from its commit on, and drops the whole segments below it", async () => {
    const machine = new Machine();
    const { store, log } = await filled(machine);
    const [first, second, third] = log.segments;
    assert.ok(first !== undefined && second !== undefined && third !== undefined);
    const to = (second.endOffset + 1) as Offset;
    append(log, term(9), [trimDraft(to)]);
    await machine.settle();
    assert.equal(log.startOffset, 0, "not committed yet");
    log.commit(log.lastIndex);
    assert.equal(log.startOffset, to);
    await machine.settle();
    assert.deepEqual(log.start, { index: second.lastIndex, term: term(1), offset: second.endOffset });
    assert.equal(log.segments[0], third);
    const logs = (await files(machine)).filter((name) => name.endsWith(".log"));
    assert.equal(Number(logs[0]?.slice(0, 20)), second.lastIndex + 1);
    assert.equal(logs.length, log.segments.length);

    assert.equal((await log.readFrom(offset(to - 1), 1, log.lastIndex)).kind, "below-start");
    assert.equal((await log.read(second.lastIndex, 1, log.lastIndex)).kind, "below-start");
    assert.equal((await offsetsFrom(machine, log, to)).length, log.endOffset - to);
    const late = await machine.run(log.findTime(0, log.lastIndex));
    assert.ok(late !== undefined && late.baseOffset + late.recordCount > to && late.baseOffset <= to, "time finds nothing below");
    await machine.run(store.close());
    assert.deepEqual(machine.failures, []);
  });

  it("is remembered over a restart, with the terms and the producers of what is left", async () => {
    const machine = new Machine();
    const { log } = await filled(machine);
    const to = (log.segments[2]?.endOffset ?? 0) + 2;
    await trim(machine, log, to);
    const { start, lastIndex, endOffset } = log;
    assert.ok(start.index > 25, "a term began below");
    machine.crash(true);
    const again = await reopened(machine);
    assert.deepEqual([again.log.start, again.log.startOffset, again.log.lastIndex, again.log.endOffset], [start, to, lastIndex, endOffset]);
    assert.deepEqual(again.store.recovered[0]?.terms[0], { term: 2, firstIndex: start.index + 1 });
    assert.equal((await offsetsFrom(machine, again.log, to)).length, endOffset - to);
    // And goes on from there.
    append(again.log, term(9), [draft(1)]);
    await machine.settle();
    again.log.commit(again.log.lastIndex);
    await machine.run(again.store.close());
    machine.crash();
    assert.deepEqual((await reopened(machine)).log.start, start);
  });

  it("to the end begins a new segment, and leaves only that", async () => {
    const machine = new Machine();
    const { log } = await filled(machine);
    await trim(machine, log, log.endOffset);
    assert.equal(log.startOffset, log.endOffset);
    assert.equal(log.segments.length, 1);
    assert.equal(log.start.index, log.lastIndex - 1, "the trim itself is all there is");
    assert.equal(log.offsetAfter(log.lastIndex), log.endOffset);
    machine.crash(true);
    const again = await reopened(machine);
    assert.equal(again.log.startOffset, again.log.endOffset);
    const [appended] = append(again.log, term(9), [draft(5)]);
    assert.equal(appended?.baseOffset, again.log.startOffset);
  });

  it("below the start, and a smaller one than the last, change nothing", async () => {
    const machine = new Machine();
    const { log } = await filled(machine);
    const to = (log.segments[1]?.endOffset ?? 0) + 1;
    await trim(machine, log, to);
    const { start } = log;
    await trim(machine, log, to - 5);
    await trim(machine, log, 0);
    assert.deepEqual([log.start, log.startOffset], [start, to]);
  });

  it("leaves what somebody still needs, until they do not", async () => {
    const machine = new Machine();
    const { log } = await filled(machine);
    const needed = (log.segments[1]?.lastIndex ?? 0) - 1;
    let from = index(needed);
    log.keepFor(() => from);
    await trim(machine, log, log.segments.at(-1)?.endOffset ?? 0);
    assert.ok(log.start.index > 0 && log.start.index < needed, `starts after ${log.start.index}`);
    const read = await machine.run(Promise.resolve(log.read(from, 1, log.lastIndex)));
    assert.equal(read.kind, "frames");
    from = index(log.lastIndex);
    log.dropTrimmed();
    await machine.settle();
    assert.ok(log.start.index > needed);
  });

  it("under a reader ends its reading, or lets it go on, and is no damage", async () => {
    for (let seed = 1; seed <= 8; seed += 1) {
      const machine = new Machine(seed);
      const { log } = await filled(machine, 40);
      machine.crash();
      const again = await reopened(machine);
      append(again.log, term(9), [trimDraft(again.log.endOffset)]);
      again.log.commit(again.log.lastIndex);
      const kinds = new Set<string>();
      let over = false;
      const reading = (async () => {
        // By index: that is how followers are caught up, whatever is readable.
        for (let next = 1; next < log.lastIndex; next += 3) {
          const result = await again.log.read(index(next), 20 * KiB, again.log.lastIndex);
          kinds.add(result.kind);
          if (result.kind === "frames") assert.equal(result.frames[0]?.index, next);
        }
        await again.log.findTime(0, again.log.lastIndex);
        over = true;
      })();
      await machine.run(reading);
      assert.ok(over);
      assert.deepEqual(machine.failures, []);
      await machine.settle();
      assert.equal(again.log.segments.length, 1);
      await machine.run(again.store.close());
    }
  });

  it("is found again when it came past the write-ahead log", async () => {
    const machine = new Machine();
    const { log } = await filled(machine);
    const after = { groupId: log.groupId, index: log.lastIndex, offset: log.endOffset, appendTime: log.lastAppendTime };
    const to = log.segments[1]?.endOffset ?? 0;
    const place = {
      groupId: log.groupId,
      index: index(after.index + 1),
      term: term(9),
      baseOffset: log.endOffset,
      appendTime: after.appendTime,
    };
    const trimFrame = makeFrame(trimDraft(offset(to)), place);
    const rest = framesAfter({ ...after, index: after.index + 1 }, [term(9), term(9)]);
    await machine.run(log.extend([trimFrame, ...rest]));
    await machine.settle();
    assert.equal(log.startOffset, to);
    machine.crash(true);
    const again = await reopened(machine);
    assert.equal(again.log.startOffset, to);
    assert.equal(again.log.start.offset, to);
  });

  it("is whole or not there after a crash at any disk operation, and what it left half done is finished", async () => {
    let moved = 0;
    let stayed = 0;
    for (let at = 1; at <= 26; at += 1) {
      const machine = new Machine(at);
      const { log } = await filled(machine, 40);
      const to = (log.segments[1]?.endOffset ?? 0) + 1;
      const target = log.segments[1]?.lastIndex;
      append(log, term(9), [trimDraft(offset(to))]);
      await machine.settle();
      const from = machine.device.operations;
      let crashed = false;
      machine.device.watch = (_kind, _path, number) => {
        if (crashed || number !== from + at) return;
        crashed = true;
        machine.crash(at % 2 === 0);
      };
      log.commit(log.lastIndex);
      await machine.scheduler.run(machine.scheduler.now + 10_000, () => crashed);
      machine.device.watch = undefined;
      if (!crashed) machine.crash();
      const again = await reopened(machine);
      await machine.settle();
      const logs = (await files(machine)).map((name) => Number(name.slice(0, 20)));
      assert.equal(Math.min(...logs), again.log.start.index + 1, `crash at ${at}: no file below the start is left`);
      assert.ok(again.log.start.index === 0 || again.log.start.index === target, `crash at ${at}`);
      if (again.log.start.index === 0) stayed += 1;
      else moved += 1;
      // Committed anew, as Raft does.
      again.log.commit(again.log.lastIndex);
      await machine.settle();
      assert.deepEqual([again.log.startOffset, again.log.start.index], [to, target], `crash at ${at}`);
      assert.equal((await offsetsFrom(machine, again.log, to)).length, again.log.endOffset - to);
      assert.deepEqual(machine.failures, []);
    }
    assert.ok(moved > 3 && stayed > 1, `${moved} moved, ${stayed} stayed: the crashes miss it`);
  });
});
