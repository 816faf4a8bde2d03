import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { index, replica, TestCluster, type TestReplica } from "./harness.ts";
import { appendReply, heartbeat, leading, lone, messagesOf, outOf, vote } from "./lone.ts";

/** Replica 1 leads three, and replica 3 denied what it had acknowledged. @param said gets what the leader said to that */
function suspecting(said: { to: number; message: { kind: string } }[] = []): TestReplica {
  const leader = leading();
  const inTerm = leader.core.term;
  leader.propose("a", "b");
  leader.step(2, appendReply(inTerm, 3));
  leader.step(3, appendReply(inTerm, 3));
  outOf(leader);
  const denied = { prevIndex: index(2), hintIndex: index(1), hintTerm: inTerm };
  leader.step(3, { ...appendReply(inTerm, 0), refused: denied } as ReturnType<typeof appendReply>);
  assert.equal(leader.core.progress(replica(3))?.barred, true);
  said.push(...outOf(leader));
  return leader;
}

describe("A replica that forgot without knowing it (scenario 70)", () => {
  /** Replica 3 acknowledged four entries; its disk is an older copy of itself now, and it starts as if nothing had happened. */
  const copied = (forgets: number): { cluster: TestCluster; leader: TestReplica; third: TestReplica } => {
    const cluster = TestCluster.of([1, 2, 3]);
    const leader = cluster.elect(1);
    leader.propose("a", "b", "c");
    cluster.advance(200);
    assert.equal(leader.core.progress(replica(3))?.match, 4);
    const third = cluster.at(3);
    third.forget(forgets);
    third.amnesiac = false;
    leader.core.peerGone(replica(3), cluster.now);
    third.restart();
    leader.core.peerBack(replica(3), cluster.now);
    return { cluster, leader, third };
  };

  it("denies what it said, counts for nothing from then on, and quarantines itself when it is reminded", () => {
    const { cluster, leader, third } = copied(2);
    cluster.settle();
    // Before any heartbeat: the question at its match was refused.
    assert.deepEqual([leader.core.progress(replica(3))?.match, leader.core.progress(replica(3))?.barred], [0, true]);
    cluster.isolate(2);
    const before = leader.core.commit;
    leader.propose("d");
    cluster.until(() => third.core.quarantined, 300);
    assert.equal(third.amnesiac, true, "its disk says so");
    cluster.advance(300);
    assert.equal(third.core.lastIndex, 5, "it is brought up to date");
    assert.equal(leader.core.commit, before, "and does not count");
    cluster.heal();
    cluster.until(() => !third.core.quarantined, 2_000);
    cluster.advance(300);
    assert.equal(leader.core.progress(replica(3))?.barred, false);
    assert.equal(leader.core.commit, leader.core.lastIndex);
  });

  it("answers nothing that waited for its disk: a vote may be the second one of its term", () => {
    const only = lone({ log: [1] });
    only.slowDisk = true;
    only.step(2, vote(5, 1, 1));
    only.core.quarantine(only.cluster.now);
    only.pump();
    only.finishWrites();
    assert.deepEqual(messagesOf(only, "voteReply"), []);
  });

  it("takes no term that it did not ask for: an answer may come after its quarantine", () => {
    const only = lone({ log: [1] });
    const before = only.core.term;
    only.step(2, { kind: "tellTerm", term: (before + 4) as typeof before, session: 1 });
    assert.equal(only.core.term, before);
  });

  it("can ask for votes again as soon as its quarantine is over", () => {
    const { cluster, third } = copied(2);
    cluster.until(() => third.core.quarantined, 1_000);
    cluster.until(() => !third.core.quarantined, 5_000);
    assert.ok(third.core.nextDeadline < Number.POSITIVE_INFINITY);
  });

  it("is reminded at once, not with the next heartbeat: if its leader is lost before, nobody else knows what it had", () => {
    const leader = suspecting();
    assert.equal(leader.core.nextDeadline, leader.cluster.now);
    leader.tick();
    const reminders = outOf(leader).filter(
      ({ to, message }) => to === 3 && message.kind === "heartbeat" && message.remembered !== undefined,
    );
    assert.equal(reminders.length, 1);
  });

  it("is sent nothing but heartbeats while it is suspected: caught up, it could not be told from one that forgot nothing", () => {
    const said: { to: number; message: { kind: string } }[] = [];
    const leader = suspecting(said);
    leader.propose("c");
    leader.tick();
    const sent = [...said, ...outOf(leader)].filter(({ to }) => to === 3);
    assert.deepEqual([...new Set(sent.map(({ message }) => message.kind))], ["heartbeat"]);
  });

  it("is reminded also when the leader hears nobody else: it does not step down before", () => {
    const { cluster, leader, third } = copied(2);
    const led = leader.core.term;
    cluster.isolate(2);
    leader.core.peerGone(replica(2), cluster.now);
    cluster.settle();
    assert.equal(leader.core.progress(replica(3))?.barred, true);
    leader.tick();
    cluster.settle();
    assert.deepEqual(
      [third.core.quarantined, third.amnesiac, third.core.term],
      [true, true, led],
      "at once, in the term it acknowledged in",
    );
    // From then on nobody counts but the leader.
    leader.tick();
    assert.equal(leader.core.role, "follower");
    cluster.advance(5_000);
    assert.deepEqual(cluster.leaders(), []);
    cluster.heal();
    cluster.until(() => !third.core.quarantined, 5_000);
    assert.equal(third.core.lastIndex >= 4, true);
  });

  it("is reminded for one election timeout when it is needed for a quorum: who never says that it looked makes no leader", () => {
    const leader = suspecting();
    const { electionMaxMs } = leader.options;
    const since = leader.cluster.now;
    leader.core.peerGone(replica(2), since);
    const inTerm = leader.core.term;
    while (leader.cluster.now < since + electionMaxMs - 100) {
      leader.cluster.now += 100;
      leader.tick();
      const round = outOf(leader).findLast(({ message }) => message.kind === "heartbeat")?.message;
      assert.ok(round?.kind === "heartbeat" && round.remembered !== undefined);
      leader.step(3, { kind: "heartbeatReply", term: inTerm, round: round.round, durable: index(1) });
    }
    assert.equal(leader.core.role, "leader");
    leader.cluster.now = since + electionMaxMs;
    leader.tick();
    assert.equal(leader.core.role, "follower");
  });

  it("on a broker that passes over what it is reminded of stays out until the next term", () => {
    const leader = suspecting();
    const inTerm = leader.core.term;
    for (let beat = 0; beat < 3; beat++) {
      leader.cluster.now = leader.core.nextDeadline;
      leader.tick();
      const round = outOf(leader).find(({ to }) => to === 3)?.message;
      assert.ok(round?.kind === "heartbeat");
      leader.step(2, { kind: "heartbeatReply", term: inTerm, round: round.round, durable: index(3) });
      leader.step(3, { kind: "heartbeatReply", term: inTerm, round: round.round, durable: index(1) });
      const { barred, match } = leader.core.progress(replica(3)) ?? {};
      assert.deepEqual([barred, match], [true, 0]);
    }
    // One that says that it is in quarantine is believed, whoever told it.
    leader.step(3, { kind: "heartbeatReply", term: inTerm, round: 1, durable: index(1), impaired: "quarantined" });
    leader.pump();
    assert.ok(outOf(leader).some(({ to, message }) => to === 3 && message.kind === "append"));
  });

  it("says with its answer that it looked, and with no other", () => {
    const follower = lone({ log: [1, 1, 2], term: 3 });
    const answer = (beat: object) => {
      follower.step(2, { ...heartbeat(3), ...beat } as ReturnType<typeof heartbeat>);
      follower.finishWrites();
      return outOf(follower).findLast(({ message }) => message.kind === "heartbeatReply")?.message;
    };
    assert.equal("reminded" in (answer({}) ?? {}), false);
    const remembered = { index: index(3), term: 2 };
    assert.deepEqual(answer({ remembered }), { kind: "heartbeatReply", term: 3, round: 0, durable: 0, reminded: true });
  });

  it("is sent no entries before it has answered: caught up, nobody could tell any more", () => {
    const { cluster, leader, third } = copied(2);
    cluster.settle();
    cluster.sent = [];
    leader.propose("d");
    cluster.settle();
    assert.deepEqual(cluster.sent.filter(({ to }) => to === 3).length, 0);
    assert.equal(third.core.lastIndex, 2);
  });

  it("is not suspected for long when it has what it is reminded of: the refusal came late", () => {
    const leader = suspecting();
    const inTerm = leader.core.term;
    leader.cluster.now = leader.core.nextDeadline;
    leader.tick();
    const beats = outOf(leader).filter(({ message }) => message.kind === "heartbeat");
    const reminder = beats.find(({ to }) => to === 3)?.message;
    assert.ok(reminder?.kind === "heartbeat");
    assert.deepEqual(reminder.remembered, { index: 3, term: inTerm });
    assert.equal(
      beats.find(({ to }) => to === 2)?.message.kind === "heartbeat" && "remembered" in (beats.find(({ to }) => to === 2)?.message ?? {}),
      false,
    );
    // An answer to an earlier heartbeat proves nothing.
    leader.step(3, { kind: "heartbeatReply", term: inTerm, round: reminder.round - 1, durable: index(3), reminded: true });
    assert.equal(leader.core.progress(replica(3))?.barred, true);
    leader.step(3, { kind: "heartbeatReply", term: inTerm, round: reminder.round, durable: index(3), reminded: true });
    assert.equal(leader.core.progress(replica(3))?.barred, false);
  });

  it("one that has it, or has it committed, is not touched by a reminder; one whose entry differs is", () => {
    const reminded = (remembered: { index: number; term: number }, commit = 0): boolean => {
      const follower = lone({ log: [1, 1, 2], term: 3, commit });
      follower.step(2, { ...heartbeat(3), remembered: { index: index(remembered.index), term: remembered.term } } as ReturnType<
        typeof heartbeat
      >);
      return follower.core.quarantined;
    };
    assert.equal(reminded({ index: 3, term: 2 }), false);
    assert.equal(reminded({ index: 2, term: 2 }, 2), false, "what is committed is not in doubt");
    assert.equal(reminded({ index: 3, term: 0 }), false, "the leader does not know the term any more");
    assert.equal(reminded({ index: 3, term: 3 }), true);
    assert.equal(reminded({ index: 4, term: 3 }), true);
  });

  it("that refuses bulk frames because its log goes on is not suspected", () => {
    const leader = leading();
    const inTerm = leader.core.term;
    leader.propose("a", "b");
    leader.step(3, appendReply(inTerm, 2));
    const goesOn = { prevIndex: index(2), hintIndex: index(3), hintTerm: inTerm };
    leader.step(3, { ...appendReply(inTerm, 2), refused: goesOn } as ReturnType<typeof appendReply>);
    assert.equal(leader.core.progress(replica(3))?.barred, false);
  });

  it("twice in one term is brought up to date again: in quarantine it is believed whatever it says", () => {
    const cluster = TestCluster.of([1, 2, 3]);
    const leader = cluster.elect(1);
    leader.propose("a", "b", "c");
    cluster.advance(200);
    const third = cluster.at(3);
    // Replica 2 does not tell its term, so the quarantine goes on.
    cluster.cut(2, 3);
    for (const forgets of [2, 3]) {
      third.forget(forgets);
      third.restart();
      leader.core.peerBack(replica(3), cluster.now);
      cluster.until(() => third.core.lastIndex === 4, 2_000);
      assert.equal(third.core.quarantined, true);
      assert.equal(leader.core.progress(replica(3))?.match, 4);
    }
    cluster.heal();
    cluster.until(() => !third.core.quarantined, 2_000);
  });
});
