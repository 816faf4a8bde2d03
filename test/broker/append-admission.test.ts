import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { admitted } from "../../src/broker/append-admission.ts";
import type { ReplicaPayload } from "../../src/broker/replica-outputs.ts";
import type { Inherited } from "../../src/log/types.ts";
import type { Message } from "../../src/raft/types.ts";
import { FrameType } from "../../src/records/frame-types.ts";
import { draft, group, index, noop, term } from "../log/frames.ts";

type Append = Extract<Message<ReplicaPayload>, { readonly kind: "append" }>;

interface EntryShape {
  /** Of records; 0: a no-op. */
  readonly bytes: number;
  readonly term: number;
}

/** An append from index 1 on, by the leader of term 5. */
function append(shapes: readonly EntryShape[], commit = 0): Append {
  const entries = shapes.map((shape, n) => ({
    index: index(n + 1),
    term: term(shape.term),
    type: shape.bytes === 0 ? FrameType.noop : FrameType.data,
    bytes: shape.bytes === 0 ? 128 : shape.bytes,
    payload: shape.bytes === 0 ? noop() : draft(n, shape.bytes),
  }));
  return { kind: "append", term: term(5), prevIndex: index(0), prevTerm: term(0), commit: index(commit), entries };
}

const own = (...sizes: readonly number[]): EntryShape[] => sizes.map((bytes) => ({ bytes, term: 5 }));
const old = (...sizes: readonly number[]): EntryShape[] => sizes.map((bytes) => ({ bytes, term: 4 }));

/** A log of entries of these terms. */
const log = (...terms: readonly number[]) => ({
  lastIndex: index(terms.length),
  termAt: (at: number) => (terms[at - 1] === undefined ? undefined : term(terms[at - 1] as number)),
});

/** @param room for everybody, and for what leaders inherited */
function taken(message: Append, room: number, held = log(), roomInherited = room) {
  const refused: Inherited[] = [];
  const store = {
    takes: (bytes: number, inherited?: Inherited) => bytes <= (inherited === undefined ? room : roomInherited),
    refusedAppend: (inherited: Inherited) => void refused.push(inherited),
  };
  const asked = admitted(message, group(7), held, store);
  assert.ok(asked.kind === "append");
  const { length } = asked.entries;
  assert.deepEqual(asked.entries, message.entries.slice(0, length));
  const next = message.entries[length];
  assert.deepEqual(asked.withheld, next === undefined ? undefined : { index: next.index, term: next.term });
  return { count: length, refused: refused.map(({ index: at }) => at as number) };
}

describe("an append that comes to a full ring", () => {
  it("is left to Raft when it begins behind the end of the log: nothing of it waits for room", () => {
    const behind = (prev: number): Append => {
      const message = append(old(100, 100));
      const entries = message.entries.map((entry) => ({ ...entry, index: index(entry.index + prev) }));
      return { ...message, prevIndex: index(prev), prevTerm: term(4), entries };
    };
    assert.deepEqual(taken(behind(3), 0, log(4, 4)), { count: 2, refused: [] });
    assert.deepEqual(taken(behind(2), 0, log(4, 4)), { count: 0, refused: [3] });
  });

  it("is taken as far as its records fit", () => {
    assert.equal(taken(append(own(100, 100, 100)), 300).count, 3);
    assert.equal(taken(append(own(100, 100, 100)), 299).count, 2);
    assert.equal(taken(append(own(100, 100, 100)), 99).count, 0);
  });

  it("brings in what stands before the first record that does not fit, a no-op too, and nothing behind it", () => {
    assert.equal(taken(append(own(0, 100, 0)), 0).count, 1);
    assert.equal(taken(append(own(0, 0)), 0).count, 2);
  });

  it("needs no room for what is here already, and needs it from the first entry on that is another one here", () => {
    const message = append([...old(100, 100), ...own(0, 100)]);
    assert.equal(taken(message, 100, log(4, 4)).count, 4);
    assert.equal(taken(message, 0, log(4, 4)).count, 3);
    assert.equal(taken(message, 0, log(4, 4, 5, 5)).count, 4);
    assert.equal(taken(message, 100, log(4, 3, 3, 3)).count, 3);
    assert.equal(taken(message, 99, log(4, 3, 3, 3)).count, 1);
  });

  it("is told to the log when none of what its leader inherited fits, whose own first entry is not committed", () => {
    const none = { count: 0, refused: [] };
    assert.deepEqual(taken(append([...old(100), ...own(0)]), 0), { count: 0, refused: [1] });
    assert.deepEqual(taken(append(old(100, 100), 2), 0), { count: 0, refused: [1] });
    assert.deepEqual(taken(append([...old(100), ...own(0)], 1), 0), { count: 0, refused: [1] });
    assert.deepEqual(taken(append([...old(100), ...own(0)], 2), 0), none, "it commits without this replica");
    assert.deepEqual(taken(append(old(100, 100), 3), 0), none, "it may have");
    assert.deepEqual(taken(append(own(100)), 0), none, "its own");
    assert.deepEqual(taken(append(old(100, 100)), 100), { count: 1, refused: [] }, "a part fits");
    assert.deepEqual(taken(append(old(100, 100)), 0, log(4)), { count: 1, refused: [2] }, "what fits was here");
  });

  it("has the room for what its leader inherited as far as it is that", () => {
    assert.equal(taken(append([...old(100, 100), ...own(0, 100)]), 0, log(), 300).count, 3);
    assert.equal(taken(append(own(0, 100)), 0, log(), 300).count, 1);
  });

  it("that is no append, or empty, passes as it is", () => {
    const message = append([]);
    assert.equal(admitted(message, group(7), log(), { takes: () => false, refusedAppend: () => assert.fail() }), message);
  });
});
