import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { silentTelemetry } from "../../src/base/ports/telemetry.ts";
import { Client, MillraceError, type RecordAck } from "../../src/client/index.ts";
import { records } from "../../src/records/log-record.ts";
import { FakeCluster, fakeAddresses } from "./fake/cluster.ts";
import type { PartitionLog } from "./fake/partition-log.ts";
import { appendOf } from "./fake/produce-stream.ts";
import { World } from "./fake/world.ts";

const text = new TextDecoder();

function valuesOf(log: PartitionLog): string[] {
  return log.batches.flatMap((batch) => [...records(batch.records)].map((record) => text.decode(record.value)));
}

/**
 * `a` is never written; `b`, sent behind it, learns that its partition does not know the producer, and gets another id while `a` keeps the
 * first one. Then `a` runs out of time.
 *
 * @param second what becomes of `b` under its new id
 */
async function twoIdentities(second: (append: () => void) => MillraceError) {
  const world = new World(1);
  const cluster = new FakeCluster(world, fakeAddresses(1));
  const log = cluster.addTopic("t", 1)[0] as PartitionLog;
  const client = new Client(
    { brokers: cluster.addresses },
    { rpc: cluster, clock: world, random: world.random, telemetry: silentTelemetry },
  );
  const producer = client.producer({ deliveryTimeoutMs: 10_000 });
  const send = (value: string): Promise<RecordAck | MillraceError> =>
    producer.send({ topic: "t", value }).catch((error: unknown) => (error instanceof MillraceError ? error : Promise.reject(error)));
  const [firstId, secondId] = [cluster.nextProducerId, cluster.nextProducerId + 1];
  await world.until(send("first"));
  let renewed = false;
  cluster.judges = (request) => {
    if (request.producerId === secondId && !renewed) {
      renewed = true;
      return second(() => log.append(appendOf(request)));
    }
    if (request.producerId !== firstId) return renewed ? new MillraceError("PRECEDING_FAILED", "later") : undefined;
    return request.baseSequence === 1
      ? new MillraceError("NOT_ENOUGH_REPLICAS", "not now", {}, 5)
      : new MillraceError("UNKNOWN_PRODUCER", "it is not known here");
  };
  const a = send("a");
  await world.run(world.now + 5_000, () => false);
  const b = send("b");
  await world.run(world.now + 4_000, () => renewed);
  assert.ok(renewed, "b was sent under another id");
  const gaveUp = await world.until(a);
  assert.ok(gaveUp instanceof MillraceError, "a ran out of time");
  cluster.judges = () => undefined;
  return { world, cluster, log, send, b, secondId };
}

// case 71
describe("A producer that has batches under two ids in one window", () => {
  it("writes what comes later, and does not take it for what is in the log under the newer one", async () => {
    const { world, log, send, b } = await twoIdentities((append) => {
      append();
      return new MillraceError("NOT_ENOUGH_REPLICAS_AFTER_APPEND", "appended");
    });
    const outcome = await world.until(b);
    assert.ok(outcome instanceof MillraceError && !outcome.outcomeKnown, "nobody told what became of b");
    const c = await world.until(send("c"));
    assert.deepEqual(valuesOf(log), ["first", "b", "c"]);
    assert.deepEqual(c instanceof MillraceError ? c.code : [c.offset, c.duplicate], [2, false]);
  });

  it("goes on where the newer one stands when the one under the older one was certainly not written", async () => {
    const { world, cluster, log, send, b, secondId } = await twoIdentities(() => new MillraceError("PRECEDING_FAILED", "a failed"));
    for (const sent of [b, send("c"), send("d")]) {
      const ack = await world.until(sent);
      assert.ok(!(ack instanceof MillraceError), String(ack));
    }
    assert.deepEqual(valuesOf(log), ["first", "b", "c", "d"]);
    assert.equal(cluster.nextProducerId, secondId + 1, "no third id was needed");
  });
});

describe("A producer whose log has another sequence than it (OUT_OF_ORDER_SEQUENCE)", () => {
  /** `first` and `second` were acknowledged; then the log forgets the second, as after a recovery that loses records. */
  async function forgetful() {
    const world = new World(1);
    const cluster = new FakeCluster(world, fakeAddresses(1));
    const log = cluster.addTopic("t", 1)[0] as PartitionLog;
    const client = new Client(
      { brokers: cluster.addresses },
      { rpc: cluster, clock: world, random: world.random, telemetry: silentTelemetry },
    );
    const producer = client.producer({ deliveryTimeoutMs: 10_000 });
    const send = (value: string): Promise<RecordAck | string> =>
      producer.send({ topic: "t", value }).catch((error: unknown) => (error instanceof MillraceError ? error.code : Promise.reject(error)));
    const id = cluster.nextProducerId;
    for (const value of ["first", "second"]) assert.equal(typeof (await world.until(send(value))), "object");
    const state = log.producers.get(id) ?? assert.fail();
    state.batches = state.batches.slice(0, 1);
    state.next = 1;
    log.end -= (log.batches.pop() ?? assert.fail()).count;
    return { world, cluster, log, send, id };
  }

  it("says so of the batch that meets it, and goes on under another id: what comes later is written once, in order", async () => {
    const { world, cluster, log, send, id } = await forgetful();
    assert.equal(await world.until(send("third")), "OUT_OF_ORDER_SEQUENCE");
    for (const value of ["fourth", "fifth"]) assert.equal(typeof (await world.until(send(value))), "object", value);
    assert.deepEqual(valuesOf(log), ["first", "fourth", "fifth"]);
    assert.deepEqual(
      log.batches.map(({ producerId, baseSequence }) => [producerId, baseSequence]),
      [
        [id, 0],
        [id + 1, 0],
        [id + 1, 1],
      ],
    );
    assert.equal(cluster.nextProducerId, id + 2, "one id more was enough");
  });

  it("sends nothing under the other id that may be in the log under the first", async () => {
    const { world, cluster, log, send } = await forgetful();
    // The third is put off until the fourth, behind it, is written without anybody hearing of that, and the fifth was sent.
    let [written, waiting] = [false, true];
    cluster.judges = ({ baseSequence = 0, records: sent }) => {
      if (baseSequence === 3 && !written) {
        written = true;
        log.batches.push({
          baseOffset: log.end,
          count: 1,
          producerId: -1,
          baseSequence,
          records: sent ?? assert.fail(),
          compressed: false,
          term: log.term,
        });
        log.end += 1;
        return new MillraceError("NOT_ENOUGH_REPLICAS_AFTER_APPEND", "appended");
      }
      waiting &&= !(written && baseSequence === 4);
      return waiting || baseSequence > 2 ? new MillraceError("NOT_ENOUGH_REPLICAS", "not now", {}, 5) : undefined;
    };
    const sent: Promise<RecordAck | string>[] = [];
    for (const value of ["third", "fourth", "fifth"]) {
      sent.push(send(value));
      await world.run(world.now + 50, () => false);
    }
    await world.run(world.now + 5_000, () => !waiting);
    assert.ok(written && !waiting);
    cluster.judges = ({ baseSequence = 0 }) => (baseSequence > 2 ? new MillraceError("PRECEDING_FAILED", "the third failed") : undefined);
    const outcomes: (RecordAck | string)[] = [];
    for (const each of sent) outcomes.push(await world.until(each));
    assert.deepEqual(outcomes.slice(0, 2), ["OUT_OF_ORDER_SEQUENCE", "NOT_ENOUGH_REPLICAS_AFTER_APPEND"]);
    assert.equal(typeof outcomes[2], "object");
    assert.deepEqual(valuesOf(log), ["first", "fourth", "fifth"]);
  });
});
