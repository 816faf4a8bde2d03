import assert from "node:assert/strict";
import { test } from "node:test";
import { withCluster } from "millrace/testing";
import { crashEverywhere, rollingCrashes } from "./stories.js";

test("no order is lost, wherever the processor crashes", () =>
  withCluster({ brokers: 1, seed: 1 }, async (cluster) => {
    assert.deepEqual(await crashEverywhere(cluster), []);
  }));

for (const seed of [1, 2, 3]) {
  test(`no order is lost while processor and brokers crash in turn, seed ${seed}`, () =>
    withCluster({ brokers: 3, seed }, async (cluster) => {
      assert.deepEqual(await rollingCrashes(cluster), []);
    }));
}

test("a seed is one run", async () => {
  /** @type {string[]} */
  const digests = [];
  for (let run = 0; run < 2; run++) {
    await withCluster({ brokers: 3, seed: 4 }, async (cluster) => {
      await rollingCrashes(cluster);
      digests.push(cluster.digest);
    });
  }
  assert.equal(digests[0], digests[1]);
});
