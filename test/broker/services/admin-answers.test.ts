import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { MillraceError } from "../../../src/base/errors.ts";
import { Cluster, recordSet } from "../harness.ts";
import * as rpc from "../stubs.ts";

const KiB = 1024;
const MiB = 1024 * KiB;

describe("An answer", () => {
  let cluster: Cluster;
  before(async () => {
    cluster = await Cluster.start({
      seed: 93,
      configure: (config) => ({
        ...config,
        limits: { ...config.limits, replyPendingMaxBytes: 16 * MiB },
        log: { ...config.log, hotTailBytes: 16 * MiB },
      }),
    });
    for (const name of ["t", "b", "a"]) await cluster.createTopic(name);
  });
  after(() => cluster.close());

  it("of DescribeTopics names each topic once: all of them by name, or those asked for in their order", async () => {
    const names = async (asked: readonly string[]) =>
      (await cluster.call(2, rpc.DescribeTopics, { names: asked })).topics.map(({ name }) => name);
    assert.deepEqual(await names([]), ["a", "b", "t"]);
    assert.deepEqual(await names(["t", "a"]), ["t", "a"]);
    const error = await cluster.refused(3, rpc.DescribeTopics, { names: ["t", "a", "t"] }, "INVALID_REQUEST");
    assert.equal(error.metadata["field"], "names");
  });

  it("of CreateTopic has no topic when it only validates", async () => {
    const { topic } = await cluster.call(1, rpc.CreateTopic, { name: "not yet".replace(" ", "-"), validateOnly: true });
    assert.equal(topic, undefined);
  });

  it("of a long poll that waits as long as its deadline comes before the deadline", async () => {
    for (const n of cluster.numbers)
      for (const maxWaitMs of [200, 1_000, 20_000]) {
        const { batches } = await cluster.call(n, rpc.Fetch, { topic: "b", offset: 0, maxWaitMs }, { timeoutMs: maxWaitMs });
        assert.deepEqual(batches, []);
      }
  });

  it("is as large after large fetches that were cancelled as before", async () => {
    const via = await cluster.leaderOf("t", 0);
    const waiting = { topic: "t", offset: 0, maxBytes: 8 * MiB, minBytes: 8 * MiB, maxWaitMs: 30_000 };
    for (let round = 0; round < 3; round++) {
      const gone = new AbortController();
      const asked = cluster.ask(via, rpc.Fetch, waiting, { signal: gone.signal, timeoutMs: 60_000 }).catch(() => "gone");
      await cluster.pass(50);
      gone.abort();
      assert.equal(await cluster.settle(asked), "gone");
      await cluster.pass(50);
    }
    for (let n = 0; n < 5; n++) await cluster.call(via, rpc.Produce, { topic: "t", records: recordSet(["x".repeat(1_000 * KiB)]) });
    const { batches } = await cluster.call(via, rpc.Fetch, { topic: "t", offset: 0, maxBytes: 8 * MiB });
    assert.equal(batches.length, 5);
  });

  it("of another broker waits for its caller up to a quarter of reply.pending.max.bytes; what would be more is refused by name", async () => {
    const leader = await cluster.leaderOf("t", 0);
    const via = cluster.numbers.find((n) => n !== leader) ?? assert.fail();
    const fetch = { topic: "t", offset: 0, maxBytes: 3 * MiB };
    const asked = await cluster.settle(Promise.allSettled(Array.from({ length: 6 }, () => cluster.ask(via, rpc.Fetch, fetch))));
    const refused = asked.flatMap((one) => (one.status === "rejected" ? [one.reason as unknown] : []));
    assert.ok(refused.length > 0 && refused.length < 6, `${refused.length} of 6 are refused`);
    for (const error of refused) {
      assert.ok(error instanceof MillraceError && error.code === "TOO_MANY_REQUESTS", String(error));
      assert.deepEqual(error.metadata, { limit: "reply.pending.max.bytes", limit_bytes: String(4 * MiB) });
    }
    assert.ok((await cluster.call(via, rpc.Fetch, fetch)).batches.length >= 2, "there is room again");
  });
});
