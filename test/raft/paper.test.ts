import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { entryOf, index, replica, TestCluster, term } from "./harness.ts";
import { append, appendReply, heartbeat, leading, lone, messagesOf, outOf, vote } from "./lone.ts";

/**
 * One test per claim of the Raft paper (Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm (Extended
 * Version)", 2014) and of Ongaro's dissertation, named by section. Where this core differs, the test says so.
 */
describe("Raft paper §5.1: terms", () => {
  it("a replica of any role that sees a larger term takes it and follows", () => {
    const follower = lone({ log: [1], term: 1 });
    const candidate = lone({ log: [1], term: 1 });
    candidate.timeOut();
    const leader = leading({ log: [1], term: 1 });
    for (const each of [follower, candidate, leader]) {
      each.step(2, append(9, 0, 0));
      assert.deepEqual([each.core.term, each.core.role, each.core.leader], [9, "follower", 2]);
      assert.equal(each.disk.term, 9);
    }
  });

  it("a request of a stale term is rejected with the present one", () => {
    const follower = lone({ log: [1, 5], term: 5 });
    follower.step(2, append(3, 2, 5, [entryOf(3, 3)]));
    follower.step(2, vote(3, 9, 9));
    follower.step(2, heartbeat(3));
    assert.deepEqual(
      outOf(follower).map(({ message }) => [message.kind, message.term]),
      [
        ["appendReply", 5],
        ["voteReply", 5],
        ["heartbeatReply", 5],
      ],
    );
    assert.equal(follower.core.lastIndex, 2);
  });

  it("a stale leader learns of the present term from any follower, and steps down", () => {
    const leader = leading();
    leader.step(3, { kind: "heartbeatReply", term: term(8), round: 0, durable: index(0) });
    assert.deepEqual([leader.core.role, leader.core.term], ["follower", 8]);
  });
});

describe("Raft paper §5.2: leader election", () => {
  it("a replica starts as a follower", () => {
    assert.equal(lone({ log: [1], term: 3 }).core.role, "follower");
  });

  it("a follower that hears nothing for its timeout asks for votes; here it asks by pre-vote first (dissertation §9.6)", () => {
    const follower = lone({ term: 2 });
    follower.timeOut();
    const asked = messagesOf(follower, "preVote");
    assert.equal(asked.length, 2);
    assert.equal(follower.core.term, 2);
    follower.step(3, { kind: "preVoteReply", term: term(3), granted: true, attempt: asked[0]?.attempt ?? 0 });
    assert.deepEqual([follower.core.role, follower.core.term, follower.disk.votedFor], ["candidate", 3, 1]);
  });

  it("votes from a majority make a leader, refusals by one send the candidate back", () => {
    for (const [answers, role] of [
      [{ 2: true }, "candidate"],
      [{ 2: true, 3: true }, "leader"],
      [{ 2: false, 3: false }, "candidate"],
      [{ 2: false, 3: false, 4: false }, "follower"],
      [{ 2: true, 3: false, 4: true }, "leader"],
    ] as const) {
      const candidate = lone({ of: [1, 2, 3, 4, 5] });
      candidate.timeOut();
      const preVote = messagesOf(candidate, "preVote")[0];
      for (const id of [2, 3]) candidate.step(id, { kind: "preVoteReply", term: term(1), granted: true, attempt: preVote?.attempt ?? 0 });
      const attempt = messagesOf(candidate, "vote")[0]?.attempt ?? 0;
      for (const [id, granted] of Object.entries(answers))
        candidate.step(Number(id), { kind: "voteReply", term: term(1), granted, attempt });
      assert.equal(candidate.core.role, role, JSON.stringify(answers));
    }
  });

  it("each replica votes for at most one candidate in a term, first come first served", () => {
    const follower = lone({ term: 1 });
    follower.step(2, vote(2, 0, 0));
    follower.step(3, vote(2, 9, 1));
    follower.step(2, vote(2, 0, 0));
    assert.deepEqual(
      messagesOf(follower, "voteReply").map((reply) => reply.granted),
      [true, false, true],
    );
  });

  it("a leader sends heartbeats to all followers each interval", () => {
    const leader = leading();
    outOf(leader);
    for (let i = 0; i < 3; i++) {
      leader.cluster.now = leader.core.nextDeadline;
      leader.tick();
      assert.deepEqual(
        outOf(leader).map(({ to, message }) => [to, message.kind]),
        [
          [2, "heartbeat"],
          [3, "heartbeat"],
        ],
      );
    }
  });
});

describe("Raft paper §5.3: log replication", () => {
  it("a leader appends and replicates in parallel with its own write", () => {
    const leader = leading();
    for (const id of [2, 3]) leader.step(id, appendReply(leader.core.term, 1));
    outOf(leader);
    leader.slowDisk = true;
    leader.propose("a");
    assert.deepEqual(
      messagesOf(leader, "append").map((message) => [message.prevIndex, message.entries.length]),
      [
        [1, 1],
        [1, 1],
      ],
    );
    assert.equal(leader.core.durable, 1);
  });

  it("an entry is committed once a majority has it, and with it all before it, also of earlier leaders", () => {
    const leader = leading({ log: [1, 2, 2], term: 2 });
    leader.propose("a");
    leader.step(2, appendReply(leader.core.term, 5));
    assert.equal(leader.core.commit, 5);
  });

  it("followers learn of commitment with later appends and heartbeats", () => {
    const follower = lone({ log: [1], term: 1 });
    follower.step(2, append(1, 1, 1, [entryOf(2, 1)], 0));
    assert.equal(follower.core.commit, 0);
    follower.step(2, append(1, 2, 1, [entryOf(3, 1)], 2));
    assert.equal(follower.core.commit, 2);
    follower.step(2, heartbeat(1, 3));
    assert.equal(follower.core.commit, 3);
  });

  it("a follower without the previous entry refuses, with the first place to look at", () => {
    const follower = lone({ log: [1, 1, 2, 2], term: 2 });
    follower.step(2, append(5, 9, 4));
    follower.step(2, append(5, 4, 1));
    assert.deepEqual(
      messagesOf(follower, "appendReply").map((reply) => reply.refused),
      [
        { prevIndex: 9, hintIndex: 4, hintTerm: 2 },
        { prevIndex: 4, hintIndex: 2, hintTerm: 1 },
      ],
    );
  });

  /** Figure 7: what followers may look like when the leader at the top comes to power. */
  it("Figure 7: a leader brings every kind of follower to its own log", () => {
    const top = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6];
    const followers = [
      [1, 1, 1, 4, 4, 5, 5, 6, 6],
      [1, 1, 1, 4],
      [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6],
      [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7],
      [1, 1, 1, 4, 4, 4, 4],
      [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3],
    ];
    for (const log of followers) {
      const follower = lone({ log, term: 8 });
      let next = top.length;
      for (let round = 0; round < 12; round++) {
        const entries = top.slice(next).map((inTerm, at) => entryOf(next + at + 1, inTerm));
        follower.step(2, append(8, next, top[next - 1] ?? 0, [...entries, entryOf(top.length + 1, 8)].slice(0, entries.length + 1)));
        const reply = messagesOf(follower, "appendReply").at(-1);
        if (reply?.refused === undefined) break;
        // As the leader does: the last place of ours at or below the hint whose term is at most the hint's.
        next = Math.min(next - 1, reply.refused.hintIndex);
        while (next > 0 && (top[next - 1] ?? 0) > reply.refused.hintTerm) next--;
      }
      assert.deepEqual(
        follower.log.map((entry) => entry.term),
        [...top, 8],
      );
    }
  });
});

describe("Raft paper §5.4: safety", () => {
  it("§5.4.1: a vote goes only to a log at least as up to date", () => {
    for (const [log, lastTerm, lastIndex, granted] of [
      [[1], 1, 1, true],
      [[1], 1, 2, true],
      [[1, 1], 1, 1, false],
      [[1], 2, 1, true],
      [[1, 1], 2, 1, true],
      [[2], 1, 1, false],
      [[2], 1, 2, false],
      [[1, 2], 1, 9, false],
    ] as const) {
      const follower = lone({ log, term: 2 });
      follower.step(2, vote(3, lastIndex, lastTerm));
      assert.equal(messagesOf(follower, "voteReply")[0]?.granted, granted, `${log} asked by ${lastIndex}@${lastTerm}`);
    }
  });

  it("§5.4.2: only entries of the leader's term are committed by counting", () => {
    const leader = leading({ log: [1, 2], term: 2 });
    leader.step(2, appendReply(leader.core.term, 2));
    assert.equal(leader.core.commit, 0);
    leader.step(2, appendReply(leader.core.term, 3));
    assert.equal(leader.core.commit, 3);
  });
});

describe("Raft dissertation", () => {
  it("§3.10: the target of a transfer asks at once, without a pre-vote, and is not passed over", () => {
    const cluster = TestCluster.of([1, 2, 3]);
    cluster.elect(1);
    cluster.advance(100);
    cluster.at(2).step(1, { kind: "timeoutNow", term: cluster.at(1).core.term });
    cluster.settle();
    assert.equal(cluster.leader().id, 2);
    assert.equal(cluster.sent.filter(({ from, message }) => from === 2 && message.kind === "preVote").length, 0);
  });

  it("§4.2.3: a replica that hears a leader does not help to depose it; closed connections count as not hearing it", () => {
    const follower = lone({ log: [1], term: 1 });
    follower.step(2, heartbeat(1));
    outOf(follower);
    follower.step(3, vote(2, 1, 1, { kind: "preVote" }));
    assert.deepEqual(outOf(follower), []);
    follower.core.peerGone(replica(2), follower.cluster.now);
    follower.step(3, vote(2, 1, 1, { kind: "preVote" }));
    assert.equal(messagesOf(follower, "preVoteReply")[0]?.granted, true);
  });

  it("§6.2: a leader that hears no majority for an election timeout steps down", () => {
    const leader = leading();
    leader.cluster.advance(1000);
    assert.notEqual(leader.core.role, "leader");
  });

  it("§6.4: a read costs no entry", () => {
    const cluster = TestCluster.of([1, 2, 3]);
    const leader = cluster.elect(1);
    cluster.settle();
    const { lastIndex } = leader.core;
    leader.readIndex(1);
    cluster.settle();
    assert.equal(leader.reads.length, 1);
    assert.equal(leader.core.lastIndex, lastIndex);
  });
});
