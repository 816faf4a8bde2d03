import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { crc32c } from "../../src/base/crc32c.ts";
import type { Incarnation, LogIndex, Offset, ProducerId, Term } from "../../src/base/ids.ts";
import { BlockBuilder } from "../../src/log/block-builder.ts";
import { BLOCK_ALIGN, incarnationBytes, readBlockHeader, writeBlockHeader } from "../../src/log/model/block.ts";
import { readBlock } from "../../src/log/model/block-reader.ts";
import { ByteReader, ByteWriter, Malformed } from "../../src/log/model/bytes.ts";
import { FrameOwner, FrameQueue, HeldFrame } from "../../src/log/model/held.ts";
import { GroupImage } from "../../src/log/model/image.ts";
import { PRODUCER_EXPIRY_MS, PRODUCERS_MAX, Producers, type SequencedFrame } from "../../src/log/model/producers.ts";
import { encodeOp, RECORD_HEADER_BYTES, readOp, type SyncedMark, type WalOp } from "../../src/log/model/records.ts";
import { decodeFooter, decodeStartPoint, encodeFooter, encodeStartPoint, type SegmentFacts } from "../../src/log/model/segment-files.ts";
import { parseSegment, segmentStem } from "../../src/log/model/segment-name.ts";
import { SparseIndex } from "../../src/log/model/sparse-index.ts";
import { TermTable } from "../../src/log/model/terms.ts";
import { WalImage } from "../../src/log/model/wal-image.ts";
import { Scratch } from "../../src/log/slabs.ts";
import { HEADER_BYTES, makeFrame } from "../../src/records/frame.ts";
import { draft, EMPTY, group, index, offset, replica, term, text } from "./frames.ts";

const DISK = incarnationBytes("01234567-89ab-4def-8123-456789abcdef" as Incarnation);
const i53 = fc.maxSafeNat();
/** Objects like those of the code: with a prototype. */
function plain<T>(fields: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record(fields, { noNullPrototype: true });
}
const start = plain({ index: i53.map(index), term: i53.map(term), offset: i53.map(offset) });
const mark: fc.Arbitrary<SyncedMark> = plain({
  index: i53.map(index),
  term: i53.map(term),
  offset: i53.map(offset),
  appendTime: i53,
  baseIndex: i53.map(index),
  baseOffset: i53.map(offset),
  position: i53,
  sealed: fc.boolean(),
});
const terms = fc.array(plain({ term: i53.map(term), firstIndex: i53.map(index) }), { maxLength: 5 });
const config = fc.uint8Array({ maxLength: 50 });
const op: fc.Arbitrary<WalOp> = fc.oneof(
  plain({
    kind: fc.constant("state" as const),
    groupId: i53.map(group),
    term: i53.map(term),
    votedFor: fc.option(fc.integer({ min: 1 }).map(replica), { nil: undefined }),
  }),
  plain({
    kind: fc.constant("truncate" as const),
    groupId: i53.map(group),
    from: i53.map(index),
    offset: i53.map(offset),
    appendTime: i53,
  }),
  plain({ kind: fc.constant("synced" as const), groupId: i53.map(group), replicaId: i53.map(replica), mark, terms }),
  plain({ kind: fc.constant("synced" as const), groupId: i53.map(group), replicaId: i53.map(replica), mark, terms, config }),
  plain({ kind: fc.constant("open" as const), groupId: i53.map(group), replicaId: i53.map(replica), start, config }),
  plain({ kind: fc.constant("drop" as const), groupId: i53.map(group), replicaId: i53.map(replica) }),
  plain({ kind: fc.constant("dropped" as const), replicaIds: fc.array(i53.map(replica), { maxLength: 20 }) }),
);

const kindIn = (record: Uint8Array): number => new DataView(record.buffer, record.byteOffset).getUint32(4, true);

describe("records of the write-ahead log", () => {
  it("come back as they were written", () => {
    fc.assert(
      fc.property(op, (one) => {
        const bytes = encodeOp(one);
        assert.equal(new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true), bytes.length - RECORD_HEADER_BYTES);
        assert.deepEqual(readOp(kindIn(bytes), bytes.subarray(RECORD_HEADER_BYTES)), one);
      }),
    );
  });

  it("are refused when they are too short, too long or of an unknown kind", () => {
    fc.assert(
      fc.property(op, fc.nat(), (one, cut) => {
        const bytes = encodeOp(one);
        const body = bytes.subarray(RECORD_HEADER_BYTES);
        assert.throws(() => readOp(kindIn(bytes), body.subarray(0, cut % body.length)), Malformed);
        assert.throws(() => readOp(kindIn(bytes), Buffer.concat([body, new Uint8Array(1)])), Malformed);
        assert.throws(() => readOp(99, body), Malformed);
      }),
    );
  });

  it("carry numbers of 53 bits, negative ones too, and refuse larger ones", () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), (n) => {
        assert.equal(new ByteReader(new ByteWriter(8).i53(n).done()).i53(), n);
      }),
    );
    assert.throws(() => new ByteReader(new Uint8Array(8).fill(0x7f)).i53(), Malformed);
  });

  it("give copies: what is kept does not change with the buffer it was read from", () => {
    const buffer = Buffer.from(new ByteWriter().bytes(text("config")).done());
    const read = new ByteReader(buffer).bytes();
    buffer.fill(0);
    assert.deepEqual(read, text("config"));
  });
});

describe("a block", () => {
  const owner = new FrameOwner(group(5));

  function build(seeds: readonly number[]): { bytes: Buffer; builder: BlockBuilder } {
    const builder = new BlockBuilder(new Scratch());
    builder.ref.sequence = 12;
    let next = 0;
    for (const [i, seed] of seeds.entries()) {
      const batch = draft(seed, seed % 5000);
      const place = { groupId: group(5), index: index(i + 1), term: term(2), baseOffset: offset(next), appendTime: 10 };
      next += batch.recordCount;
      builder.frame(owner, i % 2 === 0 ? { draft: batch, place } : makeFrame(batch, place));
      if (i % 3 === 0) builder.op({ kind: "state", groupId: group(5), term: term(2), votedFor: undefined }, owner);
    }
    return { bytes: Buffer.concat(builder.finish(DISK, 7)), builder };
  }

  it("comes back as it was built, padded to 4 KiB", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(), { maxLength: 8 }), (seeds) => {
        const { bytes, builder } = build(seeds);
        assert.equal(bytes.length % BLOCK_ALIGN, 0);
        const header = readBlockHeader(bytes, 0, DISK);
        assert.ok(header !== undefined);
        assert.deepEqual([header.sequence, header.lowMark, header.bytes, header.frames], [12, 7, builder.bytes, seeds.length]);
        assert.ok(bytes.subarray(header.bytes).every((byte) => byte === 0));
        const records = readBlock(bytes.subarray(0, header.bytes), header);
        assert.ok(typeof records !== "string");
        const built = builder.events.filter((event) => event instanceof HeldFrame);
        const read = records.filter((record) => record.kind === "frame");
        assert.deepEqual(
          read.map((one) => [one.at, Buffer.from(one.frame.bytes)]),
          built.map((one) => [one.at, Buffer.from((one.frame as { bytes: Uint8Array }).bytes)]),
        );
        assert.equal(records.length - read.length, Math.ceil(seeds.length / 3));
      }),
      { numRuns: 40 },
    );
  });

  it("does not count when any one bit of it is another", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(), { minLength: 1, maxLength: 4 }), fc.nat(), fc.nat(7), (seeds, at, bit) => {
        const { bytes } = build(seeds);
        const sound = readBlockHeader(bytes, 0, DISK);
        assert.ok(sound !== undefined);
        const place = at % sound.bytes;
        bytes[place] = (bytes[place] ?? 0) ^ (1 << bit);
        const header = readBlockHeader(bytes, 0, DISK);
        if (header === undefined) assert.ok(place < 64);
        else assert.equal(typeof readBlock(bytes.subarray(0, sound.bytes), header), "string", `byte ${place}`);
      }),
      { numRuns: 150 },
    );
  });

  it("does not count when the sound header of another frame stands in it, as old sectors leave it after a torn write", () => {
    // Batches of one size and blocks of one layout: what stood here before fits, and is sound by itself.
    const block = (first: number) => {
      const builder = new BlockBuilder(new Scratch());
      builder.ref.sequence = first;
      const at: number[] = [];
      for (let i = 0; i < 3; i += 1) {
        const place = { groupId: group(5), index: index(first + i), term: term(2), baseOffset: offset(first + i), appendTime: 10 };
        at.push(builder.frame(owner, { draft: { ...draft(1, 40), recordCount: 1 }, place }).at);
      }
      return { bytes: Buffer.concat(builder.finish(DISK, 1)), at };
    };
    const [torn, old] = [block(20), block(2)];
    const at = torn.at[1] as number;
    assert.equal(old.at[1], at);
    torn.bytes.set(old.bytes.subarray(at, at + HEADER_BYTES), at);
    const header = readBlockHeader(torn.bytes, 0, DISK);
    assert.ok(header !== undefined);
    assert.equal(readBlock(torn.bytes.subarray(0, header.bytes), header), "the digest of the records does not match");
  });

  it("of another disk is none of ours", () => {
    const other = incarnationBytes("11234567-89ab-4def-8123-456789abcdef" as Incarnation);
    const bytes = new Uint8Array(64);
    writeBlockHeader(bytes, 0, other, { sequence: 1, lowMark: 1, bytes: 64, frames: 0, flags: 0, digest: 0 });
    assert.equal(readBlockHeader(bytes, 0, DISK), undefined);
    assert.equal(readBlockHeader(bytes, 0, other)?.sequence, 1);
  });
});

describe("the image of a group", () => {
  const facts = (i: number, at: number, base: number) => ({
    index: index(i),
    term: term(at),
    baseOffset: offset(base),
    recordCount: 2,
    appendTime: i,
  });

  it("takes a frame again without change, and refuses another one in its place, a gap, and a term that falls", () => {
    const image = new GroupImage(group(1), replica(1), EMPTY, text(""));
    assert.equal(image.frame(facts(1, 3, 0)), true);
    assert.equal(image.frame(facts(2, 3, 2)), true);
    assert.equal(image.frame(facts(1, 3, 0)), false);
    assert.throws(() => image.frame(facts(2, 4, 2)), Malformed);
    assert.throws(() => image.frame(facts(4, 3, 4)), Malformed);
    assert.throws(() => image.frame(facts(3, 2, 4)), Malformed);
    assert.throws(() => image.frame(facts(3, 3, 5)), Malformed);
    image.apply({ kind: "truncate", groupId: group(1), from: index(2), offset: offset(2), appendTime: 1 });
    assert.equal(image.frame(facts(2, 4, 2)), true);
    assert.deepEqual(image.terms.starts, [
      { term: 3, firstIndex: 1 },
      { term: 4, firstIndex: 2 },
    ]);
  });

  it("refuses a term that falls, a second vote in one term, and a truncation of what is synced", () => {
    const image = new GroupImage(group(1), replica(1), EMPTY, text(""));
    image.apply({ kind: "state", groupId: group(1), term: term(3), votedFor: undefined });
    image.apply({ kind: "state", groupId: group(1), term: term(3), votedFor: replica(2) });
    assert.throws(() => image.apply({ kind: "state", groupId: group(1), term: term(3), votedFor: replica(4) }), /voted twice/);
    assert.throws(() => image.apply({ kind: "state", groupId: group(1), term: term(2), votedFor: replica(2) }), Malformed);
    image.frame(facts(1, 3, 0));
    const at = { index: index(1), term: term(3), offset: offset(2), appendTime: 1, baseIndex: index(1), baseOffset: offset(0) };
    const synced = { ...at, position: 100, sealed: false };
    image.apply({ kind: "synced", groupId: group(1), replicaId: replica(1), mark: synced, terms: [] });
    assert.throws(
      () => image.apply({ kind: "truncate", groupId: group(1), from: index(1), offset: offset(0), appendTime: 0 }),
      /committed/,
    );
    assert.deepEqual(GroupImage.decode(image.encode()), image);
  });

  it("of all groups says the same from a checkpoint as from the records", () => {
    const image = new WalImage();
    image.apply({ kind: "open", groupId: group(9), replicaId: replica(4), start: EMPTY, config: text("nine") });
    image.apply({ kind: "open", groupId: group(2), replicaId: replica(5), start: EMPTY, config: text("two") });
    image.frame(group(9), facts(1, 1, 0));
    image.apply({ kind: "drop", groupId: group(2), replicaId: replica(5) });
    assert.throws(() => image.apply({ kind: "open", groupId: group(2), replicaId: replica(5), start: EMPTY, config: text("") }), /dropped/);
    assert.throws(() => image.frame(group(2), facts(1, 1, 0)), /not open/);
    const copy = new WalImage();
    for (const record of image.checkpoint()) {
      const kind = new DataView(record.buffer, record.byteOffset).getUint32(4, true);
      copy.apply(readOp(kind, record.subarray(RECORD_HEADER_BYTES)));
    }
    assert.deepEqual([...copy.checkpoint()], [...image.checkpoint()]);
    assert.ok(copy.dropped.has(replica(5)));
  });
});

describe("producers", () => {
  const frame = (i: number, id: number, sequence: number, appendTime = i, epoch = 0): SequencedFrame => ({
    producerId: id as ProducerId,
    producerEpoch: epoch,
    baseSequence: sequence,
    recordCount: 1,
    baseOffset: i as Offset,
    index: i as LogIndex,
    term: 1 as Term,
    appendTime,
  });

  it("are the five newest batches of each, whatever is appended, truncated, and folded into the base", () => {
    const steps = fc.array(
      fc.oneof(
        { weight: 6, arbitrary: fc.record({ kind: fc.constant("append" as const), n: fc.nat(3) }) },
        { weight: 1, arbitrary: fc.record({ kind: fc.constant("truncate" as const), n: fc.nat(6) }) },
        { weight: 1, arbitrary: fc.record({ kind: fc.constant("advance" as const), n: fc.nat(9) }) },
        { weight: 1, arbitrary: fc.record({ kind: fc.constant("restart" as const), n: fc.constant(0) }) },
      ),
      { maxLength: 80 },
    );
    fc.assert(
      fc.property(steps, (all) => {
        let producers = new Producers();
        let log: SequencedFrame[] = [];
        let base = 0;
        for (const { kind, n } of all) {
          if (kind === "append") {
            log.push(frame(log.length + 1, n - 1, log.length));
            producers.append(log.at(-1) as SequencedFrame);
          } else if (kind === "truncate") {
            const from = Math.max(base + 1, log.length + 1 - n);
            log = log.slice(0, from - 1);
            producers.truncate(from as LogIndex);
          } else if (kind === "advance") {
            base = Math.min(log.length, base + n);
            producers.advance(base as LogIndex);
          } else {
            const out = new ByteWriter();
            producers.write(out);
            producers = Producers.read(new ByteReader(out.done()));
            for (const one of log.slice(base)) producers.append(one);
          }
          for (let id = -1; id < 3; id += 1) {
            const own = log.filter((one) => one.producerId === id && id >= 0).slice(-5);
            assert.deepEqual(
              producers.get(id)?.batches.map((batch) => batch.index),
              own.length === 0 ? undefined : own.map((one) => one.index),
            );
          }
          assert.equal(producers.size, new Set(log.map((one) => one.producerId).filter((id) => id >= 0)).size);
        }
      }),
    );
  });

  it("are forgotten after seven days of append time, and the least recently written beyond ten thousand", () => {
    const producers = new Producers();
    producers.append(frame(1, 1, 0, 1000));
    producers.append(frame(2, 2, 0, 1001 + PRODUCER_EXPIRY_MS));
    assert.ok(producers.get(1) !== undefined, "expiry happens in the base only");
    producers.advance(2 as LogIndex);
    assert.equal(producers.get(1), undefined);
    for (let i = 0; i <= PRODUCERS_MAX; i += 1) {
      producers.append(frame(3 + i, 10 + i, 0, 1001 + PRODUCER_EXPIRY_MS));
      producers.advance((3 + i) as LogIndex);
    }
    assert.equal(producers.size, PRODUCERS_MAX);
    assert.deepEqual([producers.get(2), producers.get(10)], [undefined, undefined]);
    assert.ok(producers.get(11) !== undefined);
  });

  it("of a new epoch begin anew", () => {
    const producers = new Producers();
    producers.append(frame(1, 7, 3));
    producers.append(frame(2, 7, 0, 2, 1));
    assert.deepEqual([producers.get(7)?.epoch, producers.get(7)?.batches.length], [1, 1]);
  });
});

describe("a sparse index", () => {
  it("leads at or before every frame, by index, offset and time, and survives its file", () => {
    const frames = fc.array(fc.record({ count: fc.nat(3), time: fc.nat(1000), bytes: fc.integer({ min: 100, max: 9000 }) }), {
      minLength: 1,
      maxLength: 60,
    });
    fc.assert(
      fc.property(frames, (all) => {
        const made = new SparseIndex();
        let position = 50;
        let next = 100;
        const placed = all.map(({ count, time, bytes }, i) => {
          const one = { index: index(11 + i), baseOffset: offset(next), maxTimestamp: time, position, count };
          made.add(one, position);
          position += bytes;
          next += count;
          return one;
        });
        const facts: SegmentFacts = {
          baseIndex: index(11),
          baseOffset: offset(100),
          lastIndex: index(10 + all.length),
          lastTerm: term(1),
          endOffset: offset(next),
          frames: all.length,
          position,
          maxTimestamp: 1000,
          firstAppendTime: 1,
          lastAppendTime: 2,
        };
        const read = SparseIndex.decode(made.encode({ groupId: group(7), replicaId: replica(3) }, facts, new Producers()));
        assert.deepEqual(read.facts, facts);
        for (const one of placed) {
          const byIndex = read.index.atIndex(one.index);
          assert.ok(byIndex !== undefined && byIndex.index <= one.index && one.position - byIndex.position < 8192 + 9000);
          if (one.count > 0) assert.ok((read.index.atOffset(one.baseOffset)?.index ?? Number.NaN) <= one.index);
          const first = placed.find((other) => other.maxTimestamp >= one.maxTimestamp);
          const byTime = read.index.atTime(one.maxTimestamp);
          assert.ok(first !== undefined && byTime !== undefined && byTime.index <= first.index);
        }
      }),
    );
  });

  it("is refused when a bit of its file is another", () => {
    const bytes = new SparseIndex().encode(
      { groupId: group(7), replicaId: replica(3) },
      {
        baseIndex: index(1),
        baseOffset: offset(0),
        lastIndex: index(0),
        lastTerm: term(0),
        endOffset: offset(0),
        frames: 0,
        position: 0,
        maxTimestamp: 0,
        firstAppendTime: 0,
        lastAppendTime: 0,
      },
      new Producers(),
    );
    for (let at = 0; at < bytes.length; at += 1) {
      const bad = Uint8Array.from(bytes);
      bad[at] = (bad[at] ?? 0) ^ 4;
      assert.throws(() => SparseIndex.decode(bad), Malformed);
    }
  });
});

describe("the parts of a segment", () => {
  it("come back as they were written, and are refused with any bit changed", () => {
    const producers = new Producers();
    const point = {
      groupId: group(3),
      replicaId: replica(4),
      start: { index: index(9), term: term(2), offset: offset(17) },
      terms: [{ term: term(2), firstIndex: index(1) }],
      config: text("config"),
      producers,
    };
    const bytes = encodeStartPoint(point);
    assert.deepEqual(decodeStartPoint(bytes), point);
    for (let at = 0; at < bytes.length; at += 1) {
      const bad = Uint8Array.from(bytes);
      bad[at] = (bad[at] ?? 0) ^ 1;
      assert.throws(() => decodeStartPoint(bad), Malformed);
    }
    const facts: SegmentFacts = {
      baseIndex: index(10),
      baseOffset: offset(17),
      lastIndex: index(12),
      lastTerm: term(2),
      endOffset: offset(20),
      frames: 3,
      position: 4000,
      maxTimestamp: 5,
      firstAppendTime: 6,
      lastAppendTime: 7,
    };
    const footer = encodeFooter(facts);
    assert.deepEqual(decodeFooter(footer), facts);
    for (let at = 0; at < footer.length; at += 1) {
      const bad = Uint8Array.from(footer);
      bad[at] = (bad[at] ?? 0) ^ 1;
      assert.throws(() => decodeFooter(bad), Malformed);
    }
  });

  it("have names that sort as logs do", () => {
    fc.assert(
      fc.property(i53, i53, i53, (one, other, base) => {
        const name = { baseIndex: index(one), baseOffset: offset(base) };
        assert.deepEqual(parseSegment(`${segmentStem(name)}.log`), name);
        assert.equal(segmentStem(name) < segmentStem({ ...name, baseIndex: index(other) }), one < other);
      }),
    );
    assert.equal(parseSegment("00000000000000000001-00000000000000000000.index"), undefined);
  });
});

describe("held frames and terms", () => {
  it("are found by index after any mixture of appends, truncations and drops", () => {
    const steps = fc.array(fc.record({ kind: fc.constantFrom("push", "truncate", "drop"), n: fc.nat(90) }), { maxLength: 60 });
    fc.assert(
      fc.property(steps, (all) => {
        const owner = new FrameOwner(group(1));
        const queue = new FrameQueue(index(0), offset(0));
        const table = new TermTable();
        let model: { index: number; term: number }[] = [];
        let base = 0;
        let at = 1;
        for (const { kind, n } of all) {
          if (kind === "push") {
            for (let i = 0; i < n; i += 1) {
              const last = queue.lastIndex + 1;
              const one = makeFrame(draft(last, 0), {
                groupId: group(1),
                index: index(last),
                term: term(at),
                baseOffset: offset(last * 10),
                appendTime: 0,
              });
              queue.push(new HeldFrame(owner, one, { sequence: 1, position: 0, life: undefined }, 0));
              table.append(index(last), term(at));
              model.push({ index: last, term: at });
            }
          } else if (kind === "truncate") {
            const from = Math.max(base + 1, queue.lastIndex + 1 - n);
            const removed = queue.truncate(index(from));
            assert.deepEqual(
              removed.map((one) => one.index),
              model.filter((one) => one.index >= from).map((one) => one.index),
            );
            table.truncate(index(from));
            model = model.filter((one) => one.index < from);
            at += 1;
          } else {
            base = Math.min(queue.lastIndex, base + n);
            queue.dropThrough(index(base));
          }
          assert.equal(queue.baseIndex, base);
          assert.equal(queue.size, queue.lastIndex - base);
          for (const one of model) {
            assert.equal(queue.get(one.index)?.index, one.index > base ? one.index : undefined);
            assert.equal(table.termAt(index(one.index)), one.term);
          }
        }
      }),
      { numRuns: 30 },
    );
  });
});

describe("checksums", () => {
  it("go on from one piece to the next, which the digest of a block rests on", () => {
    const all = text("write-ahead");
    assert.equal(crc32c(all.subarray(5), crc32c(all.subarray(0, 5))), crc32c(all));
  });
});
