import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { EntrySizes } from "../../src/raft/entry-sizes.ts";
import { Outbox } from "../../src/raft/outbox.ts";
import { PendingWrites } from "../../src/raft/pending-writes.ts";
import { InflightWindow, PeerProgress } from "../../src/raft/progress.ts";
import { isVoter, majorityOf, membersOf, quorumValue, voteResult } from "../../src/raft/quorum.ts";
import { PENDING_READS_MAX, PendingReads } from "../../src/raft/reads.ts";
import { TermTable } from "../../src/raft/term-table.ts";
import { EVIDENCE_TIMEOUT_MAX_MS, Timeouts } from "../../src/raft/timeouts.ts";
import { entryOf, index, optionsFor, replica, type TestEntry, term, voters } from "./harness.ts";

const runs = { numRuns: 200 };

describe("quorum", () => {
  it("is more than half", () => {
    assert.deepEqual([1, 2, 3, 4, 5, 6, 7].map(majorityOf), [1, 2, 2, 3, 3, 4, 4]);
  });

  it("reaches what the sorted middle says, for any group", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(20), { minLength: 1, maxLength: 7 }), (values) => {
        const configuration = voters(...values.map((_, at) => at + 1));
        const sorted = [...values].sort((a, b) => b - a);
        assert.equal(
          quorumValue(configuration, (id) => values[id - 1] ?? 0),
          sorted[majorityOf(values.length) - 1],
        );
      }),
      runs,
    );
  });

  it("while joint needs both majorities", () => {
    const joint = { ...voters(1, 2, 3), old: [3, 4, 5].map(replica), learners: [replica(6)] };
    const reached: Record<number, number> = { 1: 9, 2: 9, 3: 1, 4: 5, 5: 4 };
    assert.equal(
      quorumValue(joint, (id) => reached[id] ?? 0),
      4,
    );
    const granted = (...ids: number[]) => new Map(ids.map((id) => [replica(id), true] as const));
    assert.equal(voteResult(joint, granted(1, 2)), "open");
    assert.equal(voteResult(joint, granted(1, 2, 4)), "open");
    assert.equal(voteResult(joint, granted(1, 2, 4, 5)), "won");
    assert.equal(voteResult(joint, new Map([4, 5].map((id) => [replica(id), false] as const))), "lost");
    assert.deepEqual(membersOf(joint), [1, 2, 3, 4, 5, 6]);
    assert.equal(isVoter(joint, replica(5)), true);
    assert.equal(isVoter(joint, replica(6)), false);
  });

  it("counts votes of voters only (scenario 13's rule, for a fixed configuration)", () => {
    const votes = new Map([1, 8, 9].map((id) => [replica(id), true] as const));
    assert.equal(voteResult(voters(1, 2, 3), votes), "open");
    assert.equal(voteResult(voters(1, 2, 3), votes.set(replica(2), true)), "won");
  });

  it("loses as soon as a majority cannot be reached any more", () => {
    const votes = new Map([replica(1), replica(2)].map((id) => [id, false] as const));
    assert.equal(voteResult(voters(1, 2, 3), votes), "lost");
    assert.equal(voteResult(voters(1, 2, 3, 4), votes), "lost");
    assert.equal(voteResult(voters(1, 2, 3, 4, 5), votes), "open");
  });
});

describe("TermTable", () => {
  /** The same, entry by entry. */
  const terms = fc.array(fc.nat(3), { maxLength: 40, size: "max" }).map((steps) => {
    let at = 1;
    return steps.map((step) => (at += step === 3 ? 1 : 0));
  });
  const tableOf = (of: readonly number[], start = 0): TermTable => {
    const table = new TermTable({ index: index(start), term: term(0) }, [], index(start));
    for (const each of of) table.append(each);
    return table;
  };

  it("tells the term of every entry, and of none outside", () => {
    fc.assert(
      fc.property(terms, fc.nat(50), fc.nat(9), (of, cut, start) => {
        const table = tableOf(of, start);
        const kept = [...of];
        if (cut >= 1 && cut <= of.length) {
          table.truncateFrom(start + cut);
          kept.length = cut - 1;
        }
        assert.equal(table.termAt(start - 1), undefined);
        assert.equal(table.termAt(start), 0);
        for (const [at, expected] of kept.entries()) assert.equal(table.termAt(start + at + 1), expected);
        assert.equal(table.termAt(start + kept.length + 1), undefined);
        assert.equal(table.lastIndex, start + kept.length);
        assert.equal(table.lastTerm, kept.at(-1) ?? 0);
      }),
      runs,
    );
  });

  it("finds the last place of at most a term", () => {
    fc.assert(
      fc.property(terms, fc.nat(45), fc.nat(16), (of, at, atMost) => {
        const table = tableOf(of);
        let expected = Math.min(at, of.length);
        while (expected > 0 && (of[expected - 1] as number) > atMost) expected--;
        assert.equal(table.lastAtMost(at, atMost), expected);
      }),
      runs,
    );
  });

  it("refuses terms that fall, and recovered runs that leave gaps", () => {
    assert.throws(() => tableOf([2, 1]), /cannot follow/);
    const start = { index: index(5), term: term(2) };
    assert.throws(() => new TermTable(start, [{ term: term(3), firstIndex: index(7) }], index(9)), /expected 6/);
    assert.throws(() => new TermTable(start, [{ term: term(1), firstIndex: index(6) }], index(9)), /follows term 2/);
    assert.throws(() => new TermTable(start, [], index(9)), /0 terms/);
    assert.throws(
      () =>
        new TermTable(
          start,
          [
            { term: term(3), firstIndex: index(6) },
            { term: term(4), firstIndex: index(12) },
          ],
          index(9),
        ),
      /behind the end/,
    );
    assert.throws(() => tableOf([1, 1]).truncateFrom(3), /cannot cut/);
  });
});

describe("EntrySizes", () => {
  it("sums and fits like a plain list, through cuts and forgetting", () => {
    const action = fc.oneof(
      { weight: 12, arbitrary: fc.record({ kind: fc.constant("push" as const), by: fc.integer({ min: 1, max: 50 }) }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant("cut" as const), by: fc.nat(8) }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant("forget" as const), by: fc.nat(120) }) },
    );
    fc.assert(
      fc.property(fc.array(action, { maxLength: 300, size: "max" }), fc.nat(300), fc.nat(300), fc.nat(200), (actions, a, b, bytesMax) => {
        const unknown = 1000;
        const sizes = new EntrySizes(1, unknown);
        const list: number[] = [];
        let forgotten = 0;
        for (const { kind, by } of actions) {
          if (kind === "push") {
            list.push(by);
            sizes.push(by);
          } else if (kind === "cut") {
            const from = Math.max(forgotten + 1, list.length + 1 - by);
            if (from > list.length) continue;
            list.length = from - 1;
            sizes.truncateFrom(from);
          } else {
            forgotten = Math.max(forgotten, Math.min(by, list.length));
            sizes.forgetBelow(forgotten + 1);
          }
        }
        const known = list.map((bytes, at) => (at < forgotten ? unknown : bytes));
        const place = (of: number) => (of % Math.max(1, known.length)) + 1;
        const first = Math.min(place(a), place(b));
        const last = Math.min(Math.max(place(a), place(b)), known.length);
        assert.equal(
          sizes.between(first, last),
          known.slice(first - 1, Math.max(first - 1, last)).reduce((sum, each) => sum + each, 0),
        );
        if (first > last) return;
        const fit = sizes.fit(first, last, bytesMax);
        assert.ok(fit >= first && fit <= last);
        assert.ok(fit === first || sizes.between(first, fit) <= bytesMax);
        assert.ok(fit === last || sizes.between(first, fit + 1) > bytesMax);
      }),
      { numRuns: 300 },
    );
  });
});

describe("InflightWindow", () => {
  it("is full by messages or by bytes, and frees what has arrived", () => {
    const window = new InflightWindow(3, 100);
    window.add(5, 10);
    window.add(6, 10);
    assert.equal(window.full, false);
    window.add(9, 10);
    assert.equal(window.full, true);
    window.freeTo(6);
    assert.deepEqual([window.messages, window.bytes, window.full], [1, 10, false]);
    window.add(10, 500);
    assert.equal(window.full, true);
    assert.throws(() => window.add(11, 1), /full window/);
    window.freeTo(8);
    assert.equal(window.messages, 2);
    window.reset();
    assert.deepEqual([window.messages, window.bytes], [0, 0]);
    window.add(3, 1);
    assert.throws(() => window.add(3, 1), /ascend/);
  });
});

describe("PeerProgress", () => {
  const progress = (next: number) => new PeerProgress(next, false, 0, false, new InflightWindow(4, 1000));

  it("never moves match back, and next stays above it", () => {
    const peer = progress(10);
    assert.equal(peer.advance(4), true);
    assert.equal(peer.advance(3), false);
    assert.deepEqual([peer.match, peer.next], [4, 10]);
    peer.backTo(9, 2);
    assert.deepEqual([peer.match, peer.next], [4, 5]);
    peer.advance(12);
    assert.deepEqual([peer.match, peer.next], [12, 13]);
    assert.throws(() => peer.toProbe(12), /not asked about/);
  });

  it("moves back to the hint, at least by one", () => {
    const peer = progress(10);
    peer.backTo(9, 6);
    assert.equal(peer.next, 7);
    peer.backTo(6, 8);
    assert.equal(peer.next, 6);
  });

  it("streams only in replicate mode, from behind match on", () => {
    const peer = progress(10);
    assert.throws(() => peer.sent(10, 1), /only a replicating peer/);
    peer.advance(3);
    peer.toReplicate();
    assert.equal(peer.next, 4);
    peer.sent(6, 30);
    assert.equal(peer.next, 7);
    peer.toProbe(4);
    assert.equal(peer.window.messages, 0);
    assert.throws(() => progress(1).backTo.call(Object.assign(progress(1), { mode: "replicate" as const }), 1, 0), /only a probe/);
  });
});

describe("PendingWrites", () => {
  const writesOf = () => new PendingWrites<string>(index(0), term(1), undefined);
  const put = (writes: PendingWrites<string>, ...entries: TestEntry[]) => {
    for (const entry of entries) writes.append(entry);
    const last = entries.at(-1)?.index ?? 0;
    return writes.take(term(1), undefined, index(last));
  };

  it("claims what each write holds, in order, however completions are told", () => {
    const writes = writesOf();
    put(writes, entryOf(1, 1));
    put(writes, entryOf(2, 1), entryOf(3, 1));
    const third = put(writes, entryOf(4, 1));
    writes.done(1);
    assert.equal(writes.durable, 1);
    writes.done(third?.seq ?? 0);
    assert.equal(writes.durable, 4);
    writes.done(2);
    assert.equal(writes.durable, 4);
    assert.throws(() => writes.done(9), /the last one handed out is 3/);
  });

  it("clips what is in flight and what is durable at a cut (scenario 31)", () => {
    const writes = writesOf();
    put(writes, entryOf(1, 1), entryOf(2, 1));
    put(writes, entryOf(3, 1));
    writes.done(1);
    writes.truncateFrom(2);
    assert.equal(writes.durable, 1);
    writes.append(entryOf(2, 2));
    const cut = writes.take(term(2), undefined, index(2));
    assert.equal(cut?.truncateFrom, 2);
    writes.done(2);
    assert.equal(writes.durable, 1);
    writes.done(3);
    assert.equal(writes.durable, 2);
  });

  it("leaves out of a write what is cut before it was handed out", () => {
    const writes = writesOf();
    for (const at of [1, 2, 3]) writes.append(entryOf(at, 1));
    writes.truncateFrom(2);
    writes.append(entryOf(2, 2));
    const write = writes.take(term(2), undefined, index(2));
    assert.equal(write?.truncateFrom, undefined);
    assert.deepEqual(write?.entries, [entryOf(1, 1), entryOf(2, 2)]);
    writes.append(entryOf(3, 2));
    writes.truncateFrom(3);
    writes.truncateFrom(2);
    assert.equal(writes.take(term(2), undefined, index(1))?.truncateFrom, 2);
    assert.equal(writes.take(term(2), undefined, index(1)), undefined);
  });

  it("sees two votes in one term", () => {
    const writes = new PendingWrites<string>(index(0), term(3), replica(1));
    writes.stateChanged();
    writes.take(term(3), replica(2), index(0));
    assert.throws(() => writes.done(1), /two durable votes in term 3/);
  });
});

describe("Outbox", () => {
  it("holds until the write is durable; a newer message of a kind to a replica replaces the held one", () => {
    const outbox = new Outbox<string>();
    const reply = (durable: number) => ({ kind: "appendReply", term: term(1), durable: index(durable) }) as const;
    outbox.sendAfter(1, 1, replica(2), reply(1));
    assert.deepEqual(outbox.take(), [{ to: 2, message: reply(1) }]);
    outbox.sendAfter(2, 1, replica(2), reply(2));
    outbox.sendAfter(3, 1, replica(2), reply(3));
    outbox.sendAfter(4, 1, replica(3), reply(4));
    outbox.release(2);
    assert.deepEqual(outbox.take(), []);
    outbox.release(3);
    assert.deepEqual(outbox.take(), [{ to: 2, message: reply(3) }]);
    outbox.dropHeld();
    outbox.release(9);
    assert.deepEqual(outbox.take(), []);
  });
});

describe("PendingReads", () => {
  it("answers in order, by round, and never below the floor", () => {
    const reads = new PendingReads();
    const answered: [number, number][] = [];
    const note = (context: number, at: number) => answered.push([context, at]);
    reads.add(1, index(3));
    reads.startRound(1);
    reads.add(2, index(9));
    assert.equal(reads.needsRound, true);
    reads.confirm(1, 5, note);
    assert.deepEqual(answered, [[1, 5]]);
    reads.confirm(9, 5, note);
    assert.equal(answered.length, 1);
    reads.startRound(2);
    reads.confirm(2, 5, note);
    assert.deepEqual(answered[1], [2, 9]);
  });

  it("refuses above its bound", () => {
    const reads = new PendingReads();
    for (let i = 0; i < PENDING_READS_MAX; i++) assert.equal(reads.add(i, index(0)), true);
    assert.equal(reads.add(0, index(0)), false);
    let refused = 0;
    reads.refuseAll(() => refused++);
    assert.equal(refused, PENDING_READS_MAX);
    assert.equal(reads.size, 0);
  });
});

describe("Timeouts", () => {
  it("draw from slices by replica order first, from the whole range later, and stay within it", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5 }), fc.double({ min: 0, max: 0.999, noNaN: true }), (self, drawn) => {
        const timeouts = new Timeouts(optionsFor(self, voters(1, 2, 3, 4, 5), { draw: () => drawn }));
        const first = timeouts.election(0);
        assert.ok(first >= 500 + (self - 1) * 100 && first <= 500 + self * 100);
        assert.ok(timeouts.election(1) >= 500 && timeouts.election(1) < 1000);
        assert.ok(timeouts.evidence() <= EVIDENCE_TIMEOUT_MAX_MS);
        assert.ok(timeouts.retry() >= 125 && timeouts.retry() < 250);
      }),
      runs,
    );
  });
});
