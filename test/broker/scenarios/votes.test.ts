import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { GroupId, LogIndex, ReplicaId, Term } from "../../../src/base/ids.ts";
import { Cluster } from "../harness.ts";
import * as stubs from "../stubs.ts";
import { overhear, toldTerm } from "./overheard.ts";
import { Puppet } from "./puppet.ts";

const SLOW_MS = 40;

/** Three brokers with one partition, led by `leader`; the other two have slow disks, so that what is not awaited can be seen to be missing. */
async function contest(seed: number) {
  const cluster = await Cluster.start({ seed });
  await cluster.createTopic("t");
  const group = await cluster.groupOf("t", 0);
  const leader = await cluster.leaderOf("t", 0);
  const others = cluster.numbers.filter((n) => n !== leader);
  await cluster.pass(500);
  const replicaOf = new Map(cluster.numbers.map((n) => [n, cluster.replica(n, group)?.id as ReplicaId]));
  const { clusterId } = await cluster.call(1, stubs.DescribeCluster, {});
  for (const n of others) cluster.disk(n).platterMs = SLOW_MS;
  const seat = (n: number) => ({ broker: n, group, replica: replicaOf.get(n) as ReplicaId });
  return { cluster, group, leader, others, clusterId, seat };
}

const roleOf = (cluster: Cluster, n: number, group: GroupId) => cluster.replica(n, group)?.core.role;
const termOf = (cluster: Cluster, n: number, group: GroupId) => cluster.replica(n, group)?.core.term as Term;

// FS1 and R7.
describe("Whole brokers, killed while they vote", () => {
  for (const seed of [1, 2, 3]) {
    it(`scenario 5: a broker whose power goes right after its vote left does not vote for the rival (seed ${seed})`, async () => {
      const { cluster, group, leader, others, clusterId, seat } = await contest(seed);
      cluster.powerCut(leader);
      // With the voter's answer the candidate has its majority: in that very moment the answer has just arrived.
      await cluster.until(() => others.some((n) => roleOf(cluster, n, group) === "leader"), "the vote reply arrives");
      const candidate = others.find((n) => roleOf(cluster, n, group) === "leader") as number;
      const voter = others.find((n) => n !== candidate) as number;
      const term = termOf(cluster, candidate, group);
      cluster.powerCut(voter);
      cluster.powerCut(candidate);

      cluster.disk(voter).platterMs = 0;
      cluster.boot(voter);
      await cluster.until(() => cluster.replica(voter, group) !== undefined, "the voter is back");
      const rival = await Puppet.start(cluster, leader, voter, clusterId, seat(leader));
      const again = await Puppet.start(cluster, candidate, voter, clusterId, seat(candidate));
      // As good a log as any, and flagged as a transfer: nothing but the vote that was given can speak against it.
      const ask = (of: Puppet, inTerm: Term, attempt: number) => {
        const reply = of.next("voteReply");
        of.send(seat(voter), {
          kind: "vote",
          term: inTerm,
          lastIndex: 1_000_000 as LogIndex,
          lastTerm: (term - 1) as Term,
          attempt,
          transfer: true,
        });
        return reply;
      };
      assert.deepEqual(await ask(rival, term, 71), { kind: "voteReply", term, granted: false, attempt: 71 });
      // The one it voted for may ask again, and the rival may in the next term.
      assert.deepEqual(await ask(again, term, 72), { kind: "voteReply", term, granted: true, attempt: 72 });
      const next = (term + 1) as Term;
      assert.deepEqual(await ask(rival, next, 73), { kind: "voteReply", term: next, granted: true, attempt: 73 });
      cluster.close();
    });
  }

  for (const [seed, afterMs, cut] of [
    [1, 0, "powerCut"],
    [2, 15, "powerCut"],
    [3, 30, "kill"],
  ] as const) {
    it(`scenario 6: no message of a term leaves a candidate that dies before the term is durable (${afterMs} ms after, ${cut})`, async () => {
      const { cluster, group, leader, others } = await contest(seed);
      const overheard = overhear(cluster, group);
      cluster.powerCut(leader);
      await cluster.until(() => others.some((n) => roleOf(cluster, n, group) === "candidate"), "a candidate");
      const candidate = others.find((n) => roleOf(cluster, n, group) === "candidate") as number;
      const term = termOf(cluster, candidate, group);
      await cluster.pass(afterMs);
      cluster[cut](candidate);
      await cluster.pass(200);
      const told = overheard.filter((one) => one.from === candidate).map(toldTerm);
      assert.ok(told.every((each) => each === undefined || each < term));
      assert.ok(told.includes(undefined), "it asked for pre-votes");

      // The same again, undisturbed: then the term is told, so it can be heard.
      for (const n of others) cluster.disk(n).platterMs = 0;
      await cluster.restart(candidate);
      await cluster.until(() => cluster.serving(group) !== undefined, "a leader");
      assert.ok(overheard.some((one) => one.message.kind === "vote" && (toldTerm(one) ?? 0) >= term));
      cluster.close();
    });
  }

  it("scenario 6: a term heard from a candidate is told to nobody before it is durable", async () => {
    const { cluster, group, leader, others } = await contest(4);
    const overheard = overhear(cluster, group);
    const before = Math.max(...cluster.numbers.map((n) => termOf(cluster, n, group)));
    cluster.powerCut(leader);
    const asked = () => overheard.find((one) => one.message.kind === "vote");
    await cluster.until(() => asked() !== undefined, "a vote is asked for");
    const voter = asked()?.to === leader ? others.find((n) => n !== asked()?.from) : asked()?.to;
    assert.ok(voter !== undefined);
    await cluster.until(() => termOf(cluster, voter, group) > before, "the voter heard of the term");
    await cluster.pass(SLOW_MS - 10);
    cluster.powerCut(voter);
    await cluster.pass(200);
    assert.ok(overheard.every((one) => one.from !== voter || (toldTerm(one) ?? 0) <= before));
    await cluster.restart(voter);
    cluster.close();
  });
});
