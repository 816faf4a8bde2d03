import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { crc32c } from "../../src/base/crc32c.ts";
import { type GroupId, type LogIndex, NO_PRODUCER, type Offset, type ProducerId, type Term } from "../../src/base/ids.ts";
import { InvariantViolated } from "../../src/base/invariant.ts";
import {
  BadFrame,
  decodeFrame,
  decodeFrames,
  encodeHeader,
  HEADER_BYTES,
  makeFrame,
  PAYLOAD_BYTES_MAX,
  verifyPayload,
} from "../../src/records/frame.ts";
import { Codec, type FrameDraft, type FramePlace, FrameType, nextOffsetOf, PayloadFormat } from "../../src/records/frame-types.ts";
import { trimDraft } from "../../src/records/trim.ts";

const whole = fc.maxSafeInteger().map((n) => Math.abs(n));
const positive = whole.map((n) => Math.max(1, n));

const draft: fc.Arbitrary<FrameDraft> = fc
  .record({
    type: fc.constantFrom(...Object.values(FrameType)),
    format: fc.constantFrom(...Object.values(PayloadFormat)),
    codec: fc.constantFrom(...Object.values(Codec)),
    count: fc.integer({ min: 1, max: 2 ** 32 - 1 }),
    firstTimestamp: whole,
    maxTimestamp: whole,
    producerId: fc.oneof(fc.constant(-1), whole),
    producerEpoch: fc.nat(),
    sequence: fc.nat(),
    appendTimed: fc.boolean(),
    payload: fc.uint8Array({ maxLength: 300 }),
  })
  .map(({ count, sequence, producerId, payload: random, appendTimed, ...rest }) => {
    const payload = rest.type === FrameType.trim ? trimDraft(count as Offset).payload : random;
    return {
      ...rest,
      recordCount: rest.type === FrameType.data ? count : 0,
      producerId: producerId as ProducerId,
      baseSequence: producerId === -1 ? -1 : sequence,
      payload,
      payloadCrc: crc32c(payload),
      ...(appendTimed ? { appendTimed: true as const } : {}),
    };
  });

const place: fc.Arbitrary<FramePlace> = fc
  .record({ groupId: positive, index: positive, term: positive, baseOffset: whole, appendTime: whole })
  .map((at) => at as FramePlace);

const oneFrame = makeFrame(
  {
    type: FrameType.data,
    format: PayloadFormat.records,
    codec: Codec.none,
    recordCount: 2,
    firstTimestamp: 5,
    maxTimestamp: 6,
    producerId: NO_PRODUCER,
    producerEpoch: 0,
    baseSequence: -1,
    payload: Uint8Array.of(1, 2, 3),
    payloadCrc: crc32c(Uint8Array.of(1, 2, 3)),
  },
  { groupId: 7 as GroupId, index: 1 as LogIndex, term: 3 as Term, baseOffset: 40 as Offset, appendTime: 9 },
);

describe("a frame", () => {
  it("comes back as it was made, at any place in a buffer", () => {
    fc.assert(
      fc.property(draft, place, fc.nat({ max: 50 }), (made, at, shift) => {
        const buffer = new Uint8Array(shift + HEADER_BYTES + made.payload.length + 5);
        encodeHeader(buffer, shift, made, at);
        buffer.set(made.payload, shift + HEADER_BYTES);
        const { bytes, ...frame } = decodeFrame(buffer, shift);
        assert.deepEqual(frame, { ...made, ...at });
        assert.deepEqual(bytes, buffer.subarray(shift, buffer.length - 5));
        assert.ok(verifyPayload(frame));
      }),
    );
  });

  it("has the layout FORMAT.md draws", () => {
    const view = new DataView(oneFrame.bytes.buffer);
    assert.equal(new TextDecoder().decode(oneFrame.bytes.subarray(0, 4)), "MLF1");
    assert.deepEqual([...oneFrame.bytes.subarray(4, 12)], [1, 1, 0, 1, 1, 0, 0, 0]);
    assert.deepEqual(
      [12, 16, 20].map((at) => view.getUint32(at, true)),
      [3, crc32c(Uint8Array.of(1, 2, 3)), 2],
    );
    assert.deepEqual(
      [24, 32, 40, 48, 56, 64, 72, 80].map((at) => view.getBigInt64(at, true)),
      [7n, 1n, 3n, 40n, 5n, 6n, 9n, -1n],
    );
    assert.deepEqual([view.getInt32(88, true), view.getInt32(92, true)], [0, -1]);
    assert.equal(view.getUint32(96, true), crc32c(oneFrame.bytes.subarray(0, 96)));
  });

  it("is followed by the next without a gap", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(draft, place), { maxLength: 5 }), (made) => {
        const bytes = made.map(([what, where]) => makeFrame(what, where).bytes);
        const run = new Uint8Array(Buffer.concat(bytes));
        assert.deepEqual(
          decodeFrames(run).map((frame) => frame.bytes),
          bytes,
        );
      }),
    );
  });

  it("ends at the offset after its last record", () => assert.equal(nextOffsetOf(oneFrame), 42));

  it("with a changed payload is seen by its payload CRC only", () => {
    const bytes = oneFrame.bytes.slice();
    bytes[HEADER_BYTES] = 99;
    assert.equal(verifyPayload(decodeFrame(bytes)), false);
  });

  it("with any changed header byte is a bad frame", () => {
    for (let at = 0; at < HEADER_BYTES; at++) {
      for (const flip of [1, 0x80]) {
        const bytes = oneFrame.bytes.slice();
        bytes[at] = (bytes[at] as number) ^ flip;
        assert.throws(() => decodeFrame(bytes), BadFrame, `byte ${at}`);
      }
    }
  });

  it("cut anywhere is a bad frame, with its position", () => {
    const shifted = new Uint8Array(oneFrame.bytes.length + 4);
    shifted.set(oneFrame.bytes, 4);
    for (let length = 0; length < oneFrame.bytes.length; length++) {
      assert.throws(
        () => decodeFrame(shifted, 4, length),
        (error) => error instanceof BadFrame && error.position === 4,
      );
    }
  });

  it("with a sound CRC over wrong fields is a bad frame all the same", () => {
    const wrong: [string, (view: DataView) => void][] = [
      ["version", (view) => view.setUint8(4, 2)],
      ["magic", (view) => view.setUint8(3, 0x32)],
      [
        "type 5",
        (view) => {
          view.setUint8(5, 5);
          view.setUint32(20, 0, true);
        },
      ],
      ["flags", (view) => view.setUint8(6, 2)],
      ["format", (view) => view.setUint8(7, 3)],
      ["codec", (view) => view.setUint8(8, 0)],
      ["reserved", (view) => view.setUint8(11, 1)],
      ["payload length", (view) => view.setUint32(12, 4, true)],
      ["no records", (view) => view.setUint32(20, 0, true)],
      ["group 0", (view) => view.setBigInt64(24, 0n, true)],
      ["index 0", (view) => view.setBigInt64(32, 0n, true)],
      ["term 0", (view) => view.setBigInt64(40, 0n, true)],
      ["offset -1", (view) => view.setBigInt64(48, -1n, true)],
      ["offset 2^53", (view) => view.setBigInt64(48, 2n ** 53n, true)],
      ["timestamp -1", (view) => view.setBigInt64(56, -1n, true)],
      ["producer -2", (view) => view.setBigInt64(80, -2n, true)],
      ["sequence without producer", (view) => view.setInt32(92, 0, true)],
    ];
    for (const [name, change] of wrong) {
      const bytes = oneFrame.bytes.slice();
      const view = new DataView(bytes.buffer);
      change(view);
      view.setUint32(96, crc32c(bytes.subarray(0, 96)), true);
      assert.throws(() => decodeFrame(bytes), BadFrame, name);
    }
  });

  it("of arbitrary bytes is never anything but a BadFrame", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => assert.throws(() => decodeFrame(bytes), BadFrame)));
  });

  it("that cannot be written is refused before a byte is", () => {
    const target = new Uint8Array(HEADER_BYTES);
    for (const bad of [
      { recordCount: 0 },
      { firstTimestamp: Number.NaN },
      { baseSequence: 1 },
      { payload: new Uint8Array(PAYLOAD_BYTES_MAX + 1) },
    ]) {
      assert.throws(() => encodeHeader(target, 0, { ...oneFrame, ...bad }, oneFrame), InvariantViolated);
    }
    assert.throws(() => encodeHeader(target, 0, oneFrame, { ...oneFrame, index: 0 as LogIndex }), InvariantViolated);
  });
});
