import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Packet, TestCluster, type TestReplica } from "./harness.ts";

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

/** While the leader stands still, this one asks for votes, and has that of `voter`. @returns its question to replica 2, which is under way */
function hasTheVote(cluster: TestCluster, candidate: TestReplica, voter: TestReplica): Packet[] {
  const rest = [2, voter.id];
  cluster.now += 1_100;
  candidate.timeOut();
  for (const packet of take(cluster, ({ to }) => rest.includes(to))) cluster.deliver(packet);
  for (const packet of take(cluster, ({ to }) => to === candidate.id)) cluster.deliver(packet);
  const asked = take(cluster, ({ to, message }) => to === 2 && message.kind === "vote");
  between(cluster, candidate.id, voter.id);
  assert.deepEqual([candidate.core.role, asked.length, voter.disk.votedFor], ["candidate", 1, candidate.id]);
  cluster.queue = [];
  return asked;
}

/** Its disk does not know the vote, nor the term of it, any more. The leader goes on. */
function forgets(cluster: TestCluster, leader: TestReplica, forgetful: TestReplica): void {
  forgetful.forget(0);
  forgetful.restart();
  assert.deepEqual([forgetful.core.quarantined, forgetful.core.term], [true, leader.core.term]);
  leader.tick();
  leader.core.peerGone(forgetful.id, cluster.now);
  leader.core.peerBack(forgetful.id, cluster.now);
}

/** The former leader starts anew and asks for votes, as soon as the forgetful one knows that it was gone. */
function leadsAgain(cluster: TestCluster, leader: TestReplica, forgetful: TestReplica): void {
  leader.crash();
  leader.slowDisk = false;
  forgetful.core.peerGone(leader.id, cluster.now);
  leader.restart();
  leader.timeOut();
  between(cluster, leader.id, forgetful.id);
}

function leadersOf(cluster: TestCluster): string[] {
  return cluster.leaders().map(({ id, core }) => `${id} leads term ${core.term}`);
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
  assert.equal(leader.change([2, 3, 4]).kind, "accepted");
  for (const packet of take(cluster, ({ from }) => from === 3)) cluster.deliver(packet);
  for (const each of [first, second, forgetful]) assert.equal(each.core.configuration.old?.length, 3);
  const answer = take(cluster, ({ from, to, message }) => from === 2 && to === 3 && message.kind === "appendReply");
  cluster.queue = [];
  const asked = hasTheVote(cluster, first, forgetful);
  forgets(cluster, leader, forgetful);
  return { cluster, first, second, leader, forgetful, asked, answer };
}

/** The leader goes on, and hears these. */
function goesOn({ cluster, leader, forgetful }: Pick<Story, "cluster" | "leader" | "forgetful">, ...hears: readonly number[]): void {
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
    leadsAgain(cluster, leader, forgetful);
    assert.deepEqual(leadersOf(cluster), [`1 leads term ${first.core.term}`]);
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
    const asked = hasTheVote(cluster, comes, forgetful);
    forgets(cluster, leader, forgetful);
    // It has no room for the joint configuration.
    const deliver = cluster.deliver.bind(cluster);
    cluster.loses = ({ to, message }) => to === 2 && message.kind === "append";
    cluster.deliver = (packet) => {
      const { to, message } = packet;
      const first = message.kind === "append" ? message.entries[0] : undefined;
      if (to !== 3 || message.kind !== "append" || first === undefined) deliver(packet);
      else deliver({ ...packet, message: { ...message, entries: [], withheld: { index: first.index, term: first.term } } });
    };
    goesOn({ cluster, leader, forgetful }, 1, 2, 3);
    assert.equal(forgetful.core.configuration.old, undefined);
    second.core.peerGone(leader.id, cluster.now);
    for (const packet of asked) cluster.deliver(packet);
    between(cluster, 2, 4);
    assert.equal(comes.core.role, "leader");
    leadsAgain(cluster, leader, forgetful);
    assert.deepEqual(leadersOf(cluster), [`4 leads term ${comes.core.term}`]);
  });

  it("is not given again in its term when who has it goes on as a learner, and has not heard that this is committed", () => {
    const cluster = TestCluster.of([1, 2, 3], {}, [4]);
    const leader = cluster.elect(3);
    cluster.advance(300);
    const [first, second, forgetful] = [cluster.at(1), cluster.at(2), cluster.at(4)];
    // All have the last configuration, of which nobody has heard that it is committed; nor has the leader.
    cluster.loses = ({ message }) => message.kind === "heartbeat";
    assert.equal(leader.change([2, 3, 4], [1]).kind, "accepted");
    const joint = leader.core.configurationIndex;
    const passes = ({ from, message }: Packet): boolean => from === 3 || (message.kind === "appendReply" && message.durable <= joint);
    for (let packets = take(cluster, passes); packets.length > 0; packets = take(cluster, passes))
      for (const packet of packets) cluster.deliver(packet);
    for (const { core } of [first, second, forgetful]) assert.deepEqual([core.configuration.learners, core.commit], [[1], joint]);
    const answer = take(cluster, ({ from, to, message }) => from === 2 && to === 3 && message.kind === "appendReply");
    cluster.queue = [];
    cluster.heal();
    const asked = hasTheVote(cluster, first, forgetful);
    forgets(cluster, leader, forgetful);
    for (const packet of answer) cluster.deliver(packet);
    goesOn({ cluster, leader, forgetful }, 2, 3, 4);
    assert.equal(forgetful.core.commit, leader.core.lastIndex);
    second.core.peerGone(leader.id, cluster.now);
    for (const packet of asked) cluster.deliver(packet);
    between(cluster, 1, 2);
    leadsAgain(cluster, leader, forgetful);
    assert.deepEqual(leadersOf(cluster), [`1 leads term ${first.core.term}`]);
  });
});
