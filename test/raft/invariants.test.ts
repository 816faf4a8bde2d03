import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { replica, TestCluster, type TestReplica } from "./harness.ts";
import { Invariants } from "./invariants.ts";
import { append, appendReply, heartbeat } from "./lone.ts";

/** Replica 1 leads, all is committed everywhere; what is planted from here on is judged. */
function judged(ids: readonly number[] = [1, 2, 3]): { leader: TestReplica; check: () => void } {
  const cluster = TestCluster.of(ids);
  const invariants = new Invariants(cluster);
  cluster.onReady = (of, ready) => invariants.onReady(of, ready);
  const check = (): void => {
    for (const each of cluster.replicas.values()) invariants.check(each);
  };
  const leader = cluster.elect(1);
  cluster.advance(300);
  check();
  assert.equal(invariants.committed.length, 1);
  for (const id of ids) cluster.isolate(id);
  return { leader, check };
}

describe("What judges the storm", () => {
  it("says R8 of a leader that counts an entry that its majority does not hold", () => {
    const { leader } = judged();
    leader.propose("a");
    assert.throws(() => leader.step(2, appendReply(leader.core.term, 2)), /R8: entry 2@1 is committed by 1 and durable only on 1 of 1,2,3/);
  });

  it("says R8 of a leader that counts an entry in the new majority only, before it leaves the joint configuration", () => {
    const { leader } = judged([1, 2, 3, 4, 5]);
    assert.equal(leader.change([1, 2]).kind, "accepted");
    const joint = leader.core.configurationIndex;
    const two = leader.cluster.at(2);
    for (const { to, message } of leader.cluster.sent) if (to === 2 && message.kind === "append") two.step(1, message);
    assert.equal(two.disk.entries.length, joint);
    for (const id of [2, 3]) leader.core.step(replica(id), appendReply(leader.core.term, joint), leader.cluster.now);
    assert.equal(leader.core.commit, joint);
    assert.throws(() => leader.pump(), /R8: entry 2@1 is committed by 1 and durable only on 1,2 of 1,2,3,4,5/);
  });

  it("says R8 of a follower that commits what no leader has", () => {
    const { leader, check } = judged();
    const follower = leader.cluster.at(2);
    leader.propose("a");
    const entry = leader.log[1];
    assert.ok(entry !== undefined);
    follower.step(1, append(leader.core.term, 1, 1, [entry], 1));
    check();
    follower.step(1, heartbeat(leader.core.term, 2));
    assert.throws(check, /R8: 2 commits entry 2@1, which no leader has committed/);
  });

  it("says R1 of a follower that commits another entry than the leader did", () => {
    const { leader, check } = judged();
    leader.cluster.heal();
    leader.propose("a");
    leader.cluster.advance(300);
    check();
    const follower = leader.cluster.at(3);
    assert.equal(follower.core.commit, 2);
    follower.restart();
    follower.syncedCommit = 0;
    follower.log = follower.log.map((entry) => (entry.index === 2 ? { ...entry, payload: "b" } : entry));
    follower.step(1, heartbeat(leader.core.term, 0));
    follower.step(1, append(leader.core.term, 2, leader.core.term, [], 2));
    assert.throws(check, /R1: 3 commits another entry 2/);
  });
});
