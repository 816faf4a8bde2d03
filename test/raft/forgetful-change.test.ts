import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Packet, replica, TestCluster, type TestReplica } from "./harness.ts";

/** Takes the packets on their way for which this holds, in order. */
function take(cluster: TestCluster, which: (packet: Packet) => boolean): Packet[] {
  const taken = cluster.queue.filter(which);
  cluster.queue = cluster.queue.filter((packet) => !which(packet));
  return taken;
}

/** Delivers what goes between these, and what follows from it between them; all else that is on its way stays there. */
function between(cluster: TestCluster, ...ids: readonly number[]): void {
  const inside = ({ from, to }: Packet): boolean => ids.includes(from) && ids.includes(to);
  for (let packets = take(cluster, inside); packets.length > 0; packets = take(cluster, inside))
    for (const packet of packets) cluster.deliver(packet);
}

interface Story {
  readonly cluster: TestCluster;
  /** Is to vote no more; has the forgotten vote. Its question to `second` is `asked`. */
  readonly first: TestReplica;
  readonly second: TestReplica;
  /** Led the change, in the term before. It stands still, and `answer` to it was not read. */
  readonly leader: TestReplica;
  /** Voted for `first`, and has just started on a disk that does not know it. */
  readonly forgetful: TestReplica;
  readonly asked: readonly Packet[];
  readonly answer: readonly Packet[];
}

/** Replica 3 exchanges voter 1 for 4, and stands still when all have the joint configuration. Replica 1 asks for votes; that of replica 4 is forgotten. */
function forgottenVote(): Story {
  const cluster = TestCluster.of([1, 2, 3], {}, [4]);
  const leader = cluster.elect(3);
  cluster.advance(300);
  const [first, second, forgetful] = [cluster.at(1), cluster.at(2), cluster.at(4)];
  const inTerm = leader.core.term;
  assert.equal(leader.change([2, 3, 4]).kind, "accepted");
  for (const packet of take(cluster, ({ from }) => from === 3)) cluster.deliver(packet);
  for (const each of [first, second, forgetful]) assert.equal(each.core.configuration.old?.length, 3);
  const answer = take(cluster, ({ from, to, message }) => from === 2 && to === 3 && message.kind === "appendReply");
  cluster.queue = [];
  cluster.now += 1_100;
  first.tick();
  for (const packet of take(cluster, ({ to }) => to !== 3)) cluster.deliver(packet);
  for (const packet of take(cluster, ({ to }) => to === 1)) cluster.deliver(packet);
  const asked = take(cluster, ({ to, message }) => to === 2 && message.kind === "vote");
  between(cluster, 1, 4);
  assert.deepEqual([first.core.role, asked.length, forgetful.disk.votedFor], ["candidate", 1, replica(1)]);
  cluster.queue = [];
  forgetful.forget(0);
  forgetful.restart();
  assert.deepEqual([forgetful.core.quarantined, forgetful.core.term], [true, inTerm]);
  leader.core.peerGone(forgetful.id, cluster.now);
  leader.core.peerBack(forgetful.id, cluster.now);
  return { cluster, first, second, leader, forgetful, asked, answer };
}

/** The leader goes on, and hears these. */
function goesOn({ cluster, leader, forgetful }: Story, ...hears: readonly number[]): void {
  for (let beats = 0; beats < 5; beats++) {
    cluster.now += 100;
    for (const each of [leader, forgetful]) each.tick();
    between(cluster, ...hears);
  }
}

// Scenario 16
describe("A vote that was forgotten while the voters are exchanged", () => {
  it("is not given again in its term, though the newest configuration leaves out who has it", () => {
    const story = forgottenVote();
    const { cluster, first, second, leader, forgetful, asked, answer } = story;
    // Replica 2 tells its term, and does not get the last configuration.
    cluster.loses = ({ to, message }) => to === 2 && message.kind === "append";
    for (const packet of answer) cluster.deliver(packet);
    goesOn(story, 2, 3, 4);
    assert.equal(forgetful.core.configuration.old, undefined);
    assert.equal(second.core.configuration.old?.length, 3);
    second.core.peerGone(leader.id, cluster.now);
    for (const packet of asked) cluster.deliver(packet);
    between(cluster, 1, 2);
    assert.equal(first.core.role, "leader");
    leader.crash();
    forgetful.core.peerGone(leader.id, cluster.now);
    leader.restart();
    leader.timeOut();
    between(cluster, 3, 4);
    const led = cluster.leaders().map(({ id, core }) => `${id} leads term ${core.term}`);
    assert.deepEqual(led, [`1 leads term ${first.core.term}`]);
    assert.equal(forgetful.core.quarantined, true);
    cluster.heal();
    cluster.until(() => !forgetful.core.quarantined, 5_000);
    assert.ok(forgetful.core.term >= first.core.term);
  });

  it("is not asked for any more once the configuration that leaves out who has it is committed", () => {
    const story = forgottenVote();
    const { cluster, leader, forgetful, answer } = story;
    cluster.isolate(1);
    for (const packet of answer) cluster.deliver(packet);
    goesOn(story, 2, 3, 4);
    assert.equal(leader.core.commit, leader.core.lastIndex);
    assert.equal(forgetful.core.quarantined, false);
  });

  it("is not given again in its term to who lost the change, though the configuration in force knows who has it for a learner only", () => {
    const cluster = TestCluster.of([1, 2, 3], {}, [4]);
    const leader = cluster.elect(1);
    cluster.advance(300);
    const [second, forgetful, comes] = [cluster.at(2), cluster.at(3), cluster.at(4)];
    // Only replica 4 gets the joint configuration: not even the leader's disk has it.
    leader.slowDisk = true;
    cluster.loses = ({ to, message }) => to !== 4 && message.kind === "append";
    assert.equal(leader.change([1, 2, 4]).kind, "accepted");
    cluster.settle();
    assert.equal(comes.core.configuration.old?.length, 3);
    cluster.now += 1_100;
    comes.timeOut();
    for (const packet of take(cluster, ({ to }) => to !== 1)) cluster.deliver(packet);
    for (const packet of take(cluster, ({ to }) => to === 4)) cluster.deliver(packet);
    const asked = take(cluster, ({ to, message }) => to === 2 && message.kind === "vote");
    between(cluster, 3, 4);
    assert.deepEqual([comes.core.role, asked.length, forgetful.disk.votedFor], ["candidate", 1, replica(4)]);
    cluster.queue = [];
    forgetful.forget(0);
    forgetful.restart();
    leader.tick();
    leader.core.peerGone(forgetful.id, cluster.now);
    leader.core.peerBack(forgetful.id, cluster.now);
    // It has no room for the joint configuration.
    const deliver = cluster.deliver.bind(cluster);
    cluster.loses = ({ to, message }) => to === 2 && message.kind === "append";
    cluster.deliver = (packet) => {
      const { to, message } = packet;
      const first = message.kind === "append" ? message.entries[0] : undefined;
      if (to !== 3 || message.kind !== "append" || first === undefined) deliver(packet);
      else deliver({ ...packet, message: { ...message, entries: [], withheld: { index: first.index, term: first.term } } });
    };
    for (let beats = 0; beats < 5; beats++) {
      cluster.now += 100;
      for (const each of [leader, forgetful]) each.tick();
      between(cluster, 1, 2, 3);
    }
    assert.equal(forgetful.core.configuration.old, undefined);
    second.core.peerGone(leader.id, cluster.now);
    for (const packet of asked) cluster.deliver(packet);
    between(cluster, 2, 4);
    assert.equal(comes.core.role, "leader");
    leader.crash();
    leader.slowDisk = false;
    forgetful.core.peerGone(leader.id, cluster.now);
    leader.restart();
    leader.timeOut();
    between(cluster, 1, 3);
    const led = cluster.leaders().map(({ id, core }) => `${id} leads term ${core.term}`);
    assert.deepEqual(led, [`4 leads term ${comes.core.term}`]);
  });
});
