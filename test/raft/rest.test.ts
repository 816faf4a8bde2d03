import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { entryOf, index, replica, TestCluster, type TestReplica } from "./harness.ts";
import { Invariants } from "./invariants.ts";
import { appendReply, heartbeat, leading, lone, messagesOf, outOf } from "./lone.ts";

const HOUR_MS = 3_600_000;
const ELECTION_MIN_MS = 500;
const ELECTION_MAX_MS = 1_000;

/** Cores whose brokers hear each other until the test says otherwise. */
class RestingCluster {
  readonly cluster: TestCluster;
  /** When brokers were last heard by each other; undefined: now. */
  silentSince: number | undefined;

  constructor(ids: readonly number[] = [1, 2, 3]) {
    this.cluster = TestCluster.of(ids, { contact: () => this.silentSince ?? this.cluster.now, eagerCommit: false });
    const invariants = new Invariants(this.cluster);
    this.cluster.onReady = (of, ready) => invariants.onReady(of, ready);
    this.cluster.onDelivered = ({ to }) => invariants.check(this.cluster.at(to));
  }

  /** Everything is committed everywhere, and a few heartbeats went. */
  static atRest(ids: readonly number[] = [1, 2, 3]): RestingCluster {
    const resting = new RestingCluster(ids);
    const leader = resting.cluster.elect(1);
    leader.propose("a");
    resting.cluster.advance(500);
    for (const id of ids) assert.equal(resting.cluster.at(id).core.atRest, true, `replica ${id} rests`);
    resting.cluster.sent = [];
    return resting;
  }

  get leader(): TestReplica {
    return this.cluster.leader();
  }

  /** Every broker notices that it has not heard the others for so long as a follower waits. */
  silence(): void {
    this.cluster.now += ELECTION_MIN_MS;
    this.silentSince = this.cluster.now - ELECTION_MIN_MS;
    for (const each of this.cluster.replicas.values()) {
      if (!each.up) continue;
      for (const other of this.cluster.replicas.keys()) if (other !== each.id) each.core.restEnded(replica(other), this.cluster.now);
      each.pump();
    }
  }
}

/** Replica 1 leads, and everybody else has all there is; what it sends is read by the test. */
function leadingAtRest(): TestReplica {
  const leader = leading({ options: { contact: () => leader.cluster.now } });
  for (const follower of [2, 3]) leader.step(follower, appendReply(leader.core.term, leader.core.lastIndex));
  leader.finishWrites();
  for (const follower of [2, 3]) answer(leader, follower);
  assert.equal(leader.core.atRest, true);
  outOf(leader);
  return leader;
}

function answer(leader: TestReplica, follower: number, more: { resting?: true; impaired?: "hole" } = { resting: true }): void {
  leader.step(follower, { kind: "heartbeatReply", term: leader.core.term, durable: leader.core.lastIndex, round: 0, ...more });
}

/** Replica 1 follows 2, has three entries of term 2, all of them committed, and rests. */
function followingAtRest(): TestReplica {
  const follower = lone({ log: [2, 2, 2], term: 2, commit: 3, options: { contact: () => follower.cluster.now } });
  follower.step(2, {
    kind: "append",
    term: follower.core.term,
    prevIndex: index(3),
    prevTerm: follower.core.term,
    commit: index(3),
    entries: [],
  });
  follower.step(2, { ...heartbeat(2, 3), rest: true } as never);
  assert.equal(follower.core.atRest, true);
  outOf(follower);
  return follower;
}

describe("A group at rest (ADR 0016)", () => {
  it("sends nothing and needs no tick for an hour, and then takes the next entry as if it had worked all the time", () => {
    const { cluster, leader } = RestingCluster.atRest();
    for (const each of cluster.replicas.values()) assert.equal(each.core.nextDeadline, Number.POSITIVE_INFINITY);
    cluster.advance(HOUR_MS);
    assert.deepEqual(cluster.sent, []);
    const { term } = leader.core;
    leader.propose("b");
    cluster.settle();
    assert.equal(leader.core.commit, leader.core.lastIndex);
    cluster.advance(1_000);
    assert.deepEqual(
      [...cluster.replicas.values()].map((each) => [each.core.term, each.core.commit, each.core.atRest]),
      [
        [term, 3, true],
        [term, 3, true],
        [term, 3, true],
      ],
    );
  });

  it("wakes only for as long as there is something to say: one heartbeat and its answer for each follower after the last commit", () => {
    const { cluster, leader } = RestingCluster.atRest();
    leader.propose("b");
    cluster.advance(2_000);
    const beats = cluster.sent.filter(({ message }) => message.kind === "heartbeat");
    assert.equal(beats.length, 2);
    assert.ok(beats.every(({ message }) => message.kind === "heartbeat" && message.rest === true));
  });

  it("elects another leader within an election timeout of the last time that its leader's broker was heard", () => {
    const resting = RestingCluster.atRest();
    const { cluster } = resting;
    const lastHeard = cluster.now;
    cluster.isolate(1);
    cluster.at(1).crash();
    resting.silence();
    for (const id of [2, 3]) {
      const due = cluster.at(id).core.nextDeadline - lastHeard;
      assert.ok(due >= ELECTION_MIN_MS && due <= ELECTION_MAX_MS, `replica ${id} asks ${due} ms after it last heard`);
    }
    resting.silentSince = undefined;
    cluster.until(() => cluster.leaders().length === 1, 1_500);
    assert.ok(cluster.leader().id !== 1);
  });

  it("steps its leader down one timeout after a quorum was last heard to have heard it", () => {
    const resting = RestingCluster.atRest();
    const { cluster } = resting;
    const lastHeard = cluster.now;
    cluster.isolate(1);
    resting.silence();
    assert.equal(cluster.at(1).core.role, "leader");
    assert.ok(cluster.at(1).core.nextDeadline <= lastHeard + ELECTION_MAX_MS);
    cluster.advance(lastHeard + ELECTION_MAX_MS - cluster.now);
    assert.equal(cluster.at(1).core.role, "follower");
  });

  it("keeps its leader when one follower is not heard any more, which alone is sent heartbeats", () => {
    const leader = leadingAtRest();
    leader.core.restEnded(replica(2), leader.cluster.now);
    leader.pump();
    leader.cluster.advance(3_000);
    assert.equal(leader.core.role, "leader");
    const sent = outOf(leader);
    assert.ok(sent.length >= 29 && sent.every(({ to, message }) => to === 2 && message.kind === "heartbeat"), `${sent.length}`);
  });

  it("grants no votes to one that cannot hear the leader, for as long as the leader's broker is heard", () => {
    const follower = followingAtRest();
    follower.cluster.now += HOUR_MS;
    const asked = { kind: "preVote", term: 3, lastIndex: 9, lastTerm: 3, transfer: false, attempt: 1 } as never;
    follower.step(3, asked);
    assert.deepEqual(outOf(follower), []);
    follower.core.restEnded(replica(2), follower.cluster.now);
    follower.pump();
    follower.cluster.now += ELECTION_MIN_MS;
    follower.step(3, asked);
    assert.deepEqual(
      messagesOf(follower, "preVoteReply").map(({ granted }) => granted),
      [true],
    );
  });
});

describe("Whoever rests says when it does so no more", () => {
  it("a leader that steps down wakes its followers, in the term that is over", () => {
    const leader = leadingAtRest();
    const { term } = leader.core;
    leader.step(2, { kind: "voteReply", term: 9, granted: false, attempt: 1 } as never);
    assert.equal(leader.core.role, "follower");
    assert.deepEqual(
      outOf(leader).map(({ to, message }) => [to, message.kind, message.term]),
      [2, 3].map((to) => [to, "wake", term]),
    );
  });

  it("a follower whose leader stepped down asks for votes in time", () => {
    const follower = followingAtRest();
    follower.step(2, { kind: "wake", term: follower.core.term });
    assert.equal(follower.core.atRest, false);
    assert.ok(follower.core.nextDeadline <= follower.cluster.now + ELECTION_MAX_MS);
    assert.deepEqual(outOf(follower), [], "who says so knows");
  });

  it("a follower that takes a later term, finds a hole, or forgot something, tells its leader", () => {
    const reasons: Record<string, (follower: TestReplica) => void> = {
      term: (follower) => follower.step(3, heartbeat(7)),
      hole: (follower) => {
        follower.core.lastResort = true;
        follower.pump();
      },
      quarantine: (follower) => {
        follower.core.quarantine(follower.cluster.now);
        follower.pump();
      },
      gone: (follower) => {
        follower.core.peerGone(replica(2), follower.cluster.now);
        follower.pump();
      },
      transfer: (follower) => follower.step(2, { kind: "timeoutNow", term: follower.core.term }),
    };
    for (const [why, act] of Object.entries(reasons)) {
      const follower = followingAtRest();
      const { term } = follower.core;
      act(follower);
      assert.equal(follower.core.atRest, false, why);
      const told = outOf(follower).filter(({ to, message }) => to === 2 && message.kind === "wake" && message.term === term);
      assert.equal(told.length, 1, why);
    }
  });

  it("who leads no more and hears that its offer was taken says so, in the term that it was taken in", () => {
    const leader = leadingAtRest();
    const { term } = leader.core;
    const taken = { kind: "heartbeatReply", term, durable: leader.core.lastIndex, round: 0, resting: true } as const;
    // In the same term, having forgotten something, and in a later one.
    for (const deposed of [() => leader.core.quarantine(leader.cluster.now), () => leader.step(3, heartbeat(9))]) {
      deposed();
      leader.pump();
      leader.finishWrites();
      outOf(leader);
      leader.step(2, taken);
      assert.deepEqual(
        outOf(leader).map(({ to, message }) => [to, message.kind, message.term]),
        [[2, "wake", term]],
      );
      const { resting: _, ...awake } = taken;
      leader.step(2, awake);
      assert.deepEqual(outOf(leader), []);
    }
  });

  it("a follower whose leader asks for votes rests on it no more, whoever the vote is for", () => {
    for (const kind of ["vote", "preVote"] as const) {
      const follower = followingAtRest();
      const asks = { kind, term: kind === "vote" ? 3 : 2, attempt: 1, lastIndex: index(3), lastTerm: follower.core.term } as never;
      follower.step(3, asks);
      assert.equal(follower.core.atRest, true, "the leader's broker is heard");
      follower.step(2, asks);
      assert.equal(follower.core.atRest, false, kind);
      assert.ok(follower.core.nextDeadline <= follower.cluster.now + ELECTION_MAX_MS);
    }
  });

  /** All followers but the last take the offer of rest; the last answers in a later term, and that answer comes first. */
  function deposedBetweenOfferAndAnswer(ids: readonly number[]): TestCluster {
    // Brokers hear each other all the time: other groups rest on the same pairs.
    const cluster: TestCluster = TestCluster.of(ids, { contact: () => cluster.now, eagerCommit: false });
    const leader = cluster.elect(1);
    leader.propose("a");
    cluster.settle();
    const last = ids.at(-1) as number;
    // It had asked for votes and was passed over: the others heard the leader again.
    cluster.at(last).step(2, { kind: "voteReply", term: leader.core.term + 1, granted: false, attempt: 1 } as never);
    cluster.settle();
    cluster.now = leader.core.nextDeadline;
    leader.tick();
    const offers = cluster.queue.splice(0);
    assert.ok(offers.length === ids.length - 1 && offers.every(({ message }) => message.kind === "heartbeat"));
    for (const { from, to, message } of offers.reverse()) cluster.at(to).step(from, message);
    cluster.queue.sort((a, b) => Number(b.from === last) - Number(a.from === last));
    cluster.settle();
    return cluster;
  }

  it("a leader that is deposed between its offer and the answers leaves nobody that rests on it", () => {
    const five = deposedBetweenOfferAndAnswer([1, 2, 3, 4, 5]);
    five.advance(10_000);
    assert.equal(five.leaders().length, 1);
    const three = deposedBetweenOfferAndAnswer([1, 2, 3]);
    three.at(3).crash();
    three.advance(10_000);
    assert.equal(three.leaders().filter(({ up }) => up).length, 1);
  });

  it("a leader that is told sends a heartbeat at once: the other's election clock runs", () => {
    const leader = leadingAtRest();
    leader.cluster.now += HOUR_MS;
    leader.step(2, { kind: "wake", term: leader.core.term });
    leader.tick();
    assert.deepEqual(
      outOf(leader).map(({ to, message }) => [to, message.kind]),
      [[2, "heartbeat"]],
    );
  });

  it("word of another term is passed over", () => {
    const leader = leadingAtRest();
    for (const other of [leader.core.term - 1, leader.core.term + 1]) leader.step(2, { kind: "wake", term: other } as never);
    assert.equal(leader.core.atRest, true);
    assert.equal(leader.core.role, "leader");
    assert.deepEqual(outOf(leader), []);
  });

  it("a follower that has a hole by now is heard to say so, and rests no more", () => {
    const leader = leadingAtRest();
    answer(leader, 2, { impaired: "hole" });
    assert.equal(leader.core.progress(replica(2))?.barred, true);
    assert.equal(leader.core.atRest, false);
  });

  it("a heartbeat without the offer ends the rest of its follower: the leader thinks it awake", () => {
    const follower = followingAtRest();
    follower.step(2, heartbeat(2, 3));
    assert.equal(follower.core.atRest, false);
    assert.ok(follower.core.nextDeadline <= follower.cluster.now + ELECTION_MAX_MS);
  });
});

describe("A follower at rest", () => {
  const { term } = followingAtRest().core;
  const prev = { prevIndex: index(3), prevTerm: term, commit: index(3) };

  it("rests on when a question of before comes late, and answers it", () => {
    const follower = followingAtRest();
    follower.step(2, { kind: "append", term, ...prev, entries: [] });
    assert.equal(follower.core.nextDeadline, Number.POSITIVE_INFINITY);
    assert.equal(messagesOf(follower, "appendReply").length, 1);
  });

  it("waits for its leader's next word once an entry has come", () => {
    const follower = followingAtRest();
    follower.step(2, { kind: "append", term, ...prev, entries: [entryOf(4, term)] });
    assert.equal(follower.core.atRest, false);
    assert.ok(follower.core.nextDeadline <= follower.cluster.now + ELECTION_MAX_MS);
  });
});

describe("Rest is offered and taken only where nothing is left to say", () => {
  const offered = (leader: TestReplica): (true | undefined)[] => {
    leader.cluster.now += 100;
    leader.tick();
    return messagesOf(leader, "heartbeat").map(({ rest }) => rest);
  };

  it("not before all is committed, and not to who lacks something", () => {
    const leader = leading({ options: { contact: () => leader.cluster.now } });
    leader.finishWrites();
    outOf(leader);
    assert.deepEqual(offered(leader), [undefined, undefined]);
    leader.step(2, appendReply(leader.core.term, leader.core.lastIndex));
    assert.equal(leader.core.commit, leader.core.lastIndex);
    assert.deepEqual(offered(leader), [true, undefined]);
  });

  it("not to one that has everything while the quorum has not", () => {
    const leader = leading({ options: { contact: () => leader.cluster.now } });
    for (const follower of [2, 3]) leader.step(follower, appendReply(leader.core.term, leader.core.lastIndex));
    leader.finishWrites();
    leader.slowDisk = true;
    leader.propose("a");
    leader.step(2, appendReply(leader.core.term, leader.core.lastIndex));
    outOf(leader);
    assert.deepEqual([leader.core.progress(replica(2))?.match, leader.core.commit], [leader.core.lastIndex, 1]);
    assert.deepEqual(offered(leader), [undefined, undefined]);
  });

  it("not while a transfer is under way, nor to one that is held or is not what it should be", () => {
    const leader = leadingAtRest();
    leader.core.hold(replica(2), true);
    leader.pump();
    assert.deepEqual(offered(leader), [undefined]);
    leader.core.transfer(replica(3), leader.cluster.now);
    leader.pump();
    assert.deepEqual(offered(leader), [undefined, undefined]);
  });

  it("a broker of before there was rest never says that it does, and goes on to get heartbeats", () => {
    const leader = leading({ options: { contact: () => leader.cluster.now } });
    for (const follower of [2, 3]) leader.step(follower, appendReply(leader.core.term, leader.core.lastIndex));
    leader.finishWrites();
    answer(leader, 3);
    outOf(leader);
    for (let i = 0; i < 5; i++) {
      assert.deepEqual(offered(leader), [true]);
      answer(leader, 2, {});
    }
  });

  it("a follower takes it only with all that the leader has, durable and committed", () => {
    const cases: [string, Parameters<typeof lone>[0], number][] = [
      ["it has more", { log: [2, 2, 2], term: 2, commit: 2 }, 2],
      ["it has less", { log: [2, 2], term: 2, commit: 2 }, 3],
      ["it is in quarantine", { log: [2, 2], term: 2, commit: 2, quarantined: true }, 2],
    ];
    for (const [why, start, commit] of cases) {
      const follower = lone({ ...start, options: { contact: () => follower.cluster.now } });
      const { term, lastIndex } = follower.core;
      follower.step(2, {
        kind: "append",
        term,
        prevIndex: lastIndex,
        prevTerm: term,
        commit: index(Math.min(commit, lastIndex)),
        entries: [],
      });
      follower.step(2, { ...heartbeat(2, commit), rest: true } as never);
      assert.equal(follower.core.atRest, false, why);
      assert.ok(
        messagesOf(follower, "heartbeatReply").every(({ resting }) => resting === undefined),
        why,
      );
    }
  });

  it("a read at rest is confirmed by all, and they rest on", () => {
    const { cluster, leader } = RestingCluster.atRest();
    leader.readIndex(5);
    cluster.settle();
    assert.deepEqual(leader.reads.at(-1), { context: 5, index: leader.core.commit });
    assert.equal(leader.core.atRest, true);
    cluster.advance(1_000);
    assert.ok(cluster.sent.every(({ message }) => message.kind !== "wake"));
  });

  it("members that come are sent heartbeats, members that go are rested with no more", () => {
    const leader = leadingAtRest();
    leader.core.changeMembership({ voters: [1, 2, 3].map(replica), learners: [replica(4)] }, leader.cluster.now);
    leader.pump();
    assert.equal(leader.core.atRest, false);
    leader.cluster.now += 100;
    leader.tick();
    assert.ok(outOf(leader).some(({ to, message }) => to === 4 && message.kind === "heartbeat"));
  });

  it("without brokers to watch, every heartbeat goes", () => {
    const cluster = TestCluster.of([1, 2, 3]);
    cluster.elect(1);
    cluster.advance(1_000);
    cluster.sent = [];
    cluster.advance(1_000);
    assert.equal(cluster.sent.filter(({ message }) => message.kind === "heartbeat").length, 20);
  });
});
