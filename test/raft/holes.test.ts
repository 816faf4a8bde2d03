import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Term } from "../../src/base/ids.ts";
import { createRaft } from "../../src/raft/raft.ts";
import type { RaftRecovered } from "../../src/raft/types.ts";
import { entriesOf, index, optionsFor, recoveredFrom, replica, TestCluster, type TestReplica, voters } from "./harness.ts";

const HOLE = { first: index(1), last: index(5) };

/**
 * Replica 1 of three leads. Its frames 1…5 are lost, with what said which terms they had; `inferred` is what its table says of them, from an
 * entry behind or before. All eight are committed. The other has these entries.
 */
function holed(
  inferred: readonly number[],
  others: readonly number[],
  commit = 0,
  inMemoryFrom = 9,
): { leader: TestReplica; other: TestReplica } {
  const cluster = new TestCluster();
  const of = voters(1, 2, 3);
  const committed = [...inferred, 4, 4, 5];
  cluster.add(optionsFor(1, of), entriesOf(...committed), 6, undefined, committed.length);
  cluster.add(optionsFor(2, of), entriesOf(...others), 6, undefined, commit);
  cluster.add(optionsFor(3, of), entriesOf(...committed), 6, undefined, committed.length);
  const leader = cluster.at(1);
  const recovered: RaftRecovered = { ...recoveredFrom(leader.log, 6, undefined, committed.length), holes: [HOLE] };
  leader.core = createRaft(leader.options, recovered, 0);
  leader.forgetBelow(inMemoryFrom);
  cluster.now += 2 * leader.options.electionMaxMs;
  leader.tick();
  cluster.settle();
  assert.equal(leader.core.role, "leader");
  cluster.advance(500);
  return { leader, other: cluster.at(2) };
}

const asked = (of: TestReplica) => of.readies.flatMap(({ extend }) => extend).filter(({ to }) => to === 2);
const progress = (of: TestReplica) => of.core.progress(replica(2));

describe("A leader whose frames are missing", () => {
  // They are of terms 1, 1, 2, 2, 3, which nothing here says any more; the first term that is known is given to all of them.
  const LATER = [4, 4, 4, 4, 4];

  it("names no term that it inferred: a follower keeps the committed entries that are of another one", () => {
    const { leader, other } = holed(LATER, [1, 1, 2, 2]);
    assert.deepEqual(asked(leader), []);
    assert.deepEqual([other.core.lastIndex, other.core.extending], [4, undefined]);
  });

  it("asks for no stream that begins inside, and for one when the frames are back", () => {
    // Here what was inferred happens to be true.
    const { leader, other } = holed(LATER, [4, 4]);
    assert.deepEqual(asked(leader), []);
    leader.core.holes = [];
    leader.pump();
    leader.cluster.advance(300);
    // It was asked about the place before the hole only, and says where its log goes on.
    assert.deepEqual(asked(leader).at(-1), { to: 2, from: 3, upTo: 9 });
    assert.deepEqual(other.core.extending, { after: 2, upTo: 9 });
    assert.equal(leader.core.lastResort, false);
  });

  it("takes no entry for equal because it is of a term that was inferred from an earlier one", () => {
    // Nothing but the first entry's term is known of the five. The other was led in that term, and parted from the log then.
    const { leader } = holed([1, 1, 1, 1, 1], [1, 1, 1]);
    assert.equal(progress(leader)?.match, 0);
    assert.deepEqual(asked(leader), []);
  });

  it("still serves who ends behind them, and who has committed some of them", () => {
    const behind = holed(LATER, [1, 1, 2, 2, 3, 4, 4]);
    assert.deepEqual(asked(behind.leader), [{ to: 2, from: 8, upTo: 9 }]);
    const inside = holed(LATER, [1, 1, 2], 3);
    assert.deepEqual([progress(inside.leader)?.match, progress(inside.leader)?.barred], [3, false]);
    assert.deepEqual(asked(inside.leader), []);
    const committed = holed(LATER, [1, 1, 2, 2, 3, 4], 6);
    assert.deepEqual(asked(committed.leader), [{ to: 2, from: 7, upTo: 9 }]);
  });

  it("waits before it asks again about what matches inside", () => {
    const { leader, other } = holed(LATER, [4, 4, 4]);
    leader.core.holes = [];
    leader.pump();
    leader.cluster.advance(300);
    assert.deepEqual(asked(leader).at(-1), { to: 2, from: 4, upTo: 9 });
    // Found while frames were streamed.
    leader.core.holes = [HOLE];
    leader.core.extended(replica(2), undefined, leader.cluster.now);
    other.step(1, { kind: "wake", term: leader.core.term });
    leader.cluster.sent = [];
    leader.pump();
    leader.cluster.advance(1_000);
    assert.equal(progress(leader)?.match, 3);
    const questions = leader.cluster.sent.flatMap(({ to, message }) => (to === 2 && message.kind === "append" ? [message.prevIndex] : []));
    assert.deepEqual(questions, [9]);
    leader.core.holes = [];
    leader.pump();
    leader.cluster.advance(300);
    assert.deepEqual(asked(leader).at(-1), { to: 2, from: 4, upTo: 9 });
  });

  it("suspects nobody of having forgotten an entry because its term is not the one that was inferred", () => {
    const { leader, other } = holed(LATER, [1, 1, 2, 2, 3], 5, 6);
    assert.deepEqual([progress(leader)?.match, progress(leader)?.barred], [5, false]);
    // It did forget some: it is asked for the entry, not for its term, which it may have.
    const refused = { prevIndex: index(5), hintIndex: index(2), hintTerm: 1 as Term };
    leader.step(2, { kind: "appendReply", term: leader.core.term, durable: index(2), refused });
    assert.equal(progress(leader)?.barred, true);
    leader.cluster.advance(300);
    const reminders = leader.cluster.sent.flatMap(({ message }) => (message.kind === "heartbeat" ? [message.remembered] : []));
    assert.deepEqual(
      reminders.filter((one) => one !== undefined).map((one) => one.term),
      [0],
    );
    assert.equal(other.core.quarantined, false);
  });

  it("goes on behind a hole at the very end of the log, which nobody can fill: the last entry's term is proved", () => {
    const cluster = new TestCluster();
    const committed = entriesOf(1, 1, 2, 2);
    for (const n of [1, 2, 3]) cluster.add(optionsFor(n, voters(1, 2, 3)), committed, 2, undefined, 4);
    const leader = cluster.at(1);
    const holes = [{ first: index(2), last: index(4) }];
    for (const one of [leader, cluster.at(2)]) one.core = createRaft(one.options, { ...recoveredFrom(one.log, 2, undefined, 4), holes }, 0);
    leader.forgetBelow(5);
    cluster.isolate(3);
    // The first entry that is sent is lost, so that the question is about the place where the hole ends.
    let lost = 0;
    const passes = cluster.passes.bind(cluster);
    cluster.passes = (packet) => passes(packet) && !(packet.message.kind === "append" && packet.message.entries.length > 0 && lost++ === 0);
    cluster.now += 3 * leader.options.electionMaxMs;
    leader.tick();
    cluster.settle();
    cluster.advance(1_000);
    assert.deepEqual([lost > 0, leader.core.role, leader.core.commit, progress(leader)?.match], [true, "leader", 5, 5]);
  });

  it("asks about its start when they were trimmed away, of which nobody has told it yet", () => {
    const cluster = new TestCluster();
    const committed = [1, 1, 2, 2, 3, 4, 4, 5];
    for (const n of [1, 2, 3]) {
      const own = n === 2 ? committed.slice(0, 5) : committed;
      cluster.add(optionsFor(n, voters(1, 2, 3)), entriesOf(...own), 6, undefined, n === 2 ? 0 : own.length);
    }
    const leader = cluster.at(1);
    leader.core = createRaft(leader.options, { ...recoveredFrom(leader.log, 6, undefined, 8), holes: [HOLE] }, 0);
    leader.forgetBelow(9);
    cluster.isolate(2);
    cluster.now += 2 * leader.options.electionMaxMs;
    leader.tick();
    cluster.settle();
    leader.core.trimmed({ index: index(5), term: 3 as Term });
    cluster.heal();
    cluster.advance(1_000);
    assert.deepEqual([leader.core.role, progress(leader)?.match, asked(leader).at(-1)], ["leader", 5, { to: 2, from: 6, upTo: 9 }]);
  });

  it("is a last resort as long as there are any", () => {
    const { leader } = holed(LATER, []);
    assert.equal(leader.core.lastResort, true);
    assert.deepEqual(leader.core.holes, [HOLE]);
    leader.core.holes = [];
    assert.equal(leader.core.lastResort, false);
  });
});
