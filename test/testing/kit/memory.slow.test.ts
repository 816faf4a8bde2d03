import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { it } from "node:test";

const KIT = new URL("../../../src/testing/kit/index.js", import.meta.url);

const CLUSTERS = 100;
/** The newest ones may still hang on a stack, or in a cache of the collector. */
const KEPT_MAX = 5;

/** Starts and closes clusters, with a consumer that is left reading and a process left running; prints what is left of them. */
const program = `
  const { startCluster } = await import(${JSON.stringify(KIT.href)});
  const clusters = [], open = () => process.getActiveResourcesInfo().length, listening = () => process.listenerCount("exit");
  const resources = open(), listeners = listening();
  for (let seed = 0; seed < ${CLUSTERS}; seed++) {
    const cluster = await startCluster({ brokers: 1, seed });
    clusters.push(new WeakRef(cluster));
    const client = cluster.client();
    await client.admin().createTopic({ name: "t" });
    const consumer = client.consumer();
    await consumer.subscribe("t");
    const reading = consumer.run({ onBatch() {} });
    void cluster.process("p").start((self) => self.sleep(3_600_000));
    await client.producer().send({ topic: "t", value: "x" });
    await cluster.close();
    await reading;
  }
  for (let turn = 0; turn < 3; turn++) { await new Promise((resolve) => setTimeout(resolve, 10)); gc(); }
  const kept = clusters.filter((cluster) => cluster.deref() !== undefined).length;
  console.log(JSON.stringify({ kept, resources: open() - resources, listeners: listening() - listeners }));
`;

it("Clusters that are closed are let go of, whatever was pending in them", () => {
  const printed = execFileSync(process.execPath, ["--expose-gc", "--input-type=module", "--eval", program], { encoding: "utf8" });
  const { kept, resources, listeners } = JSON.parse(printed) as { kept: number; resources: number; listeners: number };
  assert.ok(kept <= KEPT_MAX, `${kept} of ${CLUSTERS} clusters are still there`);
  assert.ok(resources <= 0, `${resources} more handles and requests than before`);
  assert.equal(listeners, 0);
});
