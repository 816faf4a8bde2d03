import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { METADATA_GROUP } from "../../src/base/ids.ts";
import { Cluster, recordSet } from "./harness.ts";
import * as stubs from "./stubs.ts";

/** The first broker does not hear for a while that the second stops too, and thinks that the third is far behind. */
async function crossing(seed: number): Promise<Cluster> {
  const cluster = await Cluster.start({ seed });
  await cluster.createTopic("t", 4);
  for (let partition = 0; partition < 4; partition++) {
    await cluster.moveLeader("t", partition, 1);
    await cluster.call(1, stubs.Produce, { topic: "t", partition, records: recordSet([`${partition}`]) });
  }
  await cluster.moveController(1);
  const { network } = cluster.world;
  network.link("b2", "b1").slowTo(90);
  network.link("b3", "b1").slowTo(180);
  for (let partition = 0; partition < 4; partition++)
    await cluster.call(1, stubs.Produce, { topic: "t", partition, records: recordSet(["more"]) });
  return cluster;
}

describe("a broker that stops and is handed leaderships by another that stops", () => {
  it("hands them on, the controller too", async () => {
    for (let seed = 71; seed < 75; seed++) {
      const cluster = await crossing(seed);
      const stops = [1, 2].map((n) => cluster.broker(n).stop());
      await cluster.settle(Promise.all(stops));
      const led = [...cluster.broker(3).replicas].filter((replica) => replica.core.leader === replica.id).map(({ groupId }) => groupId);
      assert.equal(led.length, 5, `broker 3 leads ${led.join(", ")} (seed ${seed})`);
      assert.ok(led.includes(METADATA_GROUP));
      cluster.close();
    }
  });
});
