import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { defaultTimings } from "../../src/base/broker-config.ts";
import { MillraceError } from "../../src/base/errors.ts";
import { Acks } from "../../src/protocol/public.ts";
import { errorOf } from "../../src/protocol/rpc-status.ts";
import { Cluster, recordSet, valuesOf } from "./harness.ts";
import * as rpc from "./stubs.ts";

/** "At most forward.wait.ms" (design §8), and the turns around it. */
const HOLD_MS = defaultTimings.forwardWaitMs + 100;
/** Evidence of death, an election and its no-op, at worst. */
const CONTROLLER_MS = 4_000;

const roles = [
  { dead: "the leader", leader: 1, controller: 2, victim: 1 },
  { dead: "the controller", leader: 1, controller: 2, victim: 2 },
  { dead: "leader and controller in one", leader: 3, controller: 3, victim: 3 },
  { dead: "a follower", leader: 1, controller: 2, victim: 3 },
] as const;

/** Other orders of the same events; 2000 and 7000 once met a peer whose connections were only half up. */
const SEEDS = [700, 2_000, 7_000];

interface Outcome<T> {
  readonly answer: T | undefined;
  readonly error: unknown;
  readonly tookMs: number;
}

function outcomeOf<T>(cluster: Cluster, call: Promise<T>): Promise<Outcome<T>> {
  const begun = cluster.world.now;
  return call.then(
    (answer) => ({ answer, error: undefined, tookMs: cluster.world.now - begun }),
    (error: unknown) => ({ answer: undefined, error, tookMs: cluster.world.now - begun }),
  );
}

/** Answered, or refused with a typed error that says that nothing was written; in time. */
function checkRead<T>(what: string, { answer, error, tookMs }: Outcome<T>, withinMs: number): T {
  assert.equal(error, undefined, `${what}: ${String(error)}`);
  assert.ok(tookMs <= withinMs, `${what} took ${tookMs} ms`);
  assert.ok(answer !== undefined);
  return answer;
}

for (const { dead, leader, controller, victim } of roles) {
  describe(`With ${dead} dead`, () => {
    const places = [1, 2, 3].filter((n) => n !== victim).flatMap((via) => SEEDS.map((seed) => ({ via, seed })));
    for (const { via, seed } of places) {
      it(`every RPC on broker ${via} answers in time and says the truth (seed ${seed})`, async () => {
        const cluster = await Cluster.start({ seed: seed + 10 * victim + via });
        await cluster.createTopic("t", 2);
        await cluster.createTopic("doomed");
        await cluster.createTopic("altered");
        for (const partition of [0, 1]) await cluster.moveLeader("t", partition, leader);
        await cluster.moveController(controller);
        const { producerId } = await cluster.call(via, rpc.InitProducer, {});
        await cluster.call(via, rpc.Produce, { topic: "t", records: recordSet(["before"]), producerId, baseSequence: 0 });
        const live = cluster.subscribe(via, { topic: "t", partitions: [{ partition: 0, offset: 0 }] });
        await live.has(0, 1);
        const stream = cluster.produceStream(via);
        await cluster.pass(20);

        cluster.kill(victim);
        // Everything at once, while nobody knows yet.
        const ask = <In, Out>(stub: rpc.Rpc<In, Out>, input: In): Promise<Outcome<Out>> =>
          outcomeOf(cluster, cluster.ask(via, stub, input));
        const reads = {
          fetch: ask(rpc.Fetch, { topic: "t", partition: 0 }),
          offsets: ask(rpc.ListOffsets, { topic: "t" }),
          describe: ask(rpc.DescribeTopics, { names: ["t"] }),
          cluster: ask(rpc.DescribeCluster, {}),
          health: ask(rpc.GetClusterHealth, {}),
          list: ask(rpc.ListTopics, {}),
        };
        const writes = {
          init: ask(rpc.InitProducer, {}),
          create: ask(rpc.CreateTopic, { name: "made", replicas: 1 }),
          alter: ask(rpc.AlterTopic, { name: "altered", set: new Map([["acks.min", "QUORUM"]]) }),
          remove: ask(rpc.DeleteTopic, { name: "doomed" }),
        };
        const produced = ask(rpc.Produce, { topic: "t", partition: 1, records: recordSet(["plain"]), acks: Acks.quorum });
        const sequenced = { topic: "t", records: recordSet(["sequenced"]), producerId, baseSequence: 1 };
        const first = ask(rpc.Produce, sequenced);
        const batches = [1, 2].map((id) => ({
          correlationId: id,
          request: { topic: "t", partition: 1, records: recordSet([`stream ${id}`]) },
        }));
        stream.send({ batches });

        const fetched = checkRead(
          "Fetch",
          await cluster.settle(retriedOnce(cluster, reads.fetch, () => ask(rpc.Fetch, { topic: "t" }))),
          HOLD_MS,
        );
        assert.equal(valuesOf(fetched.batches)[0], "before");
        const offsets = checkRead("ListOffsets", await cluster.settle(reads.offsets), HOLD_MS);
        for (const { error } of offsets.partitions) {
          if (error !== undefined) assert.ok(errorOf(error)?.retriable, error.message);
        }
        checkRead("DescribeTopics", await cluster.settle(reads.describe), HOLD_MS);
        assert.equal(checkRead("DescribeCluster", await cluster.settle(reads.cluster), HOLD_MS).answeredBy, via);
        const health = checkRead("GetClusterHealth", await cluster.settle(reads.health), CONTROLLER_MS);
        assert.equal(health.healthy, false);
        assert.ok(health.reasons.some(({ code, text }) => code === "BROKER_DOWN" && text.includes(String(victim))));
        const { topics } = checkRead("ListTopics", await cluster.settle(reads.list), CONTROLLER_MS);
        assert.ok(topics.some(({ name }) => name === "t"));

        // The metadata: done, or refused knowing, or told that the controller changed in the middle (then describing shows it).
        const init = await cluster.settle(writes.init);
        checkWrite("InitProducer", init, CONTROLLER_MS);
        for (const [what, outcome] of [
          ["CreateTopic", await cluster.settle(writes.create)],
          ["AlterTopic", await cluster.settle(writes.alter)],
          ["DeleteTopic", await cluster.settle(writes.remove)],
        ] as const) {
          checkWrite(what, outcome, CONTROLLER_MS);
          // Only a command that was on its way to the dead controller may be unknown.
          if (victim !== controller) assert.equal(outcome.error, undefined, `${what}: ${String(outcome.error)}`);
        }

        const plain = await cluster.settle(produced);
        checkWrite("Produce", plain, victim === leader ? HOLD_MS + 1_000 : HOLD_MS);
        const original = await cluster.settle(first);
        checkWrite("Produce with a producer id", original, victim === leader ? HOLD_MS + 1_000 : HOLD_MS);
        const results = await stream.answered(2);
        const retried = await cluster.call(via, rpc.Produce, sequenced, { timeoutMs: 9_000 });
        if (original.answer !== undefined) assert.equal(retried.duplicate, true);

        // Asked again a moment later, all of it works.
        const leaderNow = await cluster.leaderOf("t", 0);
        assert.notEqual(leaderNow, victim);
        const moved = cluster.alive.find((n) => n !== leaderNow) ?? 0;
        const transferred = await cluster.call(via, rpc.TransferLeader, { topic: "t", partition: 0, toBrokerId: moved });
        assert.equal(transferred.leaderId, moved);
        const dead = await cluster.refused(via, rpc.TransferLeader, { topic: "t", partition: 0, toBrokerId: victim }, "TRANSFER_FAILED");
        assert.ok(dead.outcomeKnown);
        await cluster.call(via, rpc.CreateTopic, { name: "after", replicas: 1 });
        assert.notEqual((await cluster.call(via, rpc.DescribeCluster, {})).controllerId, victim);
        await live.has(0, 2);
        await cluster.call(via, rpc.Produce, { topic: "t", records: recordSet(["after"]), acks: Acks.quorum });
        assert.deepEqual(await live.has(0, 3), ["before", "sequenced", "after"], "the live subscription goes on, nothing twice");
        live.cancel();
        stream.cancel();

        // What was acknowledged is there once, what was refused is not, what is unknown is there once or not.
        await cluster.restart(victim);
        for (const n of cluster.numbers) assert.deepEqual(await cluster.values("t", 0, n), ["before", "sequenced", "after"]);
        const values = await cluster.values("t", 1);
        const times = (value: string): number => values.filter((each) => each === value).length;
        const check = (value: string, error: unknown): void => {
          if (error === undefined) assert.equal(times(value), 1, `${value} was acknowledged`);
          else if (error instanceof MillraceError && error.outcomeKnown) assert.equal(times(value), 0, `${value} was refused`);
          else assert.ok(times(value) <= 1, `${value} is there ${times(value)} times`);
        };
        check("plain", plain.error);
        for (const { correlationId, error } of results) check(`stream ${correlationId}`, error === undefined ? undefined : errorOf(error));
        cluster.close();
      });
    }
  });
}

/** A read in flight to a broker that dies may be told that it was lost: it is asked again, once. */
async function retriedOnce<T>(cluster: Cluster, call: Promise<Outcome<T>>, again: () => Promise<Outcome<T>>): Promise<Outcome<T>> {
  const outcome = await call;
  if (outcome.error === undefined) return outcome;
  assert.ok(outcome.error instanceof MillraceError && outcome.error.retriable, String(outcome.error));
  assert.ok(cluster.world.now >= 0);
  return again();
}

function checkWrite(what: string, { answer, error, tookMs }: Outcome<unknown>, withinMs: number): void {
  assert.ok(tookMs <= withinMs, `${what} took ${tookMs} ms`);
  if (answer !== undefined) return;
  assert.ok(error instanceof MillraceError, `${what}: ${String(error)}`);
  assert.ok(error.retriable, `${what}: ${error.code}: ${error.message}`);
  // UNAVAILABLE always means that nothing was written (design §6).
  if (error.status === "UNAVAILABLE") assert.ok(error.outcomeKnown);
  if (!error.outcomeKnown) assert.equal(error.status, "UNKNOWN", error.message);
}
