import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { crc32c } from "../../../src/base/crc32c.ts";
import { type LogIndex, METADATA_GROUP, NO_PRODUCER, type ReplicaId, type Term } from "../../../src/base/ids.ts";
import { Acks } from "../../../src/protocol/public.ts";
import { makeFrame } from "../../../src/records/frame.ts";
import { Codec, type Frame, FrameType, PayloadFormat } from "../../../src/records/frame-types.ts";
import { Cluster, recordSet } from "../harness.ts";
import * as stubs from "../stubs.ts";
import { type Overheard, overhear, overhearBeats } from "./overheard.ts";
import { Puppet, type Seat } from "./puppet.ts";

const SYNC_MS = 3_000;

// FS7 and L13: nothing counts before its own sync has returned.
describe("Whole brokers with a slow disk", () => {
  for (const seed of [1, 2]) {
    it(`scenario 25: while the leader's sync takes 3 s its heartbeats go out, others commit and nobody campaigns (seed ${seed})`, async () => {
      const cluster = await Cluster.start({ seed });
      await cluster.createTopic("t");
      const group = await cluster.groupOf("t", 0);
      const leader = await cluster.leaderOf("t", 0);
      await cluster.moveController(leader);
      const produce = (value: string, acks: (typeof Acks)["all" | "quorum"]) =>
        cluster
          .ask(leader, stubs.Produce, { topic: "t", records: recordSet([value]), acks })
          .then((answer) => ({ answer, at: cluster.world.now }));
      await cluster.settle(produce("before", Acks.all));
      const data = overhear(cluster, group);
      const others = cluster.numbers.filter((n) => n !== leader);
      const beats = new Map(others.map((to) => [to, overhearBeats(cluster, leader, to)]));

      cluster.disk(leader).platterMs = SYNC_MS;
      const began = cluster.world.now;
      const all = produce("all", Acks.all);
      const quorum = produce("quorum", Acks.quorum);
      await cluster.pass(1);
      cluster.disk(leader).platterMs = 0;
      const committed = await cluster.settle(quorum);
      assert.ok(committed.at - began < 100, "the other two are a majority");
      assert.deepEqual(
        [...committed.answer.durableBrokerIds].sort(),
        cluster.numbers.filter((n) => n !== leader),
      );
      const everywhere = await cluster.settle(all);
      assert.ok(everywhere.at - began >= SYNC_MS, "the leader counts itself only after its own sync");
      assert.deepEqual([...everywhere.answer.durableBrokerIds].sort(), cluster.numbers);

      const during = data.filter(({ at }) => at >= began && at <= everywhere.at);
      for (const to of others) {
        const silence = longestSilence(during, beats.get(to) ?? [], leader, to, began, everywhere.at);
        assert.ok(silence < 250, `heartbeats to broker ${to} do not wait for the disk`);
      }
      assert.ok(
        during.every(({ message }) => !["preVote", "vote"].includes(message.kind)),
        "nobody asks for votes",
      );
      assert.equal(cluster.serving(group), leader);
      assert.equal(cluster.controller, leader);
      const after = cluster.world.now;
      assert.ok((await cluster.settle(produce("after", Acks.all))).at - after < 50, "acknowledgements are quick again");
      cluster.close();
    });
  }

  it("scenario 25: a leader whose disk stays slow makes no storm: its term stays, and all it took is acknowledged", async () => {
    const cluster = await Cluster.start({ seed: 3 });
    await cluster.createTopic("t");
    const group = await cluster.groupOf("t", 0);
    const leader = await cluster.leaderOf("t", 0);
    await cluster.moveController(leader);
    const data = overhear(cluster, group);
    const metadata = cluster.replica(leader, METADATA_GROUP)?.core.term;
    cluster.disk(leader).platterMs = SYNC_MS;
    const values = Array.from({ length: 40 }, (_, i) => `value ${i}`);
    const answers: Promise<unknown>[] = [];
    for (const value of values) {
      const via = cluster.numbers[answers.length % 3] as number;
      answers.push(cluster.ask(via, stubs.Produce, { topic: "t", records: recordSet([value]), acks: Acks.all }, { timeoutMs: 30_000 }));
      await cluster.pass(500);
    }
    await cluster.settle(Promise.all(answers));
    assert.ok(
      data.every(({ message }) => !["preVote", "vote"].includes(message.kind)),
      "nobody asks for votes",
    );
    assert.equal(cluster.replica(leader, METADATA_GROUP)?.core.term, metadata);
    cluster.disk(leader).platterMs = 0;
    assert.deepEqual((await cluster.values("t")).sort(), [...values].sort());
    cluster.close();
  });

  // One block of the write-ahead log takes 300 ms. Three follow each other, whether the third leader comes during the first or the second.
  for (const [seed, thirdAfterMs, durableAfterMs] of [
    [1, 20, 820],
    [2, 320, 520],
    [3, 20, 820],
    [4, 320, 520],
  ] as const) {
    it(`scenario 31: an index overwritten by two later leaders is claimed for the last one only when that one's entry is durable (third leader after ${thirdAfterMs} ms, seed ${seed})`, async () => {
      const cluster = await Cluster.start({ seed });
      await cluster.createTopic("t");
      const group = await cluster.groupOf("t", 0);
      const [follower = 0, a = 0, b = 0] = cluster.numbers;
      const id = (n: number) => cluster.replica(n, group)?.id as ReplicaId;
      const [seatOfA, seatOfB] = [a, b].map((n) => ({ group, replica: id(n) })) as [Seat, Seat];
      const to = { broker: follower, replica: id(follower) };
      const { clusterId } = await cluster.call(1, stubs.DescribeCluster, {});
      await cluster.call(1, stubs.Produce, { topic: "t", records: recordSet(["agreed"]), acks: Acks.all });
      await cluster.pass(1_000);
      cluster.kill(a);
      cluster.kill(b);

      // Three leaders in turn, each with an entry of its own at the same index, faster than the follower's disk.
      const replica = cluster.replica(follower, group);
      assert.ok(replica !== undefined);
      const { core, log } = replica;
      const index = (core.lastIndex + 1) as LogIndex;
      const previous = { prevIndex: core.lastIndex, prevTerm: core.termAt(core.lastIndex) as Term, commit: core.commit };
      const place = { groupId: group, index, baseOffset: log.endOffset, appendTime: log.lastAppendTime };
      const terms = [1, 2, 3].map((later) => (core.term + later) as Term);
      const third = terms[2] as Term;
      const valueOf = (term: Term) => `term ${term} `.padEnd(700_000, "x");
      const claims: { at: number; term: number; durable: number }[] = [];
      const hear = ({ message }: { message: Overheard["message"] }) => {
        if (message.kind === "appendReply" || message.kind === "heartbeatReply")
          claims.push({ at: cluster.world.now, term: message.term, durable: message.durable });
      };
      const first = await Puppet.start(cluster, a, follower, clusterId, seatOfA, hear);
      const second = await Puppet.start(cluster, b, follower, clusterId, seatOfB, hear);
      assert.equal(core.term, (terms[0] as number) - 1, "nobody was elected meanwhile");
      cluster.disk(follower).platterMs = 300;
      const lead = async (of: Puppet, term: Term) => {
        const frame = frameOf(valueOf(term), { ...place, term });
        // The term is heard of first, and two such entries do not fit one block: so term and entry become durable one after the other.
        of.send(to, { kind: "heartbeat", term, commit: previous.commit, round: 0 });
        const entries = [{ index, term, type: frame.type, bytes: frame.bytes.byteLength, payload: frame }];
        of.send(to, { kind: "append", term, ...previous, entries }, [frame]);
        await cluster.until(() => core.termAt(index) === term, `the entry of term ${term} is taken`);
      };
      await lead(first, terms[0] as Term);
      await cluster.pass(10);
      await lead(second, terms[1] as Term);
      await cluster.pass(thirdAfterMs);
      await lead(first, third);
      const taken = cluster.world.now;

      // Its leader asks on and on how far it is.
      const claimed = () => claims.some(({ durable }) => durable >= index);
      for (let round = 1; round < 100 && !claimed(); round++) {
        first.send(to, { kind: "heartbeat", term: third, commit: previous.commit, round });
        await cluster.world.scheduler.run(cluster.world.now + 20, claimed);
      }
      assert.ok(claimed(), "the follower claims the index");
      assert.ok(cluster.world.now - taken >= durableAfterMs, `claimed after ${cluster.world.now - taken} ms`);
      assert.deepEqual([...new Set(claims.filter(({ durable }) => durable >= index).map(({ term }) => term))], [third]);
      // What is claimed is there, even when the power goes that very moment.
      cluster.powerCut(follower);
      cluster.disk(follower).platterMs = 0;
      cluster.boot(follower);
      await cluster.until(() => cluster.replica(follower, group) !== undefined, "the follower is back");
      assert.equal(cluster.replica(follower, group)?.core.termAt(index), third);
      const read = await cluster.settle(Promise.resolve(cluster.replica(follower, group)?.log.read(index, 1_000_000, index)));
      assert.ok(read?.kind === "frames");
      assert.equal(read.frames[0]?.payloadCrc, frameOf(valueOf(third), { ...place, term: third }).payloadCrc);
      cluster.close();
    });
  }
});

/** Longest time without a heartbeat or append from one broker to another, or a beat that stands for them. */
function longestSilence(
  messages: readonly Overheard[],
  beats: readonly number[],
  from: number,
  to: number,
  began: number,
  ended: number,
): number {
  const spoken = messages
    .filter((one) => one.from === from && one.to === to && ["heartbeat", "append"].includes(one.message.kind))
    .map(({ at }) => at);
  const times = [...spoken, ...beats.filter((at) => at >= began && at <= ended)].sort((a, b) => a - b);
  return Math.max(...[...times, ended].map((at, i) => at - (times[i - 1] ?? began)));
}

function frameOf(value: string, place: Parameters<typeof makeFrame>[1]): Frame {
  const payload = recordSet([value], 1);
  const draft = {
    type: FrameType.data,
    format: PayloadFormat.records,
    codec: Codec.none,
    recordCount: 1,
    firstTimestamp: 1,
    maxTimestamp: 1,
    producerId: NO_PRODUCER,
    producerEpoch: 0,
    baseSequence: -1,
    payloadCrc: crc32c(payload),
    payload,
  };
  return makeFrame(draft, place);
}
