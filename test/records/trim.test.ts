import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { crc32c } from "../../src/base/crc32c.ts";
import type { GroupId, LogIndex, Offset, Term } from "../../src/base/ids.ts";
import { InvariantViolated } from "../../src/base/invariant.ts";
import { BadFrame, decodeFrame, makeFrame, verifyPayload } from "../../src/records/frame.ts";
import { FrameType } from "../../src/records/frame-types.ts";
import { TRIM_BYTES, trimDraft, trimOf, wrongTrim } from "../../src/records/trim.ts";

const place = { groupId: 7 as GroupId, index: 4 as LogIndex, term: 2 as Term, baseOffset: (2 ** 52) as Offset, appendTime: 9 };
const offsets = fc.oneof(fc.nat(), fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }), fc.constantFrom(0, 2 ** 31, 2 ** 32, 2 ** 53 - 1));

describe("a trim frame", () => {
  it("comes back with the offset it was made with", () => {
    fc.assert(
      fc.property(offsets, (to) => {
        const frame = makeFrame(trimDraft(to as Offset), place);
        assert.equal(trimOf(frame), to);
        assert.equal(trimOf(decodeFrame(frame.bytes)), to);
        assert.ok(verifyPayload(frame));
        assert.deepEqual([frame.recordCount, frame.payload.length], [0, TRIM_BYTES]);
      }),
    );
  });

  it("is bad with any other payload, before anybody reads an offset out of it", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 20 }), (payload) => {
        const made = { ...trimDraft(0 as Offset), payload, payloadCrc: crc32c(payload) };
        const wrong = wrongTrim(payload);
        fc.pre(wrong !== undefined);
        assert.throws(() => makeFrame(made, place), InvariantViolated);
        assert.throws(() => trimOf(made), InvariantViolated);
      }),
    );
    const whole = makeFrame(trimDraft(40 as Offset), place);
    for (const at of [0, 1, 7, 15]) {
      const bytes = whole.bytes.slice();
      bytes[bytes.length - TRIM_BYTES + at] = 0xff;
      assert.throws(() => decodeFrame(bytes), BadFrame, `byte ${at}`);
    }
    assert.throws(() => trimDraft(-1 as Offset), InvariantViolated);
    assert.throws(() => trimDraft((Number.MAX_SAFE_INTEGER + 1) as Offset), InvariantViolated);
  });

  it("is the only kind that asks for an offset", () => {
    for (const type of Object.values(FrameType)) {
      if (type !== FrameType.trim) assert.equal(trimOf({ ...trimDraft(5 as Offset), type }), undefined);
    }
  });
});
