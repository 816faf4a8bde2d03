import { processOrders } from "./order-processor.js";
import { World } from "./world.js";

/** `ORDER=commit-first` shows that these tests see the mistake. */
const order = process.env.ORDER === "commit-first" ? "commit-first" : "charge-first";

const ORDERS = 6;
const ids = Array.from({ length: ORDERS }, (_, i) => `order-${i + 1}`);

/** @param {import("millrace/testing").TestCluster} cluster */
async function placeOrders(cluster) {
  const shop = cluster.client("shop");
  await shop.admin().createTopic({ name: "orders" });
  const producer = shop.producer();
  for (const [i, id] of ids.entries()) await producer.send({ topic: "orders", value: JSON.stringify({ id, cents: 100 + i }) });
}

/**
 * The processor dies at every point at which it goes on, each time in a world of its own, and is started again.
 *
 * @param {import("millrace/testing").TestCluster} cluster
 * @returns {Promise<string[]>} orders that were never charged, with the step of the crash
 */
export async function crashEverywhere(cluster) {
  await placeOrders(cluster);
  const lost = [];
  for (let step = 1, crashed = true; crashed; step++) {
    const world = new World();
    const processor = cluster.process(`processor-${step}`);
    /** @param {import("millrace/testing").ProcessLife} self */
    const program = (self) => processOrders(world.seenBy(self), order);
    const allCharged = () => ids.every((id) => world.charged.has(id));
    // It reads for ever: the run is over when it has crashed, or when nothing is left to do.
    void processor.start(program, { crashAtStep: step });
    await cluster.until(() => !processor.running || allCharged());
    crashed = !processor.running;
    if (crashed) void processor.start(program);
    await cluster.run(1_000);
    for (const id of ids) if (!world.charged.has(id)) lost.push(`${id} after a crash at step ${step}`);
    processor.crash();
  }
  return lost;
}

/**
 * The processor dies now and then while brokers do, too.
 *
 * @param {import("millrace/testing").TestCluster} cluster
 * @returns {Promise<string[]>} orders that were never charged
 */
export async function rollingCrashes(cluster) {
  await placeOrders(cluster);
  const world = new World();
  const processor = cluster.process("processor");
  for (const broker of cluster.brokers) {
    void processor.start((self) => processOrders(world.seenBy(self), order));
    await cluster.run(cluster.random.below(60));
    broker.crash();
    await cluster.run(cluster.random.below(60));
    processor.crash();
    broker.start();
    await cluster.healthy();
  }
  void processor.start((self) => processOrders(world.seenBy(self), order));
  await cluster.run(5_000);
  processor.crash();
  return ids.filter((id) => !world.charged.has(id));
}
