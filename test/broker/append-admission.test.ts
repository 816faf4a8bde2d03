import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { admitted } from "../../src/broker/append-admission.ts";
import type { ReplicaPayload } from "../../src/broker/replica-outputs.ts";
import type { Message } from "../../src/raft/types.ts";
import { FrameType } from "../../src/records/frame-types.ts";
import { draft, group, index, noop, term } from "../log/frames.ts";

type Append = Extract<Message<ReplicaPayload>, { readonly kind: "append" }>;

/** Entries of so many bytes of records each; 0: a no-op. */
function append(...sizes: readonly number[]): Append {
  const entries = sizes.map((bytes, n) => ({
    index: index(n + 1),
    term: term(1),
    type: bytes === 0 ? FrameType.noop : FrameType.data,
    bytes: bytes === 0 ? 128 : bytes,
    payload: bytes === 0 ? noop() : draft(n, bytes),
  }));
  return { kind: "append", term: term(1), prevIndex: index(0), prevTerm: term(0), commit: index(0), entries };
}

function taken(message: Append, room: number): number {
  let refused = 0;
  const log = {
    takes: (bytes: number) => bytes <= room,
    refusedAppend: () => {
      refused += 1;
    },
  };
  const asked = admitted(message, group(7), log);
  assert.ok(asked.kind === "append");
  assert.deepEqual(asked.entries, message.entries.slice(0, asked.entries.length));
  const records = message.entries.filter(({ bytes }) => bytes >= 100 && bytes !== 128);
  const none = records.length > 0 && !asked.entries.includes(records[0] as (typeof records)[0]);
  assert.equal(refused, none ? 1 : 0, "the log hears of it when it takes no records");
  return asked.entries.length;
}

describe("an append that comes to a full ring", () => {
  it("is taken as far as its records fit", () => {
    assert.equal(taken(append(100, 100, 100), 300), 3);
    assert.equal(taken(append(100, 100, 100), 299), 2);
    assert.equal(taken(append(100, 100, 100), 99), 0);
  });

  it("brings in what stands before the first record that does not fit, a no-op too, and nothing behind it", () => {
    assert.equal(taken(append(0, 100, 0), 0), 1);
    assert.equal(taken(append(0, 0), 0), 2);
  });

  it("that is no append, or empty, passes as it is", () => {
    const message = append();
    assert.equal(admitted(message, group(7), { takes: () => false, refusedAppend: () => assert.fail() }), message);
  });
});
