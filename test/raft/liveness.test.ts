import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { entriesOf, entryOf, index, optionsFor, replica, seededDraw, TestCluster, voters } from "./harness.ts";
import { Invariants } from "./invariants.ts";
import { heartbeat, leading, lone } from "./lone.ts";

/** Checks R1–R8 after every message. */
function watched(cluster: TestCluster): TestCluster {
  const invariants = new Invariants(cluster);
  cluster.onReady = (of, ready) => invariants.onReady(of, ready);
  cluster.onDelivered = ({ to }) => invariants.check(cluster.at(to));
  return cluster;
}

describe("Raft quorum and liveness", () => {
  it("scenario 17: a leader cut from the majority steps down within one timeout", () => {
    const cluster = TestCluster.of([1, 2, 3]);
    const leader = cluster.elect(1);
    cluster.advance(300);
    cluster.isolate(1);
    const cutAt = cluster.now;
    leader.propose("lost");
    cluster.until(() => leader.core.role !== "leader", 1200);
    // The last answer may have come just before the cut; from then it is one timeout.
    assert.ok(cluster.now - cutAt <= 1000);
    assert.equal(leader.core.leader, undefined);
    assert.equal(leader.core.propose([{ type: 1, bytes: 1, payload: "x" }], leader.core.term).kind, "refused");
  });

  it("scenario 17: closed connections to a majority count as silence at once", () => {
    const leader = leading();
    leader.core.peerGone(replica(2), leader.cluster.now);
    leader.tick();
    assert.equal(leader.core.role, "leader");
    leader.core.peerGone(replica(3), leader.cluster.now);
    assert.ok(leader.core.nextDeadline <= leader.cluster.now);
    leader.tick();
    assert.equal(leader.core.role, "follower");
  });

  it("scenario 18: a leader that can send but not hear steps down, and others elect", () => {
    const cluster = watched(TestCluster.of([1, 2, 3]));
    cluster.elect(1);
    for (const id of [2, 3]) cluster.cut(id, 1);
    cluster.advance(3000);
    assert.notEqual(cluster.at(1).core.role, "leader");
    assert.equal(cluster.leaders().length, 1);
    assert.equal(cluster.leader().propose("goes on").kind, "accepted");
    cluster.advance(300);
    assert.equal(cluster.leader().core.commit, cluster.leader().core.lastIndex);
  });

  it("scenario 19: a leader that can hear but not send is replaced, and cannot acknowledge", () => {
    const cluster = watched(TestCluster.of([1, 2, 3]));
    const old = cluster.elect(1);
    cluster.advance(300);
    const committed = old.core.commit;
    for (const id of [2, 3]) cluster.cut(1, id);
    old.propose("never");
    cluster.advance(3000);
    assert.equal(old.core.role, "follower");
    assert.equal(cluster.leaders().length, 1);
    assert.ok(old.core.commit >= committed);
    assert.equal(
      cluster.leader().log.some((entry) => entry.payload === "never"),
      false,
    );
    cluster.heal();
    cluster.advance(1000);
    assert.equal(
      old.log.some((entry) => entry.payload === "never"),
      false,
    );
  });

  it("scenario 20: five nodes, 4 sees only 2 and 5 sees only 3: the leader is stable", () => {
    const cluster = watched(TestCluster.of([1, 2, 3, 4, 5]));
    for (const [a, b] of [
      [4, 1],
      [4, 3],
      [4, 5],
      [5, 1],
      [5, 2],
    ] as const) {
      cluster.cut(a, b);
      cluster.cut(b, a);
    }
    cluster.until(() => cluster.leaders().length === 1);
    cluster.advance(5000);
    const { id, core } = cluster.leader();
    const stable = core.term;
    cluster.advance(120_000);
    assert.equal(cluster.leader().id, id);
    assert.equal(core.term, stable);
    assert.equal(cluster.leader().propose("works").kind, "accepted");
    cluster.advance(200);
    assert.equal(core.commit, core.lastIndex);
  });

  it("scenario 21: a ring of majorities keeps one history and moves on once healed", () => {
    for (let seed = 1; seed <= 5; seed++) {
      const cluster = watched(TestCluster.of([1, 2, 3, 4, 5], { draw: seededDraw(seed) }));
      for (let a = 1; a <= 5; a++) {
        for (let b = 1; b <= 5; b++) if (a !== b && (a - b + 5) % 5 !== 1 && (b - a + 5) % 5 !== 1) cluster.cut(a, b);
      }
      for (let i = 0; i < 30; i++) {
        for (const each of cluster.leaders()) each.propose(`${each.id}-${i}`);
        cluster.advance(500);
      }
      cluster.heal();
      cluster.until(() => cluster.leaders().length === 1);
      cluster.leader().propose("healed");
      cluster.advance(2500);
      for (const each of cluster.replicas.values()) assert.equal(each.log.at(-1)?.payload, "healed");
    }
  });

  it("scenario 22: when all restart at different speeds, the first leader holds every committed entry", () => {
    for (let first = 1; first <= 3; first++) {
      const cluster = watched(TestCluster.of([1, 2, 3], { draw: seededDraw(first) }));
      cluster.elect(1);
      cluster.isolate(3);
      cluster.at(1).propose("kept");
      cluster.settle();
      const committed = cluster.at(1).core.commit;
      assert.equal(committed, 2);
      cluster.heal();
      for (const each of cluster.replicas.values()) each.crash();
      // Replica 3 lacks the entry: with it alone up nothing may happen, whoever comes second decides.
      for (const id of [3, first, 1, 2]) {
        if (!cluster.at(id).up) cluster.at(id).restart();
        cluster.advance(1700);
        for (const leader of cluster.leaders()) assert.equal(leader.log[1]?.payload, "kept");
      }
      assert.equal(cluster.leaders().length, 1);
    }
  });

  it("scenario 23: a group of one acknowledges only after its own fsync", () => {
    const cluster = TestCluster.of([1]);
    const only = cluster.at(1);
    cluster.advance(1);
    assert.equal(only.core.role, "leader");
    only.slowDisk = true;
    assert.equal(only.propose("a").kind, "accepted");
    cluster.advance(10_000);
    assert.equal(only.core.commit, 1);
    only.finishWrite();
    assert.equal(only.core.commit, 2);
    assert.equal(only.readies.at(-1)?.committed, 2);
  });

  it("scenario 23: a group of one does not lead before its vote is durable", () => {
    const cluster = TestCluster.of([1]);
    const only = cluster.at(1);
    only.slowDisk = true;
    cluster.advance(1);
    assert.equal(only.core.role, "candidate");
    only.crash(0);
    assert.equal(only.disk.term, 0);
    only.restart();
    only.tick();
    only.finishWrites();
    assert.equal(only.core.role, "leader");
  });

  it("scenario 24: a partitioned node that rejoins with a huge term cannot lock clients out", () => {
    const cluster = watched(TestCluster.of([1, 2, 3]));
    cluster.elect(1);
    cluster.at(1).propose("before");
    cluster.advance(300);
    cluster.at(3).crash();
    cluster.add(optionsFor(3, voters(1, 2, 3)), cluster.at(3).disk.entries, 1_000_000, 3);
    const back = cluster.now;
    cluster.until(() => {
      const leader = cluster.leaders().find((each) => each.core.commit === each.core.lastIndex && each.core.term > 1_000_000);
      return leader !== undefined;
    }, 3000);
    assert.ok(cluster.now - back <= 3000);
    const settled = cluster.leader().core.term;
    cluster.advance(30_000);
    assert.equal(cluster.leader().core.term, settled);
    assert.ok(cluster.leader().log.some((entry) => entry.payload === "before"));
  });

  it("scenario 25, core half: while the leader's fsync takes 3 s its heartbeats go out, others commit, and nobody campaigns", () => {
    const cluster = watched(TestCluster.of([1, 2, 3]));
    const leader = cluster.elect(1);
    const led = leader.core.term;
    cluster.advance(300);
    leader.slowDisk = true;
    leader.propose("slow here");
    cluster.settle();
    assert.equal(leader.core.commit, leader.core.lastIndex);
    assert.ok(leader.core.durable < leader.core.commit);
    cluster.advance(3000);
    assert.equal(leader.core.role, "leader");
    assert.equal(leader.core.term, led);
    leader.finishWrites();
    assert.equal(leader.core.durable, leader.core.lastIndex);
  });

  it("scenario 25, core half: a leader whose process was stopped hears its followers before it judges them", () => {
    const cluster = TestCluster.of([1, 2, 3]);
    const leader = cluster.elect(1);
    cluster.advance(300);
    // Its timers fire first when it wakes; the answers lie unread.
    cluster.now += 1500;
    leader.tick();
    assert.equal(leader.core.role, "leader");
    cluster.settle();
    assert.equal(leader.core.role, "leader");
    assert.ok(leader.core.nextDeadline > cluster.now);
  });

  it("timers: a core is quiet until its next deadline, and each tick at it moves the deadline on", () => {
    const cluster = TestCluster.of([1, 2, 3]);
    const leader = cluster.elect(1);
    cluster.settle();
    for (let i = 0; i < 50; i++) {
      const before = leader.core.nextDeadline;
      cluster.sent = [];
      cluster.now = before - 0.5;
      leader.tick();
      assert.deepEqual(cluster.sent, []);
      cluster.now = before;
      leader.tick();
      assert.ok(leader.core.nextDeadline > before);
      cluster.settle();
    }
    const follower = lone({ term: 1 });
    const deadline = follower.core.nextDeadline;
    follower.cluster.now = deadline - 0.5;
    follower.tick();
    assert.equal(follower.core.role, "follower");
    follower.cluster.now = deadline;
    follower.tick();
    assert.equal(follower.core.role, "preCandidate");
  });

  it("heartbeats to all followers share one message, one per interval", () => {
    const leader = leading();
    leader.cluster.sent = [];
    leader.cluster.now += 100;
    leader.tick();
    const [first, second] = leader.cluster.sent;
    assert.equal(leader.cluster.sent.length, 2);
    assert.equal(first?.message, second?.message);
  });
});

describe("Raft leadership transfer", () => {
  it("scenario 66, core half: hands over without a pause, and no committed entry is lost", () => {
    const cluster = watched(TestCluster.of([1, 2, 3]));
    const old = cluster.elect(1);
    old.propose("before");
    cluster.advance(200);
    assert.deepEqual(old.core.transfer(replica(2), cluster.now), { kind: "started" });
    old.pump();
    assert.deepEqual(old.propose("meanwhile"), { kind: "refused", why: "transferring" });
    cluster.settle();
    assert.equal(cluster.leader().id, 2);
    assert.deepEqual(old.readies.find((ready) => ready.transferEnded)?.transferEnded, { to: 2, done: true });
    assert.equal(cluster.at(2).core.commit, cluster.at(2).core.lastIndex);
  });

  it("scenario 65: to a lagging target waits until it caught up", () => {
    const cluster = TestCluster.of([1, 2, 3]);
    const leader = cluster.elect(1);
    cluster.advance(200);
    cluster.at(2).slowDisk = true;
    leader.propose("a");
    cluster.settle();
    leader.core.transfer(replica(2), cluster.now);
    leader.pump();
    cluster.advance(300);
    assert.equal(leader.core.role, "leader");
    assert.equal(cluster.sent.filter(({ message }) => message.kind === "timeoutNow").length, 0);
    cluster.at(2).slowDisk = false;
    cluster.at(2).finishWrites();
    cluster.settle();
    assert.equal(cluster.leader().id, 2);
  });

  it("scenario 65: to a dead target is given up after one election timeout, and writes resume", () => {
    const cluster = TestCluster.of([1, 2, 3]);
    const leader = cluster.elect(1);
    cluster.advance(200);
    cluster.at(2).crash();
    leader.core.transfer(replica(2), cluster.now);
    leader.pump();
    cluster.advance(999);
    assert.equal(leader.propose("refused").kind, "refused");
    assert.deepEqual(leader.core.transfer(replica(3), cluster.now).kind, "refused");
    cluster.advance(1);
    assert.deepEqual(leader.readies.find((ready) => ready.transferEnded)?.transferEnded, { to: 2, done: false });
    assert.equal(leader.propose("again").kind, "accepted");
    cluster.advance(200);
    assert.equal(leader.core.commit, leader.core.lastIndex);
  });

  it("scenario 65: to itself, a learner, an unknown replica, or from a follower is refused", () => {
    const cluster = TestCluster.of([1, 2, 3], {}, [4]);
    const leader = cluster.elect(1);
    for (const to of [1, 4, 9]) assert.equal(leader.core.transfer(replica(to), cluster.now).kind, "refused");
    assert.equal(cluster.at(2).core.transfer(replica(3), cluster.now).kind, "refused");
    assert.equal(leader.propose("goes on").kind, "accepted");
  });
});

describe("Raft linearizable reads", () => {
  it("scenario 63: a read is answered after a quorum round that started after it", () => {
    const cluster = TestCluster.of([1, 2, 3]);
    const leader = cluster.elect(1);
    leader.propose("a");
    cluster.settle();
    leader.readIndex(77);
    assert.deepEqual(leader.reads, []);
    cluster.settle();
    assert.deepEqual(leader.reads, [{ context: 77, index: 2 }]);
  });

  it("scenario 63: echoes of rounds before the read do not answer it", () => {
    const leader = leading();
    for (const id of [2, 3]) leader.step(id, { kind: "appendReply", term: leader.core.term, durable: index(1) });
    leader.readIndex(1);
    leader.step(2, { kind: "heartbeatReply", term: leader.core.term, round: 0, durable: index(1) });
    assert.deepEqual(leader.reads, []);
    leader.readIndex(2);
    leader.step(2, { kind: "heartbeatReply", term: leader.core.term, round: 1, durable: index(1) });
    assert.deepEqual(leader.reads, [{ context: 1, index: 1 }]);
    leader.step(3, { kind: "heartbeatReply", term: leader.core.term, round: 2, durable: index(1) });
    assert.equal(leader.reads.length, 2);
  });

  it("scenarios 33 and 63: before its own term has committed, a leader answers no read; then it sees all earlier terms", () => {
    const leader = leading({ log: [1, 1], term: 1 });
    leader.readIndex(5);
    leader.step(2, { kind: "heartbeatReply", term: leader.core.term, round: 1, durable: index(0) });
    assert.deepEqual(leader.reads, []);
    leader.step(2, { kind: "appendReply", term: leader.core.term, durable: index(3) });
    assert.deepEqual(leader.reads, [{ context: 5, index: 3 }]);
  });

  it("scenario 63: a deposed leader refuses the reads that wait, and a follower refuses at once", () => {
    const leader = leading();
    leader.readIndex(5);
    leader.step(2, heartbeat(leader.core.term + 1));
    assert.deepEqual(leader.reads, [{ context: 5, index: undefined }]);
    leader.readIndex(6);
    assert.deepEqual(leader.reads[1], { context: 6, index: undefined });
  });

  it("scenario 64, core half: a leader paused past its time serves no read from before the pause", () => {
    const cluster = TestCluster.of([1, 2, 3]);
    const old = cluster.elect(1);
    cluster.settle();
    old.readIndex(1);
    old.up = false;
    cluster.queue = [];
    cluster.advance(3000);
    const next = cluster.leader();
    next.propose("newer");
    cluster.advance(200);
    old.up = true;
    old.tick();
    cluster.advance(500);
    assert.deepEqual(old.reads, [{ context: 1, index: undefined }]);
  });

  it("scenario 63: a group of one answers at once", () => {
    const cluster = TestCluster.of([1]);
    cluster.advance(1);
    cluster.at(1).readIndex(3);
    assert.deepEqual(cluster.at(1).reads, [{ context: 3, index: 1 }]);
  });
});

describe("Raft restarts", () => {
  it("goes on from what recovery found: term, vote, entries and their terms", () => {
    const cluster = new TestCluster();
    const entries = entriesOf(1, 1, 3);
    const core = cluster.add(optionsFor(1, voters(1, 2, 3)), entries, 4, 2, 2).core;
    assert.equal(core.term, 4);
    assert.equal(core.lastIndex, 3);
    assert.equal(core.durable, 3);
    assert.equal(core.commit, 2);
    assert.deepEqual(
      [0, 1, 2, 3, 4].map((at) => core.termAt(index(at))),
      [0, 1, 1, 3, undefined],
    );
    assert.equal(core.drain(), undefined);
    assert.equal(entryOf(3, 3).index, core.lastIndex);
  });
});
