import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { crc32c } from "../../../src/base/crc32c.ts";
import { MillraceError } from "../../../src/base/errors.ts";
import { type BrokerId, type ProducerId, type Term, toOffset } from "../../../src/base/ids.ts";
import { ACKS_LEVELS } from "../../../src/broker/partition/acks.ts";
import {
  decodeForwardedAppend,
  decodeForwardedAppended,
  encodeForwardedAppend,
  encodeForwardedAppended,
} from "../../../src/broker/routing/forwarded.ts";
import { Codec, FrameType, PayloadFormat } from "../../../src/records/frame-types.ts";

const whole = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
const batches = fc
  .record({
    acks: fc.constantFrom(...ACKS_LEVELS),
    payload: fc.uint8Array({ minLength: 1, maxLength: 9_000 }),
    codec: fc.constantFrom(Codec.none, Codec.gzip),
    recordCount: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
    firstTimestamp: whole,
    maxTimestamp: whole,
    producerId: fc.oneof(fc.constant(-1), whole),
    baseSequence: fc.integer({ min: -1, max: 2 ** 31 - 1 }),
  })
  .map(({ acks, payload, producerId, ...rest }) => ({
    acks,
    draft: {
      ...rest,
      payload,
      producerId: producerId as ProducerId,
      producerEpoch: 0,
      type: FrameType.data,
      format: PayloadFormat.records,
      payloadCrc: crc32c(payload),
    },
  }));

describe("A forwarded batch", () => {
  it("is at the leader what it was at the edge", () => {
    fc.assert(
      fc.property(whole, batches, (groupId, batch) => {
        const there = decodeForwardedAppend(Buffer.concat(encodeForwardedAppend(groupId, batch)));
        assert.equal(there.groupId, groupId);
        assert.equal(there.batch.acks, batch.acks);
        assert.deepEqual(
          { ...there.batch.draft, payload: [...there.batch.draft.payload] },
          { ...batch.draft, payload: [...batch.draft.payload] },
        );
      }),
    );
  });

  it("whose payload changed on the way is refused: nothing was written", () => {
    fc.assert(
      fc.property(batches, fc.nat(), (batch, where) => {
        const wire = Buffer.concat(encodeForwardedAppend(1, batch));
        const at = wire.length - 1 - (where % batch.draft.payload.length);
        wire[at] = (wire[at] ?? 0) ^ 1;
        assert.throws(
          () => decodeForwardedAppend(wire),
          (error) => error instanceof MillraceError && error.outcomeKnown,
        );
      }),
    );
  });

  it("has an answer that arrives whole", () => {
    fc.assert(
      fc.property(whole, fc.array(fc.integer({ min: 1, max: 9 })), fc.boolean(), (n, brokers, duplicate) => {
        const appended = {
          baseOffset: toOffset(n),
          recordCount: 7,
          term: 3 as Term,
          highWatermark: toOffset(n),
          durableBrokers: brokers as BrokerId[],
          duplicate,
          appendTime: n,
        };
        assert.deepEqual(decodeForwardedAppended(encodeForwardedAppended(appended)), appended);
      }),
    );
  });
});
