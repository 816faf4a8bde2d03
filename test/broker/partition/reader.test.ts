import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { crc32c } from "../../../src/base/crc32c.ts";
import { MillraceError } from "../../../src/base/errors.ts";
import { type GroupId, type LogIndex, NO_PRODUCER, type Offset, type Term } from "../../../src/base/ids.ts";
import type { Inflate } from "../../../src/base/ports/inflate.ts";
import { PartitionReader, type ReadablePartition, type ReadReply, type ReadRequest } from "../../../src/broker/partition/reader.ts";
import type { ReadResult } from "../../../src/log/types.ts";
import { makeFrame } from "../../../src/records/frame.ts";
import { Codec, type Frame, type FrameDraft, FrameType, nextOffsetOf, PayloadFormat } from "../../../src/records/frame-types.ts";
import { records } from "../../../src/records/log-record.ts";
import { RecordSetBuilder } from "../../../src/records/record-set-builder.ts";
import { World } from "../../../src/testing/sim/world.ts";
import { recordSet } from "../harness.ts";

const TERM = 7 as Term;
const APPEND_TIME = 5_000;

/** A led partition whose log is a list of frames, and a reader of it. `commit` is its last frame unless told. */
function partition() {
  const world = new World(1);
  const { clock } = world.machine("a").boot();
  const frames: Frame[] = [];
  const state = {
    serves: true,
    term: TERM,
    commit: 0,
    logStart: 0,
    confirmed: true,
    cold: undefined as Promise<void> | undefined,
    reads: 0,
    /** First and last entry of each. */
    holes: [] as (readonly [number, number])[],
    /** What is said of terms in holes, where it is wrong. */
    guesses: new Map<number, Term>(),
    /** Entries that the disk does not give, and no hole is known of. */
    unreadable: new Set<number>(),
    /** Of the last read. */
    stopped: undefined as (() => boolean) | undefined,
    inflated: undefined as Uint8Array | undefined,
  };
  const endOffset = (upTo = frames.length): number => (upTo === 0 ? 0 : nextOffsetOf(frames[upTo - 1] as Frame));
  const readFrom = (offset: Offset, _maxBytes: number, upTo: LogIndex, stopped?: () => boolean): ReadResult | Promise<ReadResult> => {
    state.reads++;
    state.stopped = stopped;
    const read = (): ReadResult => {
      if (offset < state.logStart)
        return { kind: "below-start", start: { index: 1 as LogIndex, term: TERM, offset: (state.logStart - 1) as Offset } };
      // More than was asked for, so that the reader must count for itself.
      return { kind: "frames", frames: frames.slice(0, upTo).filter((frame) => nextOffsetOf(frame) > offset) };
    };
    return state.cold === undefined ? read() : state.cold.then(read);
  };
  const readable: ReadablePartition = {
    name: "t-0",
    options: { topic: "t", number: 0 },
    get highWatermark() {
      return endOffset(state.commit) as Offset;
    },
    get logStartOffset() {
      return state.logStart as Offset;
    },
    replica: {
      get serves() {
        return state.serves;
      },
      core: {
        get commit() {
          return state.commit as LogIndex;
        },
        get term() {
          return state.term;
        },
        termAt: (index) => state.guesses.get(index) ?? (index === 0 ? (0 as Term) : frames[index - 1]?.term),
        unprovedAt: (index) => state.holes.find(([first, last]) => first <= index && index <= last)?.[0] as LogIndex | undefined,
      },
      log: {
        readFrom,
        start: { index: 0 as LogIndex },
        read: (index, _maxBytes, upTo) => {
          if (state.holes.some(([first, last]) => first <= index && index <= last) || state.unreadable.has(index))
            throw new MillraceError("DATA_LOSS", "damaged");
          return { kind: "frames", frames: frames.slice(index - 1, upTo) };
        },
        findTime: async (time, upTo) => frames.slice(0, upTo).find((frame) => frame.recordCount > 0 && frame.maxTimestamp >= time),
      },
    },
    notLeader: () => new MillraceError("NOT_LEADER", "broker 2 leads t-0"),
  };
  const gunzip: Inflate["gunzip"] = async () =>
    state.inflated === undefined ? { failed: "MALFORMED" as const } : { bytes: state.inflated };
  const reader = new PartitionReader(readable, clock, { gunzip }, (done) =>
    done(state.confirmed ? readable.replica.core.commit : undefined),
  );
  const append = (draft: Partial<FrameDraft> & { readonly payload: Uint8Array; readonly recordCount: number }): void => {
    const whole: FrameDraft = {
      type: FrameType.data,
      format: PayloadFormat.records,
      codec: Codec.none,
      firstTimestamp: 0,
      maxTimestamp: APPEND_TIME,
      producerId: NO_PRODUCER,
      producerEpoch: 0,
      baseSequence: -1,
      payloadCrc: crc32c(draft.payload),
      ...draft,
    };
    const place = {
      groupId: 9 as GroupId,
      index: (frames.length + 1) as LogIndex,
      term: state.term,
      baseOffset: endOffset() as Offset,
      appendTime: APPEND_TIME,
    };
    frames.push(makeFrame(whole, place));
    state.commit = frames.length;
  };
  return {
    world,
    clock,
    state,
    reader,
    /** Appends and commits a plain batch, each record with a time of its own if there are some. */
    batch(values: readonly string[], times: readonly number[] = []) {
      const builder = new RecordSetBuilder();
      for (const [i, value] of values.entries()) builder.append(undefined, value, [], times[i] ?? 0);
      append({
        payload: builder.take(),
        recordCount: values.length,
        maxTimestamp: Math.max(APPEND_TIME * (times.length === 0 ? 1 : 0), ...times),
      });
    },
    gzip(recordCount: number) {
      append({ payload: Uint8Array.of(1, 2, 3, 4), recordCount, codec: Codec.gzip });
    },
    noop() {
      append({ type: FrameType.noop, payload: new Uint8Array(0), recordCount: 0, maxTimestamp: 0 });
    },
    read(request: Partial<Omit<ReadRequest, "offset">> & { readonly offset: number; readonly waitMs?: number }) {
      const { waitMs = 0, offset, ...more } = request;
      const outcomes: (ReadReply | MillraceError)[] = [];
      const cancel = reader.read(
        {
          maxBytes: 1_000_000,
          minBytes: 1,
          accept: new Set([Codec.none]),
          lastTerm: undefined,
          ...more,
          offset: offset as Offset,
          waitUntil: clock.monotonic() + waitMs,
        },
        (outcome) => outcomes.push(outcome),
      );
      return {
        cancel,
        outcomes,
        get reply(): ReadReply {
          const [only, ...others] = outcomes;
          assert.ok(only !== undefined && !(only instanceof MillraceError), String(only));
          assert.deepEqual(others, []);
          return only;
        },
        get error(): MillraceError {
          const [only, ...others] = outcomes;
          assert.ok(only instanceof MillraceError);
          assert.deepEqual(others, []);
          return only;
        },
      };
    },
    pass: (ms: number) => world.scheduler.run(world.now + ms),
  };
}

const valuesOf = (reply: ReadReply): string[] =>
  reply.batches.flatMap(({ payload }) => [...records(payload)].map(({ value }) => Buffer.from(value ?? []).toString()));

describe("A read of a partition", () => {
  it("gives what is stored from the offset on, with the marks of the moment", () => {
    const it = partition();
    it.batch(["a", "b"]);
    it.batch(["c"]);
    const { reply } = it.read({ offset: 0 });
    assert.deepEqual(valuesOf(reply), ["a", "b", "c"]);
    assert.deepEqual(
      { ...reply, batches: reply.batches.map(({ payload: _, ...batch }) => batch) },
      {
        batches: [
          { baseOffset: 0, recordCount: 2, codec: Codec.none, skipRecords: 0, appendTime: APPEND_TIME, appendTimed: false, term: TERM },
          { baseOffset: 2, recordCount: 1, codec: Codec.none, skipRecords: 0, appendTime: APPEND_TIME, appendTimed: false, term: TERM },
        ],
        bytes: reply.batches.reduce((sum, { payload }) => sum + payload.byteLength, 0),
        highWatermark: 3,
        logStartOffset: 0,
        nextOffset: 3,
        term: TERM,
      },
    );
  });

  it("begins with the record that was asked for, in the middle of a plain batch", () => {
    const it = partition();
    it.batch(["a", "b", "c"]);
    const { reply } = it.read({ offset: 1 });
    assert.deepEqual(valuesOf(reply), ["b", "c"]);
    assert.deepEqual([reply.batches[0]?.baseOffset, reply.batches[0]?.recordCount, reply.nextOffset], [1, 2, 3]);
  });

  it("leaves a compressed batch whole and says how much of it to pass over", () => {
    const it = partition();
    it.gzip(5);
    const [batch] = it.read({ offset: 3, accept: new Set([Codec.none, Codec.gzip]) }).reply.batches;
    assert.deepEqual(batch, {
      baseOffset: 3,
      recordCount: 2,
      codec: Codec.gzip,
      payload: Uint8Array.of(1, 2, 3, 4),
      skipRecords: 3,
      appendTime: APPEND_TIME,
      appendTimed: false,
      term: TERM,
    });
  });

  it("refuses a codec the reader does not know where it meets it first, and gives what comes before it", () => {
    const it = partition();
    it.batch(["a"]);
    it.gzip(2);
    assert.deepEqual([valuesOf(it.read({ offset: 0 }).reply), it.read({ offset: 0 }).reply.nextOffset], [["a"], 1]);
    assert.equal(it.read({ offset: 1 }).error.code, "COMPRESSION_UNSUPPORTED");
  });

  it("gives one batch however large, and no more than was asked for", () => {
    const it = partition();
    for (const value of ["a", "b", "c"]) it.batch([value.repeat(100)]);
    assert.equal(it.read({ offset: 0, maxBytes: 1 }).reply.nextOffset, 1);
    const two = it.read({ offset: 0, maxBytes: 250 }).reply;
    assert.deepEqual([two.batches.length, two.nextOffset], [2, 2]);
    assert.ok(two.bytes <= 250);
  });

  it("passes over entries without records, and gives nothing that is not committed", () => {
    const it = partition();
    it.noop();
    it.batch(["a"]);
    it.noop();
    it.batch(["b"]);
    assert.deepEqual(valuesOf(it.read({ offset: 0 }).reply), ["a", "b"]);
    it.state.commit = 3;
    const { reply } = it.read({ offset: 0 });
    assert.deepEqual([valuesOf(reply), reply.highWatermark, reply.nextOffset], [["a"], 1, 1]);
  });

  it("refuses offsets that are not there, with the range, and everything where this replica does not serve", async () => {
    const it = partition();
    it.batch(["a", "b", "c"]);
    it.state.logStart = 1;
    for (const offset of [0, 4]) {
      const read = it.read({ offset });
      await it.pass(1);
      assert.equal(read.error.code, "OFFSET_OUT_OF_RANGE");
      assert.deepEqual(read.error.metadata, { topic: "t", partition: "0", log_start_offset: "1", high_watermark: "3" });
    }
    assert.deepEqual(it.read({ offset: 3 }).reply.batches, []);
    // A successor it does not know of may have committed more.
    it.state.confirmed = false;
    const beyond = it.read({ offset: 4 });
    await it.pass(1);
    assert.equal(beyond.error.code, "NOT_LEADER");
    it.state.serves = false;
    assert.equal(it.read({ offset: 1 }).error.code, "NOT_LEADER");
  });

  it("says when the log began later than it seemed, and that a damaged place is lost", async () => {
    const it = partition();
    it.batch(["a", "b"]);
    let fail: (error: Error) => void = () => {};
    let go = (): void => {};
    it.state.cold = new Promise((resolve) => {
      go = resolve;
    });
    const trimmed = it.read({ offset: 0 });
    it.state.logStart = 1;
    go();
    await it.pass(1);
    assert.equal(trimmed.error.code, "OFFSET_OUT_OF_RANGE");
    assert.equal(trimmed.error.metadata.log_start_offset, "1");

    it.state.logStart = 0;
    it.state.cold = new Promise((_, reject) => {
      fail = reject;
    });
    const damaged = it.read({ offset: 0 });
    fail(new Error("bad checksum"));
    await it.pass(1);
    assert.equal(damaged.error.code, "DATA_LOSS");
    assert.match(damaged.error.message, /t-0: bad checksum/);
  });

  it("names the term in which this broker led, when another one leads by the time the disk has answered (M1)", async () => {
    const { state, ...it } = partition();
    it.batch(["a"]);
    let go = (): void => {};
    state.cold = new Promise((resolve) => {
      go = resolve;
    });
    const read = it.read({ offset: 0 });
    Object.assign(state, { serves: false, term: TERM + 1 });
    go();
    await it.pass(1);
    assert.deepEqual([valuesOf(read.reply), read.reply.term], [["a"], TERM]);
  });
});

describe("A read that names the term of the record before its offset", () => {
  /** Offsets 0 to 3 are of term 7, 4 and 5 of term 9, 6 and 7 of term 12; empty entries stand where each term begins. */
  function threeTerms() {
    const it = partition();
    for (const [term, ...batches] of [
      [7, ["a", "b"], ["c", "d"]],
      [9, ["e", "f"]],
      [12, ["g"], ["h"]],
    ] as const) {
      it.state.term = term as Term;
      it.noop();
      for (const values of batches) it.batch(values);
    }
    return it;
  }
  const at = (offset: number, term: number) => ({ offset, lastTerm: term as Term });

  it("goes on where the log has that record", async () => {
    const it = threeTerms();
    for (const [offset, term] of [
      [0, 5],
      [1, 7],
      [4, 7],
      [5, 9],
      [8, 12],
      // The term of the leader that it was read from.
      [4, 9],
      [3, 12],
    ] as const) {
      const read = it.read(at(offset, term));
      await it.pass(1);
      assert.equal(read.reply.batches[0]?.baseOffset, offset === 8 ? undefined : offset);
    }
  });

  it("is refused where it has another one, and told where the log parts from that of the term", async () => {
    const it = threeTerms();
    for (const [offset, term, parted, partedTerm] of [
      // There was more of term 7 and 9.
      [6, 7, 4, "7"],
      [8, 9, 6, "9"],
      // There was a term 8, or 10, that this log knows nothing of: what was before it may have been cut as well.
      [5, 8, 4, "7"],
      [7, 10, 6, "9"],
      [2, 5, 0, "0"],
      [7, 13, 8, "12"],
    ] as const) {
      const read = it.read(at(offset, term));
      await it.pass(1);
      const { code, metadata } = read.error;
      const where = { topic: "t", partition: "0", log_start_offset: "0", high_watermark: "8", term: String(term) };
      assert.deepEqual(
        { code, ...metadata },
        { code: "LOG_TRUNCATED", ...where, diverging_offset: String(parted), diverging_term: partedTerm },
      );
    }
    const beyond = it.read(at(9, 9));
    await it.pass(1);
    assert.equal(beyond.error.code, "OFFSET_OUT_OF_RANGE");
    assert.equal(beyond.error.metadata["diverging_offset"], "6");
  });

  it("is refused so only by a leader that is confirmed: it may have read what a later one has committed", async () => {
    const it = threeTerms();
    it.state.confirmed = false;
    const read = it.read(at(6, 7));
    await it.pass(1);
    assert.equal(read.error.code, "NOT_LEADER");
    it.state.confirmed = true;
    it.state.serves = false;
    assert.equal(it.read(at(6, 7)).error.code, "NOT_LEADER");
  });

  it("is not compared with what was trimmed away or cannot be read", async () => {
    const it = threeTerms();
    it.state.logStart = 5;
    const first = it.read(at(5, 3));
    await it.pass(1);
    assert.equal(first.reply.batches[0]?.baseOffset, 5);
    const refused = it.read(at(6, 8));
    await it.pass(1);
    assert.equal(refused.error.metadata["diverging_offset"], "5", "what is below is gone");
    it.state.logStart = 0;
    it.state.cold = Promise.reject(new MillraceError("DATA_LOSS", "a hole"));
    const damaged = it.read(at(8, 3));
    await it.pass(1);
    assert.deepEqual(damaged.reply.batches, []);
  });

  it("is not compared with terms that are guessed, because their entries lie in a hole", async () => {
    // Entries: 1 no-op, 2 and 3 of 7; 4 no-op, 5 of 9; 6 no-op, 7 and 8 of 12.
    for (const [hole, guess] of [
      // As if they were of the one before, or behind; the other half of the hole may be of the term as well.
      [[4, 5], 7],
      [[4, 5], 12],
      [[3, 5], 7],
      [[4, 7], 12],
      [[5, 5], 12],
      [[4, 4], 7],
    ] as const) {
      const it = threeTerms();
      it.state.holes.push(hole);
      for (let index = hole[0]; index <= hole[1]; index++) it.state.guesses.set(index, guess as Term);
      // The record before is of 7, its leader was of term 9, and of that all there was may lie in the hole.
      const read = it.read(at(1, 9));
      await it.pass(1);
      assert.equal(read.reply.batches[0]?.baseOffset, 1, `hole ${hole}, taken for ${guess}`);
    }
    const it = threeTerms();
    it.state.holes.push([7, 7]);
    for (const [offset, term] of [
      [1, 8],
      [5, 11],
      [5, 7],
    ] as const) {
      const read = it.read(at(offset, term));
      await it.pass(1);
      assert.equal(read.error.code, "LOG_TRUNCATED", "no entry of that term can lie in the hole");
    }
  });

  it("is told where the log parts for certain only where that can be read", async () => {
    const parted = async (change: (state: ReturnType<typeof threeTerms>["state"]) => void, offset: number, term: number) => {
      const it = threeTerms();
      change(it.state);
      const read = it.read(at(offset, term));
      await it.pass(1);
      const { code, metadata } = read.error;
      return [code, metadata["diverging_offset"], metadata["diverging_term"]];
    };
    // The next entry cannot be read, but the one before ends where it begins.
    assert.deepEqual(await parted((state) => state.unreadable.add(4), 6, 7), ["LOG_TRUNCATED", "4", "7"]);
    assert.deepEqual(await parted((state) => state.unreadable.add(4).add(3), 6, 7), ["LOG_TRUNCATED", "0", undefined]);
    // There may be more of term 7 in the hole: what is known to be of it ends further back.
    assert.deepEqual(await parted((state) => state.holes.push([3, 4]), 6, 7), ["LOG_TRUNCATED", "2", undefined]);
    assert.deepEqual(await parted((state) => state.holes.push([4, 4]), 6, 7), ["LOG_TRUNCATED", "4", undefined]);
    assert.deepEqual(await parted((state) => state.holes.push([1, 4]), 6, 7), ["LOG_TRUNCATED", "0", undefined]);
    // A hole elsewhere changes nothing.
    assert.deepEqual(await parted((state) => state.holes.push([1, 2], [7, 8]), 6, 7), ["LOG_TRUNCATED", "4", "7"]);
  });

  it("looks the term up once, not for each read that goes on behind another", async () => {
    const it = threeTerms();
    const read = it.read({ ...at(1, 7), maxBytes: 1 });
    await it.pass(1);
    assert.deepEqual([read.reply.nextOffset, it.state.reads], [2, 2]);
    for (const [offset, term] of [
      [2, 7],
      [4, 7],
      [6, 9],
      [7, 12],
    ] as const)
      assert.equal(it.read({ ...at(offset, term), maxBytes: 1 }).reply.batches.length, 1);
    assert.equal(it.state.reads, 6, "each read once, nothing besides");
    // What was learned under another leader is looked up again.
    it.state.term = 13 as Term;
    const again = it.read({ ...at(4, 7), maxBytes: 1 });
    await it.pass(1);
    assert.deepEqual([again.reply.nextOffset, it.state.reads], [6, 8]);
    it.read(at(8, 12));
    assert.equal(it.state.reads, 9);
  });

  it("looks a leader's term up once for all places up to the one that was read from it", async () => {
    const it = threeTerms();
    const named = async (offset: number, term: number): Promise<number> => {
      const before = it.state.reads;
      const read = it.read({ ...at(offset, term), maxBytes: 1 });
      await it.pass(1);
      assert.equal(read.outcomes.length, 1);
      return it.state.reads - before;
    };
    assert.deepEqual([await named(3, 9), await named(3, 9), await named(2, 9)], [2, 1, 1]);
    // Further on it may be another one's.
    assert.equal(await named(4, 9), 2);
    assert.equal(await named(6, 7), 1);
    const refused = it.read(at(6, 7));
    await it.pass(1);
    assert.equal(refused.error.code, "LOG_TRUNCATED");
    it.state.term = 13 as Term;
    assert.equal(await named(3, 9), 2);
  });

  it("compares also while it waits for more", async () => {
    const it = threeTerms();
    it.batch(["i"]);
    it.state.commit -= 1;
    const read = it.read({ ...at(8, 12), waitMs: 1_000 });
    await it.pass(1);
    assert.deepEqual(read.outcomes, []);
    it.state.commit += 1;
    it.reader.moved();
    assert.deepEqual(valuesOf(read.reply), ["i"]);
  });
});

describe("A read that waits", () => {
  it("is answered when something is committed, at once and once", async () => {
    const it = partition();
    it.batch(["a"]);
    const read = it.read({ offset: 1, waitMs: 1_000 });
    await it.pass(500);
    assert.deepEqual(read.outcomes, []);
    it.batch(["b"]);
    it.reader.moved();
    assert.deepEqual(valuesOf(read.reply), ["b"]);
    it.batch(["c"]);
    it.reader.moved();
    await it.pass(5_000);
    assert.equal(read.outcomes.length, 1);
  });

  it("is answered empty at its deadline, and not before", async () => {
    const it = partition();
    it.batch(["a"]);
    const read = it.read({ offset: 1, waitMs: 1_000 });
    await it.pass(999);
    assert.deepEqual(read.outcomes, []);
    await it.pass(10);
    assert.deepEqual([read.reply.batches, read.reply.nextOffset], [[], 1]);
  });

  it("waits for as many bytes as it wants, and gives what there is at the deadline", async () => {
    const it = partition();
    it.batch(["a"]);
    const read = it.read({ offset: 0, minBytes: 250, waitMs: 1_000 });
    const never = it.read({ offset: 0, minBytes: 100_000, waitMs: 1_000 });
    it.batch(["b".repeat(100)]);
    it.reader.moved();
    assert.deepEqual(read.outcomes, []);
    it.batch(["c".repeat(200)]);
    it.reader.moved();
    assert.equal(read.reply.nextOffset, 3);
    await it.pass(1_100);
    assert.equal(never.reply.nextOffset, 3);
  });

  it("does not wait for more where its size is what cuts it", () => {
    const it = partition();
    it.batch(["a".repeat(100)]);
    it.batch(["b".repeat(100)]);
    assert.equal(it.read({ offset: 0, maxBytes: 150, minBytes: 1_000, waitMs: 1_000 }).reply.nextOffset, 1);
  });

  it("is refused as soon as this replica does not serve any more", () => {
    const it = partition();
    it.batch(["a"]);
    const read = it.read({ offset: 1, waitMs: 1_000 });
    it.state.serves = false;
    it.reader.moved();
    assert.equal(read.error.code, "NOT_LEADER");
  });

  it("is not woken when nothing has moved", () => {
    const it = partition();
    it.batch(["a"]);
    it.reader.moved();
    it.read({ offset: 1, waitMs: 1_000 });
    it.read({ offset: 0, minBytes: 1_000, waitMs: 1_000 });
    const before = it.state.reads;
    for (let i = 0; i < 5; i++) it.reader.moved();
    assert.equal(it.state.reads, before);
  });

  it("is never answered once it was cancelled: asleep, woken, or in the middle of a cold read", async () => {
    const it = partition();
    it.batch(["a"]);
    const asleep = it.read({ offset: 1, waitMs: 1_000 });
    asleep.cancel();
    let go = (): void => {};
    it.state.cold = new Promise((resolve) => {
      go = resolve;
    });
    const cold = it.read({ offset: 0, waitMs: 1_000 });
    const stopped = it.state.stopped;
    assert.equal(stopped?.(), false);
    cold.cancel();
    assert.equal(stopped?.(), true, "the log is told, so that the read ends");
    go();
    it.batch(["b"]);
    it.reader.moved();
    await it.pass(5_000);
    let fail: (error: Error) => void = () => {};
    it.state.cold = new Promise((_, reject) => {
      fail = reject;
    });
    const damaged = it.read({ offset: 0 });
    damaged.cancel();
    fail(new Error("bad checksum"));
    await it.pass(1);
    assert.deepEqual([asleep.outcomes, cold.outcomes, damaged.outcomes], [[], [], []]);
  });

  it("sees what was committed while it read from disk", async () => {
    const it = partition();
    it.batch(["a".repeat(100)]);
    let go = (): void => {};
    it.state.cold = new Promise((resolve) => {
      go = resolve;
    });
    const read = it.read({ offset: 0, minBytes: 150, waitMs: 1_000 });
    it.batch(["b".repeat(100)]);
    it.reader.moved();
    go();
    await it.pass(100);
    // What the first look found is not enough, and more was there than it had seen: no reason to wait.
    assert.equal(read.outcomes.length, 1);
  });
});

describe("A search by time", () => {
  it("finds the first record at or after it, by its own time or the time of its append", async () => {
    const it = partition();
    it.batch(["a", "b", "c"], [100, 300, 200]);
    it.batch(["d"]);
    assert.deepEqual(await it.reader.findTime(50), { offset: 0, timestamp: 100 });
    assert.deepEqual(await it.reader.findTime(150), { offset: 1, timestamp: 300 });
    assert.deepEqual(await it.reader.findTime(301), { offset: 3, timestamp: APPEND_TIME });
    assert.equal(await it.reader.findTime(APPEND_TIME + 1), undefined);
  });

  it("looks at committed records only, and inside compressed batches", async () => {
    const it = partition();
    it.batch(["a"], [100]);
    it.gzip(3);
    it.state.inflated = new Uint8Array([...recordSet(["b"], 1_800), ...recordSet(["c"], 2_000), ...recordSet(["d"])]);
    assert.deepEqual(await it.reader.findTime(1_900), { offset: 2, timestamp: 2_000 });
    assert.deepEqual(await it.reader.findTime(2_001), { offset: 3, timestamp: APPEND_TIME });
    it.state.inflated = undefined;
    await assert.rejects(it.reader.findTime(1_900), { code: "DATA_LOSS" });
    it.state.commit = 1;
    assert.equal(await it.reader.findTime(1_500), undefined);
  });
});
