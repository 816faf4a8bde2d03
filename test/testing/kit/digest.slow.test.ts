import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";

const KIT = new URL("../../../src/testing/kit/index.js", import.meta.url);

/** Prints the digest of a cluster in which everything happens once. */
const program = `
  const { withCluster } = await import(${JSON.stringify(KIT.href)});
  await withCluster({ brokers: 3, seed: 31 }, async (cluster) => {
    const client = cluster.client();
    await client.admin().createTopic({ name: "t", partitions: 2 });
    const producer = client.producer();
    const send = () => Promise.all(["a", "b", "c"].map((value) => producer.send({ topic: "t", value })));
    await send();
    const leader = cluster.leaderOf("t", 0);
    leader.powerCut();
    await send();
    cluster.process("reader").start(async (self) => {
      const consumer = self.client().consumer();
      await consumer.subscribe("t");
      for await (const record of consumer) await self.sleep(cluster.random.below(10));
    }, { crashAtStep: 5 });
    leader.start();
    await cluster.healthy();
    cluster.broker(1).pause();
    await cluster.run(3_000);
    cluster.heal();
    await cluster.healthy();
    await send();
    console.log(cluster.digest, cluster.process("reader").steps);
  });
`;

/** This Node, and Node 24 where `.ci/run` keeps one. */
function nodes(): string[] {
  const cache = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "millrace/node-24/node_modules");
  const kept = existsSync(cache) ? readdirSync(cache).map((name) => join(cache, name, "bin/node")) : [];
  return [process.execPath, ...kept.filter((path) => existsSync(path))];
}

it("One seed is one run in every process, and on every version of Node that is at hand", () => {
  const run = (node: string): string => execFileSync(node, ["--input-type=module", "--eval", program], { encoding: "utf8" }).trim();
  const first = run(process.execPath);
  assert.match(first, /^\d+-[0-9a-f]{8} 5$/);
  for (const node of nodes()) assert.equal(run(node), first, node);
});
