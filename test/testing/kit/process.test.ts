import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type ProcessLife, startCluster, type TestCluster } from "../../../src/testing/kit/index.ts";

/** What outlives the process: how far it has come, and what it did. */
interface Database {
  position: number;
  readonly done: string[];
}

const ORDERS = ["a", "b", "c", "d"];

async function withOrders(cluster: TestCluster): Promise<void> {
  const client = cluster.client("shop");
  await client.admin().createTopic({ name: "orders" });
  const producer = client.producer();
  await Promise.all(ORDERS.map((value) => producer.send({ topic: "orders", value })));
}

/** Does what the orders say, one after the other; each takes a moment, and so does saving. */
const worker =
  (database: Database, order: "work-first" | "save-first") =>
  async (self: ProcessLife): Promise<void> => {
    const consumer = self.client().consumer();
    consumer.assign([{ topic: "orders", partition: 0, from: { offset: database.position }, until: { offset: ORDERS.length } }]);
    for await (const { offset, value } of consumer) {
      const save = async () => {
        await self.sleep(1);
        database.position = offset + 1;
      };
      if (order === "save-first") await save();
      await self.sleep(1);
      database.done.push(new TextDecoder().decode(value));
      if (order === "work-first") await save();
    }
  };

/** Runs the worker with a crash at one step and starts it again until it ends. @returns what was done; undefined: it came to no crash */
async function crashAt(cluster: TestCluster, step: number, order: "work-first" | "save-first"): Promise<readonly string[] | undefined> {
  const database: Database = { position: 0, done: [] };
  const process = cluster.process(`worker-${order}-${step}`);
  const ending = await process.start(worker(database, order), { crashAtStep: step });
  if (ending === "ended") return undefined;
  assert.equal(process.running, false);
  assert.equal(await process.start(worker(database, order)), "ended");
  return database.done;
}

describe("A process of the test's own", () => {
  it("that works and then saves its position loses nothing, wherever it crashes", async () => {
    await using cluster = await startCluster({ brokers: 1, seed: 1 });
    await withOrders(cluster);
    let crashes = 0;
    let repeated = 0;
    for (let step = 1; ; step++) {
      const done = await crashAt(cluster, step, "work-first");
      if (done === undefined) break;
      crashes++;
      assert.deepEqual([...new Set(done)], ORDERS, `crash at step ${step}`);
      if (done.length > ORDERS.length) repeated++;
    }
    assert.ok(crashes > 2 * ORDERS.length);
    assert.equal(cluster.faults["process-crash"], crashes);
    assert.ok(repeated > 0);
  });

  it("that saves first loses what it crashed in the middle of", async () => {
    await using cluster = await startCluster({ brokers: 1, seed: 1 });
    await withOrders(cluster);
    const outcomes: (readonly string[])[] = [];
    for (let step = 1; ; step++) {
      const done = await crashAt(cluster, step, "save-first");
      if (done === undefined) break;
      outcomes.push(done);
    }
    assert.ok(outcomes.some((done) => done.length === ORDERS.length - 1));
  });

  it("never goes on once it has crashed, and its awaiting moves no time", async () => {
    await using cluster = await startCluster({ brokers: 1, seed: 2 });
    await withOrders(cluster);
    const went: string[] = [];
    const process = cluster.process("p");
    const ending = process.start(async (self) => {
      const consumer = self.client().consumer();
      await consumer.subscribe("orders", { from: "end" });
      try {
        went.push("waits");
        for await (const record of consumer) went.push(`read ${record.offset}`);
      } finally {
        went.push("cleaned up");
      }
    });
    await cluster.run(1_000);
    assert.equal(process.running, true);
    process.crash();
    assert.equal(await ending, "crashed");
    await cluster.client("shop").producer().send({ topic: "orders", value: "e" });
    await cluster.run(1_000);
    assert.deepEqual(went, ["waits"]);
    const { now } = cluster;
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(cluster.now, now);
  });

  it("may crash itself, fail, and not run twice at a time", async () => {
    await using cluster = await startCluster({ brokers: 1, seed: 3 });
    const process = cluster.process("p");
    assert.equal(cluster.process("p"), process);
    const suicide = process.start(async (self) => {
      await self.sleep(5);
      await self.crash();
      assert.fail("went on");
    });
    await assert.rejects(async () => process.start(async () => {}), { code: "WRONG_STATE" });
    assert.equal(await suicide, "crashed");
    await assert.rejects(
      process.start(async (self) => {
        await self.sleep(1);
        throw new Error("bug");
      }),
      { message: "bug" },
    );
    assert.equal(process.running, false);
    await assert.rejects(async () => process.start(async () => {}, { crashAtStop: 1 } as object), /did you mean crashAtStep\?/);
  });
});
