import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { crc32c } from "../../../src/base/crc32c.ts";
import { type GroupId, type LogIndex, NO_PRODUCER, type Offset, type ReplicaId, type Term } from "../../../src/base/ids.ts";
import {
  type AddressedMessage,
  BadPeerMessage,
  decodeAppend,
  decodeRecord,
  encodeAppend,
  encodeRecord,
  RECORD_BYTES,
} from "../../../src/broker/peers/raft-codec.ts";
import type { ReplicaPayload } from "../../../src/broker/replica-outputs.ts";
import type { Message } from "../../../src/raft/types.ts";
import { makeFrame } from "../../../src/records/frame.ts";
import { Codec, type Frame, FrameType, PayloadFormat } from "../../../src/records/frame-types.ts";

const number = fc.maxSafeNat();
const term = number as fc.Arbitrary<Term>;
const index = number as fc.Arbitrary<LogIndex>;
const id = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });

const impaired = fc.constantFrom("hole" as const, "quarantined" as const);

const message: fc.Arbitrary<Message<ReplicaPayload>> = fc.oneof(
  fc.record({
    kind: fc.constantFrom("vote" as const, "preVote" as const),
    term,
    lastIndex: index,
    lastTerm: term,
    transfer: fc.boolean(),
    attempt: number,
  }),
  fc.record({ kind: fc.constantFrom("voteReply" as const, "preVoteReply" as const), term, granted: fc.boolean(), attempt: number }),
  fc.record({ kind: fc.constant("appendReply" as const), term, durable: index }),
  fc.record({
    kind: fc.constant("appendReply" as const),
    term,
    durable: index,
    refused: fc.record({ prevIndex: index, hintIndex: index, hintTerm: term }),
  }),
  fc.record({ kind: fc.constant("heartbeat" as const), term, commit: index, round: number }),
  fc.record({
    kind: fc.constant("heartbeat" as const),
    term,
    commit: index,
    round: number,
    remembered: fc.record({ index: fc.integer({ min: 1 }) as fc.Arbitrary<LogIndex>, term }),
  }),
  fc.record({ kind: fc.constant("heartbeatReply" as const), term, round: number, durable: index }),
  fc.record({ kind: fc.constant("heartbeatReply" as const), term, round: number, durable: index, impaired }),
  fc.record({ kind: fc.constant("heartbeatReply" as const), term, round: number, durable: index, reminded: fc.constant(true as const) }),
  fc.record({ kind: fc.constant("heartbeat" as const), term, commit: index, round: number, rest: fc.constant(true as const) }),
  fc.record({ kind: fc.constant("heartbeatReply" as const), term, round: number, durable: index, resting: fc.constant(true as const) }),
  fc.record({ kind: fc.constant("wake" as const), term }),
  fc.record({ kind: fc.constant("appendReply" as const), term, durable: index, impaired }),
  fc.record({
    kind: fc.constant("appendReply" as const),
    term,
    durable: index,
    impaired,
    refused: fc.record({ prevIndex: index, hintIndex: index, hintTerm: term }),
  }),
  fc.record({ kind: fc.constantFrom("askTerm" as const, "tellTerm" as const), term, session: number }),
  fc.record({ kind: fc.constant("timeoutNow" as const), term }),
  fc.record({ kind: fc.constant("extend" as const), term, matched: index, nextTerm: term, upTo: index }),
);

const addressed: fc.Arbitrary<AddressedMessage> = fc.record({
  groupId: id as fc.Arbitrary<GroupId>,
  from: id as fc.Arbitrary<ReplicaId>,
  to: id as fc.Arbitrary<ReplicaId>,
  message,
});

function frameAt(at: number, value: string): Frame {
  const payload = new TextEncoder().encode(value);
  return makeFrame(
    {
      type: FrameType.data,
      format: PayloadFormat.records,
      codec: Codec.none,
      recordCount: 1,
      firstTimestamp: 0,
      maxTimestamp: 0,
      producerId: NO_PRODUCER,
      producerEpoch: 0,
      baseSequence: -1,
      payloadCrc: crc32c(payload),
      payload,
    },
    { groupId: 7 as GroupId, index: at as LogIndex, term: 3 as Term, baseOffset: (at - 1) as Offset, appendTime: 5 },
  );
}

const append: AddressedMessage = {
  groupId: 7 as GroupId,
  from: 1 as ReplicaId,
  to: 2 as ReplicaId,
  message: { kind: "append", term: 3 as Term, prevIndex: 4 as LogIndex, prevTerm: 2 as Term, commit: 4 as LogIndex, entries: [] },
};

function joined(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

describe("Raft records between brokers", () => {
  it("come back as they were, every kind and field", () => {
    fc.assert(
      fc.property(fc.array(addressed, { minLength: 1, maxLength: 4 }), (messages) => {
        const bytes = new Uint8Array(messages.length * RECORD_BYTES);
        const view = new DataView(bytes.buffer);
        for (const [i, each] of messages.entries()) encodeRecord(view, i * RECORD_BYTES, each);
        const back = messages.map((_, i) => decodeRecord(view, i * RECORD_BYTES));
        // fast-check's records have no prototype: compare what they hold.
        assert.deepEqual(JSON.parse(JSON.stringify(back)), JSON.parse(JSON.stringify(messages)));
      }),
    );
  });

  it("are refused, never believed, when bytes are changed to something that is no number, id or kind", () => {
    fc.assert(
      fc.property(addressed, fc.nat(RECORD_BYTES - 1), fc.nat(255), (each, at, value) => {
        const bytes = new Uint8Array(RECORD_BYTES);
        const view = new DataView(bytes.buffer);
        encodeRecord(view, 0, each);
        bytes[at] = value;
        try {
          decodeRecord(view, 0);
        } catch (error) {
          assert.ok(error instanceof BadPeerMessage, String(error));
        }
      }),
    );
  });

  it("carry an append's frames behind the record, in order", () => {
    const frames = [frameAt(5, "five"), frameAt(6, "six")];
    const { message: back } = decodeAppend(joined(encodeAppend(append, frames)));
    assert.equal(back.kind, "append");
    assert.deepEqual(
      back.entries.map((entry) => [entry.index, entry.term, entry.bytes]),
      frames.map((frame) => [frame.index, frame.term, frame.bytes.byteLength]),
    );
  });

  it("refuse an append with one flipped bit anywhere in its frames", () => {
    const bytes = joined(encodeAppend(append, [frameAt(5, "five")]));
    for (let at = RECORD_BYTES; at < bytes.length; at++) {
      const changed = Uint8Array.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ 1;
      assert.throws(() => decodeAppend(changed), BadPeerMessage, `byte ${at}`);
    }
  });

  it("refuse an append whose frames leave a gap or belong to another group", () => {
    assert.throws(() => decodeAppend(joined(encodeAppend(append, [frameAt(6, "six")]))), BadPeerMessage);
    assert.throws(() => decodeAppend(joined(encodeAppend({ ...append, groupId: 8 as GroupId }, [frameAt(5, "five")]))), BadPeerMessage);
  });
});
