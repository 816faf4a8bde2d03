import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Configurations } from "../../src/raft/configurations.ts";
import { firstStep, lastStep } from "../../src/raft/membership.ts";
import { FrameType } from "../../src/records/frame-types.ts";
import { entryOf, index, replica, TestCluster, type TestEntry, type TestReplica, voters } from "./harness.ts";
import { append, appendReply, heartbeat, leading, lone, messagesOf, outOf, vote } from "./lone.ts";

const configuration = (ids: readonly number[], old?: readonly number[], learners: readonly number[] = []) => ({
  voters: ids.map(replica),
  ...(old === undefined ? {} : { old: old.map(replica) }),
  learners: learners.map(replica),
});

const configEntry = (at: number, inTerm: number, ...of: Parameters<typeof configuration>): TestEntry => ({
  ...entryOf(at, inTerm),
  type: FrameType.config,
  configuration: configuration(...of),
});

/** Replica 4 joins three voters as a learner and has everything. */
function withLearner(options: Parameters<typeof TestCluster.of>[1] = {}): { cluster: TestCluster; leader: TestReplica } {
  const cluster = TestCluster.of([1, 2, 3], options);
  const leader = cluster.elect(1);
  cluster.add({ ...leader.options, self: replica(4), configuration: configuration([1, 2, 3], undefined, [4]) });
  assert.equal(leader.change([1, 2, 3], [4]).kind, "accepted");
  cluster.advance(300);
  return { cluster, leader };
}

describe("Configurations", () => {
  it("has the newest one in force, and the former again when it is cut off (scenario 57)", () => {
    const known = new Configurations(voters(1, 2, 3), []);
    known.append(index(5), configuration([1, 2, 4], [1, 2, 3]));
    known.append(index(7), configuration([1, 2, 4]));
    assert.deepEqual(known.current, configuration([1, 2, 4]));
    known.truncateFrom(7);
    assert.deepEqual([known.index, known.current], [5, configuration([1, 2, 4], [1, 2, 3])]);
    known.truncateFrom(3);
    assert.deepEqual([known.index, known.current], [0, voters(1, 2, 3)]);
  });

  it("keeps what was committed, whatever is cut above it", () => {
    const known = new Configurations(voters(1, 2, 3), [{ index: index(5), configuration: voters(1, 2) }]);
    known.committed(6);
    known.append(index(9), voters(1));
    known.truncateFrom(8);
    assert.deepEqual([known.index, known.current], [5, voters(1, 2)]);
  });

  it("refuses one that does not follow", () => {
    const known = new Configurations(voters(1), [{ index: index(5), configuration: voters(1, 2) }]);
    assert.throws(() => known.append(index(5), voters(1)), /follows one at 5/);
  });
});

describe("A change of members", () => {
  it("is joint when others shall vote, and at once when only learners or the order change", () => {
    const now = configuration([1, 2, 3], undefined, [4]);
    assert.deepEqual(firstStep(now, { voters: [1, 2, 4].map(replica), learners: [] }), configuration([1, 2, 4], [1, 2, 3]));
    assert.deepEqual(firstStep(now, { voters: [3, 2, 1].map(replica), learners: [] }), configuration([3, 2, 1]));
    assert.deepEqual(firstStep(now, { voters: [1, 2, 3].map(replica), learners: [] }), configuration([1, 2, 3]));
    assert.deepEqual(lastStep(configuration([1, 2, 4], [1, 2, 3], [5])), configuration([1, 2, 4], undefined, [5]));
  });

  it("is refused when it names nobody, somebody twice, or what is in force", () => {
    const now = configuration([1, 2, 3], undefined, [4]);
    for (const [ids, learners] of [
      [[], []],
      [[1, 1, 2], []],
      [[1, 2], [2]],
      [[1, 2, 3], [4]],
    ] as const)
      assert.equal(firstStep(now, { voters: ids.map(replica), learners: learners.map(replica) }), undefined);
  });

  it("is in force where it is appended, not where it is committed (Raft §6)", () => {
    const follower = lone();
    follower.step(2, append(1, 0, 0, [configEntry(1, 1, [1, 2, 4], [1, 2, 3])]));
    assert.deepEqual(follower.core.configuration, configuration([1, 2, 4], [1, 2, 3]));
    assert.equal(follower.core.configurationIndex, 1);
    assert.deepEqual(follower.readies.at(-1)?.configuration ?? follower.readies.at(-2)?.configuration, follower.core.configuration);
    assert.equal(follower.core.commit, 0);
    follower.crash();
    follower.restart();
    assert.deepEqual(follower.core.configuration, configuration([1, 2, 4], [1, 2, 3]));
    follower.step(4, append(2, 0, 0, [entryOf(1, 2)]));
    assert.deepEqual(follower.core.configuration, voters(1, 2, 3));
  });

  it("scenario 13: votes of a replica that was removed are not counted", () => {
    const candidate = lone({ of: [1, 2, 3, 4, 5] });
    candidate.step(2, append(1, 0, 0, [configEntry(1, 1, [1, 2, 3])], 1));
    outOf(candidate);
    candidate.timeOut();
    const { attempt } = messagesOf(candidate, "preVote")[0] ?? { attempt: 0 };
    for (const removed of [4, 5]) candidate.step(removed, { kind: "preVoteReply", term: candidate.core.term, granted: true, attempt });
    assert.equal(candidate.core.role, "preCandidate");
    candidate.step(3, { kind: "preVoteReply", term: candidate.core.term, granted: true, attempt });
    assert.equal(candidate.core.role, "candidate");
  });

  it("scenario 14: a learner that is asked by one who knows it as a voter may answer", () => {
    const { cluster, leader } = withLearner();
    cluster.at(4).step(2, vote(leader.core.term + 1, 99, leader.core.term, { transfer: true }));
    const answer = cluster.sent.findLast(({ from, message }) => from === 4 && message.kind === "voteReply")?.message;
    assert.equal(answer?.kind === "voteReply" && answer.granted, true);
    assert.equal(cluster.at(4).disk.votedFor, 2);
  });

  it("scenario 60: a learner that lacks more than a window is not made a voter, and what it acknowledges commits nothing", () => {
    const { cluster, leader } = withLearner({ inflightBytesMax: 300 });
    cluster.isolate(4);
    leader.propose("a", "b", "c", "d", "e");
    cluster.advance(100);
    assert.deepEqual(leader.change([1, 2, 4]), { kind: "refused", why: "not-caught-up" });
    assert.deepEqual(leader.change([1, 2, 9]), { kind: "refused", why: "not-caught-up" });
    cluster.heal();
    for (const id of [2, 3]) cluster.isolate(id);
    const before = leader.core.commit;
    leader.propose("f");
    cluster.advance(200);
    assert.ok((leader.core.progress(replica(4))?.match ?? 0) > before);
    assert.equal(leader.core.commit, before);
    cluster.heal();
    cluster.advance(300);
    assert.equal(leader.change([1, 2, 4]).kind, "accepted");
  });

  it("scenario 60: one that is silent or was told to be gone is not made a voter", () => {
    const { cluster, leader } = withLearner();
    leader.core.peerGone(replica(4), cluster.now);
    assert.deepEqual(leader.change([1, 2, 4]), { kind: "refused", why: "not-caught-up" });
    leader.core.peerBack(replica(4), cluster.now);
    cluster.advance(200);
    cluster.isolate(4);
    cluster.advance(600);
    assert.deepEqual(leader.change([1, 2, 4]), { kind: "refused", why: "not-caught-up" });
  });

  it("one that is quarantined or has a hole is not made a voter, however much it has", () => {
    for (const impaired of ["hole", "quarantined"] as const) {
      const { leader } = withLearner();
      const { term: inTerm, lastIndex } = leader.core;
      for (let i = 0; i < 2; i += 1) leader.step(4, { kind: "appendReply", term: inTerm, durable: lastIndex, impaired });
      assert.deepEqual([leader.core.progress(replica(4))?.match, leader.core.progress(replica(4))?.mode], [lastIndex, "replicate"]);
      assert.deepEqual(leader.change([1, 2, 4]), { kind: "refused", why: "not-caught-up" });
    }
  });

  it("scenario 40: passes when the limit of uncommitted bytes holds data back", () => {
    const { cluster, leader } = withLearner({ uncommittedBytesMax: 250 });
    for (const id of [2, 3, 4]) cluster.cut(id, 1);
    leader.propose("a", "b");
    assert.equal(leader.propose("c").kind, "refused");
    assert.equal(leader.change([1, 2, 4]).kind, "accepted");
  });

  it("is refused while leadership is handed over, and a hand-over to one that will not vote is refused", () => {
    const { cluster, leader } = withLearner();
    cluster.isolate(3);
    leader.propose("x");
    assert.equal(leader.core.transfer(replica(3), cluster.now).kind, "started");
    assert.deepEqual(leader.change([1, 2, 4]), { kind: "refused", why: "transferring" });
    cluster.advance(1100);
    const now = cluster.leader();
    if (now.core.configuration.old === undefined) assert.equal(now.change([1, 2, 4]).kind, "accepted");
    assert.deepEqual(now.core.configuration.old, [1, 2, 3].map(replica));
    assert.equal(now.core.transfer(replica(3), cluster.now).kind, "refused");
  });

  it("knows a learner that was made a voter for a voter", () => {
    const { cluster, leader } = withLearner();
    assert.equal(leader.core.progress(replica(4))?.learner, true);
    assert.equal(leader.change([1, 2, 4]).kind, "accepted");
    cluster.advance(300);
    assert.equal(leader.core.progress(replica(4))?.learner, false);
  });

  it("makes a voter of a learner that has had no election clock: it asks for votes when the leader dies at once", () => {
    const { cluster, leader } = withLearner();
    assert.equal(cluster.at(4).core.nextDeadline, Number.POSITIVE_INFINITY);
    assert.equal(leader.change([1, 2, 4]).kind, "accepted");
    cluster.settle();
    assert.deepEqual(leader.core.configuration, configuration([1, 2, 4]));
    assert.ok(cluster.at(4).core.nextDeadline <= cluster.now + 1000);
    leader.crash();
    cluster.at(2).crash();
    cluster.at(2).restart();
    cluster.advance(5000);
    assert.equal(cluster.leaders().length, 1);
  });

  /** Replica 1 led two voters to one that is not it, and nobody else has the last configuration: then both start anew. */
  function leftAlone(): TestCluster {
    const cluster = TestCluster.of([1, 2]);
    const leader = cluster.elect(1);
    cluster.advance(300);
    cluster.loses = ({ message }) =>
      message.kind === "append" && message.entries.some(({ configuration: of }) => of !== undefined && of.old === undefined);
    assert.equal(leader.change([2]).kind, "accepted");
    cluster.advance(200);
    assert.deepEqual([leader.core.configuration, cluster.at(2).core.configuration], [configuration([2]), configuration([2], [1, 2])]);
    assert.ok(leader.core.commit < leader.core.configurationIndex);
    for (const each of cluster.replicas.values()) each.crash();
    cluster.heal();
    for (const each of cluster.replicas.values()) each.restart();
    return cluster;
  }

  it("that takes the vote from its leader ends when nobody else has the last of it: who is needed until it is committed asks for votes", () => {
    const cluster = leftAlone();
    cluster.until(() => cluster.at(2).core.role === "leader", 5000);
    assert.deepEqual(cluster.at(2).core.configuration, configuration([2]));
    cluster.at(2).propose("alone");
    assert.equal(cluster.at(2).core.commit, cluster.at(2).core.lastIndex);
    // It was needed for that only: it asks no more.
    cluster.advance(3000);
    assert.equal(cluster.at(1).core.nextDeadline, Number.POSITIVE_INFINITY);
  });

  it("that takes the vote from its leader leaves it without a vote: it asks, and its own does not count", () => {
    const cluster = leftAlone();
    cluster.isolate(1);
    cluster.advance(5000);
    assert.notEqual(cluster.at(1).core.role, "leader");
    assert.ok(cluster.sent.some(({ from, message }) => from === 1 && message.kind === "preVote"));
  });

  it("scenario 55: a second one is refused while the first is not committed, joint or not", () => {
    const { cluster, leader } = withLearner();
    for (const id of [2, 3]) cluster.cut(id, 1);
    assert.equal(leader.change([1, 2, 3]).kind, "accepted");
    assert.equal(leader.core.configuration.old, undefined);
    assert.deepEqual(leader.change([1, 2, 3], [4]), { kind: "refused", why: "change-open" });
    cluster.heal();
    cluster.advance(300);
    assert.equal(leader.change([1, 2, 3], [4]).kind, "accepted");
  });

  it("reads and check-quorum need both majorities", () => {
    const { cluster, leader } = withLearner();
    cluster.add({ ...leader.options, self: replica(5), configuration: configuration([1, 2, 3], undefined, [5]) });
    assert.equal(leader.change([1, 2, 3], [4, 5]).kind, "accepted");
    cluster.advance(300);
    for (const id of [2, 3]) cluster.isolate(id);
    assert.equal(leader.change([1, 4, 5]).kind, "accepted");
    leader.readIndex(1);
    cluster.settle();
    assert.deepEqual(leader.reads, []);
    cluster.advance(1200);
    assert.equal(leader.core.role, "follower");
    assert.deepEqual(leader.reads, [{ context: 1, index: undefined }]);
  });
});

describe("Quarantine (scenario 16)", () => {
  const commonTerm = 3;
  const quarantined = (): TestReplica => {
    const only = lone({ log: [1, 2], term: 2, quarantined: true });
    only.tick();
    return only;
  };
  const ask = (of: TestReplica) => messagesOf(of, "askTerm")[0]?.session ?? -1;
  const tell = (of: TestReplica, from: number, atTerm: number, session: number) =>
    of.step(from, { kind: "tellTerm", term: atTerm as TestReplica["core"]["term"], session });
  /** A leader of the common term that has committed its own entry 3. */
  const led = (of: TestReplica) => of.step(2, append(commonTerm, 2, 2, [entryOf(3, commonTerm)], 3));

  it("ends when all others told their terms, the highest was taken, and the leader's own entry is here", () => {
    const only = quarantined();
    const session = ask(only);
    tell(only, 2, commonTerm, session);
    tell(only, 3, 1, session);
    assert.equal(only.core.term, commonTerm);
    assert.equal(only.core.quarantined, true);
    led(only);
    assert.equal(only.core.quarantined, false);
    assert.equal(
      only.readies.some((ready) => ready.quarantineEnded),
      true,
    );
    // In that term its vote is the leader's, and it is on disk.
    assert.deepEqual([only.disk.term, only.disk.votedFor], [commonTerm, 2]);
    const last = outOf(only).at(-1)?.message;
    assert.equal(last?.kind === "appendReply" && last.impaired === undefined && last.durable === 3, true);
  });

  it("goes on while one voter has not told, whoever else did; an answer to a former life does not count", () => {
    const only = quarantined();
    const session = ask(only);
    tell(only, 2, commonTerm, session);
    tell(only, 3, commonTerm, session + 1);
    led(only);
    assert.equal(only.core.quarantined, true);
    const reply = outOf(only).at(-1)?.message;
    assert.equal(reply?.kind === "appendReply" && reply.impaired, "quarantined");
    tell(only, 3, commonTerm, session);
    only.step(2, heartbeat(commonTerm, 3));
    assert.equal(only.core.quarantined, false);
  });

  it("goes on while the leader has committed nothing of its own term, or this replica lacks what it committed", () => {
    const only = quarantined();
    const session = ask(only);
    tell(only, 2, commonTerm, session);
    tell(only, 3, commonTerm, session);
    only.step(2, append(commonTerm, 2, 2, [entryOf(3, commonTerm)], 2));
    assert.equal(only.core.quarantined, true, "nothing of term 3 is committed");
    only.step(2, heartbeat(commonTerm, 4));
    assert.equal(only.core.quarantined, true, "entry 4 is missing");
    only.step(2, heartbeat(commonTerm, 3));
    assert.equal(only.core.quarantined, true, "an older message does not take back that 4 is committed");
    only.step(2, append(commonTerm, 3, commonTerm, [entryOf(4, commonTerm)], 4));
    assert.equal(only.core.quarantined, false);
  });

  it("goes on until what it has is on disk", () => {
    const only = quarantined();
    const session = ask(only);
    for (const voter of [2, 3]) tell(only, voter, commonTerm, session);
    only.slowDisk = true;
    led(only);
    only.step(2, heartbeat(commonTerm, 3));
    assert.equal(only.core.quarantined, true);
    only.finishWrites();
    assert.equal(only.core.quarantined, false);
  });

  it("begins while it runs when a peer remembers more, and a leader steps down for it", () => {
    const leader = leading();
    leader.core.quarantine(leader.cluster.now);
    leader.pump();
    assert.equal(leader.core.role, "follower");
    assert.equal(leader.core.quarantined, true);
    leader.tick();
    assert.equal(messagesOf(leader, "askTerm").length, 2);
  });

  it("is answered by everybody with a durable term, which nobody takes from the one who asks", () => {
    const other = lone({ log: [1], term: 4 });
    other.step(2, { kind: "askTerm", term: 9 as TestReplica["core"]["term"], session: 77 });
    assert.deepEqual(outOf(other), [{ to: 2, message: { kind: "tellTerm", term: 4, session: 77 } }]);
    assert.equal(other.core.term, 4);
  });

  it("is known to the leader, which then counts nothing of it: no commit, no read, no quorum", () => {
    const leader = leading();
    const led = leader.core.term;
    leader.step(2, { ...appendReply(led, 1), impaired: "quarantined" } as ReturnType<typeof appendReply>);
    assert.equal(leader.core.commit, 0);
    assert.equal(leader.core.progress(replica(2))?.barred, true);
    assert.equal(leader.core.transfer(replica(2), leader.cluster.now).kind, "refused");
    leader.step(2, appendReply(led, 1));
    assert.equal(leader.core.commit, 1);
    leader.readIndex(5);
    const round = messagesOf(leader, "heartbeat").at(-1)?.round ?? 0;
    leader.step(2, { kind: "heartbeatReply", term: led, round, durable: index(1), impaired: "quarantined" });
    assert.deepEqual(leader.reads, []);
    leader.step(3, { kind: "heartbeatReply", term: led, round, durable: index(1) });
    assert.equal(leader.reads.length, 1);
  });

  it("makes the leader forget what was acknowledged before, and bring the replica up to date again", () => {
    const cluster = TestCluster.of([1, 2, 3]);
    const leader = cluster.elect(1);
    leader.propose("a", "b", "c");
    cluster.advance(200);
    assert.equal(leader.core.progress(replica(3))?.match, 4);
    cluster.at(3).forget(2);
    cluster.at(3).restart();
    cluster.advance(100);
    cluster.until(() => !cluster.at(3).core.quarantined, 1000);
    assert.equal(cluster.at(3).core.lastIndex, 4);
    assert.equal(cluster.at(3).disk.votedFor, 1);
  });

  it("of all voters but one never ends by itself: there is no leader it could trust", () => {
    const cluster = TestCluster.of([1, 2, 3]);
    cluster.elect(1);
    cluster.advance(200);
    for (const id of [1, 2]) cluster.at(id).forget(0);
    for (const id of [1, 2]) cluster.at(id).restart();
    cluster.advance(10_000);
    assert.deepEqual(cluster.leaders(), []);
    assert.equal(cluster.at(1).core.quarantined, true);
  });
});

describe("Reset (scenario 38)", () => {
  const trimmed = (): { cluster: TestCluster; leader: TestReplica } => {
    const cluster = TestCluster.of([1, 2, 3]);
    const leader = cluster.elect(1);
    cluster.isolate(3);
    leader.propose("a", "b", "c", "d");
    cluster.advance(200);
    leader.core.trimmed({ index: index(4), term: leader.core.termAt(index(4)) ?? leader.core.term });
    leader.start = 4;
    leader.forgotBelow = 5;
    cluster.heal();
    cluster.advance(300);
    return { cluster, leader };
  };

  it("is asked for once, while the leader goes on and sends nothing but heartbeats", () => {
    const { cluster, leader } = trimmed();
    const asked = () => leader.readies.flatMap(({ reset }) => reset);
    assert.deepEqual(asked(), [{ to: 3, start: { index: 4, term: 1 } }]);
    assert.equal(leader.core.progress(replica(3))?.mode, "reset");
    cluster.sent = [];
    leader.propose("e");
    cluster.advance(1000);
    assert.deepEqual([...new Set(cluster.sent.filter(({ to }) => to === 3).map(({ message }) => message.kind))], ["heartbeat"]);
    assert.equal(asked().length, 1);
    assert.equal(leader.core.commit, 6);
  });

  it("is asked for also when a late answer shows that the follower ends below the start", () => {
    const leader = leading();
    const inTerm = leader.core.term;
    leader.propose("a", "b", "c", "d");
    leader.finishWrites();
    leader.step(2, appendReply(inTerm, 5));
    leader.core.peerGone(replica(3), leader.cluster.now);
    leader.core.trimmed({ index: index(4), term: inTerm });
    leader.core.peerBack(replica(3), leader.cluster.now);
    leader.step(3, appendReply(inTerm, 2));
    assert.deepEqual(
      leader.readies.flatMap(({ reset }) => reset),
      [{ to: 3, start: { index: 4, term: inTerm } }],
    );
  });

  it("is not needed to ask on: a question that was open below a new start is asked at that start", () => {
    const leader = leading();
    const inTerm = leader.core.term;
    leader.propose("a", "b", "c", "d");
    leader.finishWrites();
    leader.step(2, appendReply(inTerm, 5));
    leader.step(3, appendReply(inTerm, 2));
    leader.core.peerGone(replica(3), leader.cluster.now);
    leader.core.peerBack(replica(3), leader.cluster.now);
    leader.pump();
    leader.core.trimmed({ index: index(4), term: inTerm });
    outOf(leader);
    leader.step(3, { kind: "heartbeatReply", term: inTerm, round: 0, durable: index(2) });
    const asked = messagesOf(leader, "append").map(({ prevIndex }) => prevIndex);
    assert.deepEqual(asked, [4]);
  });

  it("that failed is asked for again, not faster than heartbeats", () => {
    const { cluster, leader } = trimmed();
    leader.core.resetDone(replica(3), undefined, cluster.now);
    leader.pump();
    cluster.settle();
    assert.equal(leader.readies.flatMap(({ reset }) => reset).length, 1);
    cluster.advance(300);
    assert.equal(leader.readies.flatMap(({ reset }) => reset).length, 2);
  });

  it("done, appends go on behind the new start", () => {
    const { cluster, leader } = trimmed();
    cluster.at(3).install(leader, 4);
    leader.core.resetDone(replica(3), { index: index(4), term: leader.core.term }, cluster.now);
    leader.pump();
    cluster.advance(300);
    assert.equal(cluster.at(3).core.commit, 5);
    assert.equal(leader.core.progress(replica(3))?.mode, "replicate");
  });

  it("a question below a start that moved is asked at the start, and one whose log has the start needs no state", () => {
    const cluster = TestCluster.of([1, 2, 3]);
    const leader = cluster.elect(1);
    leader.propose("a", "b", "c");
    cluster.advance(200);
    leader.core.peerGone(replica(3), cluster.now);
    leader.core.trimmed({ index: index(4), term: leader.core.term });
    leader.core.peerBack(replica(3), cluster.now);
    leader.propose("e");
    cluster.advance(300);
    assert.equal(cluster.at(3).core.lastIndex, 5);
    assert.deepEqual(
      leader.readies.flatMap(({ reset }) => reset),
      [],
    );
  });

  it("trimming is never beyond what is committed, and never moves back", () => {
    const leader = leading();
    leader.propose("a");
    assert.throws(() => leader.core.trimmed({ index: index(2), term: leader.core.term }), /only 0 are committed/);
    leader.step(2, appendReply(leader.core.term, 2));
    leader.core.trimmed({ index: index(2), term: leader.core.term });
    leader.core.trimmed({ index: index(1), term: leader.core.term });
    assert.equal(leader.core.termAt(index(1)), undefined);
  });
});
