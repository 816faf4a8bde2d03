import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { entryOf, optionsFor, replica, seededDraw, TestCluster, term, voters } from "./harness.ts";
import { Invariants } from "./invariants.ts";
import { append, appendReply, heartbeat, leading, lone, messagesOf, outOf, vote } from "./lone.ts";

describe("Raft elections", () => {
  it("scenario 1: a cold start elects one leader, and never two in a term", () => {
    for (let seed = 1; seed <= 50; seed++) {
      const cluster = TestCluster.of([1, 2, 3, 4, 5], { draw: seededDraw(seed) });
      const invariants = new Invariants(cluster);
      cluster.onReady = (of, ready) => invariants.onReady(of, ready);
      cluster.until(() => {
        for (const each of cluster.replicas.values()) invariants.check(each);
        return cluster.leaders().length > 0;
      }, 3000);
      cluster.advance(2000);
      assert.equal(cluster.leaders().length, 1);
      for (const each of cluster.replicas.values()) assert.equal(each.core.leader, cluster.leader().id);
    }
  });

  it("scenario 2: a candidate with an older last term is refused, however long its log", () => {
    const follower = lone({ log: [1, 2], term: 2 });
    follower.step(2, vote(3, 9, 1));
    assert.deepEqual(messagesOf(follower, "voteReply"), [{ kind: "voteReply", term: 3, granted: false, attempt: 1 }]);
    follower.step(2, vote(4, 9, 1, { kind: "preVote" }));
    assert.equal(messagesOf(follower, "preVoteReply")[0]?.granted, false);
  });

  it("scenario 3: with equal last terms the shorter log is refused, one as long is not", () => {
    const follower = lone({ log: [1, 2, 2], term: 2 });
    follower.step(2, vote(3, 2, 2));
    assert.equal(messagesOf(follower, "voteReply")[0]?.granted, false);
    follower.step(3, vote(4, 3, 2));
    assert.equal(messagesOf(follower, "voteReply")[0]?.granted, true);
  });

  it("scenario 4: after a split vote timeouts are drawn again, and a leader follows within a few rounds", () => {
    const cluster = TestCluster.of([1, 2, 3, 4], { draw: seededDraw(4) });
    // Replicas 1 and 2 become candidates of term 1 at the same moment; each gets one more vote.
    cluster.now = 1000;
    for (const id of [1, 2]) cluster.at(id).tick();
    cluster.loses = ({ from, to }) =>
      (from === 1 && to === 4) || (from === 4 && to === 1) || (from === 2 && to === 3) || (from === 3 && to === 2);
    // A pre-vote needs three of four here: let it pass but between the two, where one would yield, then split the real one.
    const split = cluster.loses;
    cluster.loses = (packet) =>
      packet.from + packet.to === 3 || ((packet.message.kind === "vote" || packet.message.kind === "voteReply") && split(packet));
    cluster.settle();
    assert.equal(cluster.leaders().length, 0);
    const candidates = [1, 2].map((id) => cluster.at(id).core);
    assert.deepEqual(
      candidates.map((core) => core.role),
      ["candidate", "candidate"],
    );
    assert.notEqual(candidates[0]?.nextDeadline, candidates[1]?.nextDeadline);
    cluster.heal();
    cluster.until(() => cluster.leaders().length === 1, 4000);
  });

  it("scenario 4: of two that ask at the same moment the first in order is elected in its first term", () => {
    const cluster = TestCluster.of([1, 2, 3], { draw: seededDraw(5) });
    cluster.at(1).crash();
    cluster.now = 1000;
    for (const id of [3, 2]) cluster.at(id).tick();
    cluster.settle();
    assert.equal(cluster.leader().id, 2);
    assert.equal(cluster.leader().core.term, 1);
    assert.equal(cluster.at(3).core.leader, 2);
  });

  it("scenario 4: one that has yielded to a rival asks again soon when nothing comes of it", () => {
    const follower = lone({ term: 1, of: [2, 1, 3] });
    follower.cluster.now = 1000;
    follower.tick();
    assert.equal(follower.core.role, "preCandidate");
    // Replica 3 comes after it in order: both go on.
    follower.step(3, vote(2, 0, 0, { kind: "preVote" }));
    assert.equal(follower.core.role, "preCandidate");
    follower.step(2, vote(2, 0, 0, { kind: "preVote" }));
    assert.equal(messagesOf(follower, "preVoteReply").at(-1)?.granted, true);
    assert.equal(follower.core.role, "follower");
    assert.ok(follower.core.nextDeadline >= 1125 && follower.core.nextDeadline < 1250);
  });

  it("scenario 4: a vote split between all who live is asked again at once, not after a whole timeout", () => {
    const candidate = lone({ term: 1 });
    candidate.core.peerGone(replica(3), 0);
    candidate.cluster.now = 1000;
    candidate.tick();
    const attempt = messagesOf(candidate, "preVote")[0]?.attempt ?? 0;
    candidate.step(2, { kind: "preVoteReply", term: term(2), granted: true, attempt });
    assert.equal(candidate.core.role, "candidate");
    const asked = messagesOf(candidate, "vote").at(-1)?.attempt ?? 0;
    candidate.step(2, { kind: "voteReply", term: term(2), granted: false, attempt: asked });
    assert.equal(candidate.core.role, "follower");
    assert.ok(candidate.core.nextDeadline >= 1125 && candidate.core.nextDeadline < 1250);
  });

  it("scenario 4: one that finds too few others connected asks again as soon as one that heard nothing", () => {
    for (const gone of [false, true]) {
      const follower = lone({ term: 4 });
      if (gone) for (const id of [2, 3]) follower.core.peerGone(replica(id), 0);
      follower.cluster.now = 1000;
      follower.tick();
      assert.ok(follower.core.nextDeadline >= 1125 && follower.core.nextDeadline < 1250, `gone: ${gone}`);
    }
  });

  it("scenario 4: one without a leader asks again soon when a voter is back", () => {
    const follower = lone({ term: 4 });
    for (const id of [2, 3]) follower.core.peerGone(replica(id), 0);
    follower.cluster.now = 20;
    follower.core.peerBack(replica(2), 20);
    assert.ok(follower.core.nextDeadline >= 145 && follower.core.nextDeadline < 270, `${follower.core.nextDeadline}`);
    // While a leader is known its silence is what counts.
    const led = lone({ term: 4 });
    led.step(2, heartbeat(4));
    led.core.peerGone(replica(3), 0);
    const deadline = led.core.nextDeadline;
    led.core.peerBack(replica(3), 1);
    assert.equal(led.core.nextDeadline, deadline);
  });

  it("scenario 5, core half: a vote leaves only when durable, and holds after a kill and restart", () => {
    const follower = lone({ term: 1 });
    follower.slowDisk = true;
    follower.step(2, vote(2, 0, 0));
    assert.deepEqual(messagesOf(follower, "voteReply"), []);
    follower.finishWrite();
    assert.equal(messagesOf(follower, "voteReply")[0]?.granted, true);
    follower.crash();
    follower.restart();
    follower.step(3, vote(2, 5, 1));
    assert.equal(messagesOf(follower, "voteReply")[0]?.granted, false);
    // The one it voted for may ask again: the answer was lost.
    follower.step(2, vote(2, 0, 0));
    assert.equal(messagesOf(follower, "voteReply")[0]?.granted, true);
  });

  it("scenario 5, core half: a vote that was not durable when the power went is not told, and may go to another", () => {
    const follower = lone({ term: 1 });
    follower.slowDisk = true;
    follower.step(2, vote(2, 0, 0));
    follower.crash(0);
    assert.deepEqual(outOf(follower), []);
    follower.restart();
    follower.step(3, vote(2, 0, 0));
    follower.finishWrite();
    assert.equal(messagesOf(follower, "voteReply")[0]?.granted, true);
  });

  it("scenario 6, core half: no message of a term leaves before the term is durable", () => {
    const candidate = lone({ term: 1 });
    candidate.slowDisk = true;
    candidate.timeOut();
    const asked = messagesOf(candidate, "preVote")[0];
    assert.ok(asked);
    candidate.step(2, { kind: "preVoteReply", term: asked.term, granted: true, attempt: asked.attempt });
    assert.equal(candidate.core.role, "candidate");
    assert.equal(candidate.core.term, 2);
    assert.deepEqual(outOf(candidate), []);
    candidate.crash(0);
    assert.equal(candidate.disk.term, 1);
    candidate.restart();
    candidate.timeOut();
    candidate.step(2, { kind: "preVoteReply", term: term(2), granted: true, attempt: 1 });
    candidate.finishWrite();
    assert.deepEqual(
      outOf(candidate).map(({ to, message }) => [to, message.kind, message.term]),
      [
        [2, "preVote", 2],
        [3, "preVote", 2],
        [2, "vote", 2],
        [3, "vote", 2],
      ],
    );
  });

  it("scenario 6, core half: a term heard from others is told to nobody before it is durable", () => {
    const follower = lone({ log: [1], term: 1 });
    follower.slowDisk = true;
    follower.step(2, heartbeat(7));
    follower.step(2, append(7, 1, 1));
    follower.step(3, heartbeat(2));
    assert.deepEqual(outOf(follower), []);
    follower.finishWrite();
    assert.deepEqual([...new Set(outOf(follower).map(({ message }) => message.term))], [7]);
  });

  it("scenario 7: a follower isolated for an hour raises no term, and the leader stays when it is back", () => {
    const cluster = TestCluster.of([1, 2, 3]);
    const leader = cluster.elect(1);
    const before = leader.core.term;
    cluster.isolate(3);
    cluster.advance(3_600_000);
    assert.equal(cluster.at(3).core.term, before);
    cluster.heal();
    cluster.advance(5000);
    assert.equal(cluster.leader().id, 1);
    assert.equal(leader.core.term, before);
    assert.equal(cluster.at(3).core.leader, 1);
  });

  it("scenario 8: a pre-vote answered with a higher term adopts it, and the candidate is not stuck", () => {
    const cluster = new TestCluster();
    cluster.add(optionsFor(1, voters(1, 2, 3)), [entryOf(1, 1), entryOf(2, 5)], 5);
    for (const id of [2, 3]) cluster.add(optionsFor(id, voters(1, 2, 3)), [entryOf(1, 1)], 9, 2);
    cluster.now = 2000;
    cluster.at(1).tick();
    cluster.settle();
    assert.equal(cluster.at(1).core.term, 9);
    assert.equal(cluster.at(1).core.role, "follower");
    // The others do not hear one another, so it is up to this one.
    cluster.loses = ({ from, to }) => from !== 1 && to !== 1;
    cluster.until(() => cluster.leaders().length === 1, 5000);
    assert.equal(cluster.leader().id, 1);
    assert.ok(cluster.leader().core.term >= 10);
  });

  it("scenario 8: a candidate that asked without a pre-vote is answered like any other", () => {
    const follower = lone({ log: [1], term: 1 });
    follower.step(2, vote(4, 1, 1));
    assert.equal(messagesOf(follower, "voteReply")[0]?.granted, true);
    assert.equal(follower.core.term, 4);
  });

  it("scenario 9: while a leader was heard within the minimum timeout, requests for votes are passed over", () => {
    const follower = lone({ log: [1], term: 1 });
    follower.step(2, heartbeat(1));
    outOf(follower);
    follower.cluster.now += 499;
    const deadline = follower.core.nextDeadline;
    for (const kind of ["vote", "preVote"] as const) follower.step(3, vote(9, 9, 9, { kind }));
    assert.deepEqual(outOf(follower), []);
    assert.equal(follower.core.term, 1);
    assert.equal(follower.core.nextDeadline, deadline);
    follower.cluster.now += 1;
    follower.step(3, vote(9, 9, 9));
    assert.equal(messagesOf(follower, "voteReply")[0]?.granted, true);
  });

  it("scenario 9: a vote flagged as a transfer is answered although the leader lives", () => {
    const follower = lone({ log: [1], term: 1 });
    follower.step(2, heartbeat(1));
    outOf(follower);
    follower.step(3, vote(2, 1, 1, { transfer: true }));
    assert.equal(messagesOf(follower, "voteReply")[0]?.granted, true);
  });

  it("scenario 9: a refused request does not reset the election timer, a granted one does", () => {
    const follower = lone({ log: [2, 2], term: 2 });
    const deadline = follower.core.nextDeadline;
    follower.cluster.now += 100;
    follower.step(2, vote(3, 1, 1));
    assert.equal(follower.core.nextDeadline, deadline);
    follower.step(3, vote(4, 2, 2));
    assert.ok(follower.core.nextDeadline >= follower.cluster.now + 500);
  });

  it("scenario 9: a leader that hears its quorum passes over requests of any term", () => {
    const leader = leading();
    const { term: before } = leader.core;
    leader.step(3, vote(before + 5, 99, before + 4));
    assert.equal(leader.core.role, "leader");
    assert.equal(leader.core.term, before);
  });

  it("scenario 10: stepping down inside a term keeps the vote", () => {
    const candidate = lone({ term: 1 });
    candidate.timeOut();
    const asked = messagesOf(candidate, "preVote")[0];
    candidate.step(2, { kind: "preVoteReply", term: term(2), granted: true, attempt: asked?.attempt ?? 0 });
    candidate.step(2, heartbeat(2));
    assert.equal(candidate.core.role, "follower");
    candidate.cluster.now += 600;
    candidate.step(3, vote(2, 9, 1));
    assert.equal(messagesOf(candidate, "voteReply").at(-1)?.granted, false);
    assert.equal(candidate.disk.votedFor, 1);
  });

  it("scenario 10: a leader that steps down for want of a quorum keeps its vote", () => {
    const leader = leading();
    const led = leader.core.term;
    leader.cluster.advance(1001);
    assert.notEqual(leader.core.role, "leader");
    assert.equal(leader.disk.votedFor, 1);
    outOf(leader);
    leader.step(3, vote(led, 9, led, { transfer: true }));
    assert.equal(messagesOf(leader, "voteReply")[0]?.granted, false);
  });

  it("scenario 11: a candidate follows an append of its own term, and rejects one of an older term", () => {
    const candidate = lone({ log: [1], term: 1 });
    candidate.timeOut();
    candidate.step(2, { kind: "preVoteReply", term: term(2), granted: true, attempt: 1 });
    assert.equal(candidate.core.role, "candidate");
    outOf(candidate);
    candidate.step(3, append(1, 1, 1, [entryOf(2, 1)]));
    assert.equal(candidate.core.role, "candidate");
    assert.equal(candidate.core.lastIndex, 1);
    assert.deepEqual(outOf(candidate), [{ to: 3, message: { kind: "appendReply", term: 2, durable: 0 } }]);
    candidate.step(3, append(2, 1, 1, [entryOf(2, 2)]));
    assert.equal(candidate.core.role, "follower");
    assert.equal(candidate.core.leader, 3);
    assert.equal(candidate.core.lastIndex, 2);
  });

  it("scenario 12: late answers to an earlier attempt are not counted", () => {
    const candidate = lone({ of: [1, 2, 3, 4, 5] });
    candidate.timeOut();
    const first = messagesOf(candidate, "preVote")[0];
    assert.ok(first);
    candidate.step(2, { kind: "preVoteReply", term: first.term, granted: true, attempt: first.attempt });
    candidate.timeOut();
    const second = messagesOf(candidate, "preVote")[0];
    assert.ok(second && second.attempt > first.attempt);
    candidate.step(3, { kind: "preVoteReply", term: first.term, granted: true, attempt: first.attempt });
    candidate.step(4, { kind: "preVoteReply", term: first.term, granted: true, attempt: first.attempt });
    assert.equal(candidate.core.role, "preCandidate");
    candidate.step(3, { kind: "preVoteReply", term: second.term, granted: true, attempt: second.attempt });
    // The same answer twice is one vote.
    candidate.step(3, { kind: "preVoteReply", term: second.term, granted: true, attempt: second.attempt });
    assert.equal(candidate.core.role, "preCandidate");
    candidate.step(4, { kind: "preVoteReply", term: second.term, granted: true, attempt: second.attempt });
    assert.equal(candidate.core.role, "candidate");
    const asked = messagesOf(candidate, "vote")[0];
    assert.ok(asked);
    for (const id of [2, 3, 4]) candidate.step(id, { kind: "voteReply", term: asked.term, granted: true, attempt: second.attempt });
    assert.equal(candidate.core.role, "candidate");
    // A pre-vote's answer is no vote.
    for (const id of [2, 3, 4]) candidate.step(id, { kind: "preVoteReply", term: asked.term, granted: true, attempt: asked.attempt });
    assert.equal(candidate.core.role, "candidate");
  });

  it("scenario 12: answers of replicas that do not vote are not counted", () => {
    const cluster = TestCluster.of([1, 2, 3], {}, [4]);
    for (const id of [2, 3]) cluster.isolate(id);
    cluster.advance(5000);
    assert.deepEqual(cluster.leaders(), []);
    cluster.at(1).step(4, { kind: "preVoteReply", term: term(1), granted: true, attempt: cluster.at(1).core.term + 1 });
    assert.notEqual(cluster.at(1).core.role, "candidate");
  });

  it("scenario 15: from the moment a leader sees a higher term nothing more is committed or accepted", () => {
    const leader = leading();
    const led = leader.core.term;
    leader.propose("queued");
    leader.step(2, heartbeat(led + 1));
    assert.equal(leader.core.role, "follower");
    assert.deepEqual(leader.readies.findLast((ready) => ready.role)?.role, { role: "follower", term: led + 1, leader: 2 });
    leader.step(3, appendReply(led, leader.core.lastIndex));
    assert.equal(leader.core.commit, 0);
    assert.deepEqual(leader.core.propose([{ type: 1, bytes: 1, payload: "x" }], term(led)), { kind: "refused", why: "not-leader" });
  });

  it("scenario 16: a replica in quarantine neither votes nor asks for votes, but takes the leader's log", () => {
    const quarantined = lone({ log: [1], term: 1, quarantined: true });
    quarantined.cluster.now = 60_000;
    quarantined.tick();
    for (const kind of ["vote", "preVote"] as const) quarantined.step(2, vote(2, 9, 9, { kind, transfer: true }));
    assert.deepEqual([...new Set(outOf(quarantined).map(({ message }) => message.kind))], ["askTerm"]);
    assert.equal(quarantined.core.role, "follower");
    assert.equal(quarantined.disk.votedFor, undefined);
    quarantined.step(2, append(2, 1, 1, [entryOf(2, 2)]));
    assert.equal(quarantined.core.lastIndex, 2);
    quarantined.step(2, { kind: "timeoutNow", term: term(2) });
    assert.equal(quarantined.core.role, "follower");
  });

  it("scenario 6, core half: what waited for the disk in an old term is dropped when the term moves on", () => {
    const follower = lone({ log: [1], term: 1 });
    follower.slowDisk = true;
    follower.step(2, vote(2, 1, 1));
    follower.step(3, vote(3, 0, 0));
    outOf(follower);
    follower.finishWrites();
    assert.deepEqual(outOf(follower), [{ to: 3, message: { kind: "voteReply", term: 3, granted: false, attempt: 1 } }]);
  });

  it("scenario 6, core half: the return of an earlier write does not count the own vote", () => {
    const candidate = lone({ log: [1], term: 1 });
    candidate.slowDisk = true;
    candidate.step(2, append(1, 1, 1, [entryOf(2, 1)]));
    candidate.timeOut();
    const asked = messagesOf(candidate, "preVote")[0];
    candidate.step(3, { kind: "preVoteReply", term: term(2), granted: true, attempt: asked?.attempt ?? 0 });
    assert.equal(candidate.writes.length, 2);
    candidate.finishWrite();
    candidate.step(3, { kind: "voteReply", term: term(2), granted: true, attempt: (asked?.attempt ?? 0) + 1 });
    assert.equal(candidate.core.role, "candidate");
    candidate.finishWrite();
    assert.equal(candidate.core.role, "leader");
  });

  it("learners never ask for votes", () => {
    const cluster = TestCluster.of([1, 2, 3], {}, [4]);
    cluster.isolate(4);
    cluster.advance(60_000);
    assert.equal(cluster.at(4).core.role, "follower");
    assert.equal(cluster.at(4).core.nextDeadline, Number.POSITIVE_INFINITY);
  });

  it("earlier voters draw shorter timeouts: the first live one leads", () => {
    for (let seed = 1; seed <= 20; seed++) {
      const cluster = TestCluster.of([3, 1, 2], { draw: seededDraw(seed) });
      cluster.advance(1200);
      assert.equal(cluster.leader().id, 3);
      cluster.at(3).crash();
      cluster.advance(2000);
      assert.equal(cluster.leader().id, 1);
    }
  });

  it("the closed connection of a leader's broker shortens the wait to 200 ms, and lets votes be given at once", () => {
    const cluster = TestCluster.of([1, 2, 3]);
    cluster.elect(1).crash();
    for (const id of [2, 3]) {
      cluster.at(id).core.peerGone(replica(1), cluster.now);
      assert.ok(cluster.at(id).core.nextDeadline <= cluster.now + 200);
    }
    cluster.advance(200);
    assert.equal(cluster.leaders().length, 1);
  });

  it("one follower that alone lost its leader's connection cannot depose it: pre-votes are refused", () => {
    const cluster = TestCluster.of([1, 2, 3]);
    const leader = cluster.elect(1);
    const before = leader.core.term;
    cluster.cut(1, 3);
    cluster.at(3).core.peerGone(replica(1), cluster.now);
    cluster.advance(400);
    assert.equal(cluster.leader().id, 1);
    assert.equal(leader.core.term, before);
    // A message from it proves that it lives.
    cluster.heal();
    cluster.advance(200);
    assert.equal(cluster.at(3).core.leader, 1);
  });
});
