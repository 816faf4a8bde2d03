import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MillraceError } from "../../src/base/errors.ts";
import { Acks } from "../../src/protocol/public.ts";
import { Cluster, recordSet } from "./harness.ts";
import * as stubs from "./stubs.ts";

describe("a leader that was cut off and does not know it yet", () => {
  it("does not call an offset out of range that its successor has committed", async () => {
    const cluster = await Cluster.start({ seed: 7 });
    await cluster.createTopic("t");
    await cluster.call(1, stubs.Produce, { topic: "t", records: recordSet(["a"]) });
    const group = await cluster.groupOf("t", 0);
    const old = await cluster.leaderOf("t", 0);
    const others = cluster.numbers.filter((n) => n !== old);
    cluster.world.network.partition([[`b${old}`], others.map((n) => `b${n}`)]);
    await cluster.until(() => others.some((n) => cluster.replica(n, group)?.serves === true), "a new leader");
    const next = others.find((n) => cluster.replica(n, group)?.serves === true) as number;
    assert.equal(cluster.replica(old, group)?.serves, true, "the old one still serves");
    const { baseOffset } = await cluster.call(next, stubs.Produce, { topic: "t", records: recordSet(["b", "c"]), acks: Acks.quorum });
    const { nextOffset } = await cluster.call(next, stubs.Fetch, { topic: "t", partition: 0, offset: baseOffset });
    const fetch = { topic: "t", partition: 0, offset: nextOffset, direct: true };
    const outcome = await cluster.call(old, stubs.Fetch, fetch).then(
      () => "answered",
      (error: unknown) => error,
    );
    assert.ok(outcome instanceof MillraceError && outcome.retriable, String(outcome));
    assert.equal(outcome.code, "NOT_LEADER");
    cluster.close();
  });

  it("is asked in vain; a leader that is one says what there is, as before", async () => {
    const cluster = await Cluster.start({ seed: 7 });
    await cluster.createTopic("t");
    await cluster.call(1, stubs.Produce, { topic: "t", records: recordSet(["a"]) });
    for (const n of cluster.numbers) {
      const error = await cluster.refused(n, stubs.Fetch, { topic: "t", partition: 0, offset: 2 }, "OFFSET_OUT_OF_RANGE");
      assert.deepEqual([error.metadata["log_start_offset"], error.metadata["high_watermark"]], ["0", "1"]);
    }
    cluster.close();
  });
});
