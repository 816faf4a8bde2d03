import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { defaultLimits } from "../../src/base/broker-config.ts";
import { MillraceError } from "../../src/base/errors.ts";
import { Cluster, recordSet } from "./harness.ts";
import * as stubs from "./stubs.ts";

const MAX = defaultLimits.partitionsPerTopicMax;

describe("a call that names partitions", () => {
  it("case 49: is refused when it names one twice, or more than a topic may have", async () => {
    const cluster = await Cluster.start({ brokers: 1 });
    await cluster.createTopic("t", 2);
    const many = Array.from({ length: MAX + 1 }, (_, i) => i);
    for (const [partitions, says] of [
      [[0, 1, 0], /partition 0 twice/],
      [many, /partitions\.per\.topic\.max is 1000/],
    ] as const) {
      const offsets = await cluster.refused(1, stubs.ListOffsets, { topic: "t", partitions: [...partitions] }, "INVALID_REQUEST");
      assert.match(offsets.message, says);
      const stream = cluster.subscribe(1, { topic: "t", partitions: partitions.map((partition) => ({ partition, offset: 0 })) });
      await stream.over();
      const { error } = stream;
      assert.ok(error instanceof MillraceError && error.code === "INVALID_REQUEST");
      assert.match(error.message, says);
    }
    cluster.close();
  });

  it("brings every partition of many to the end, whatever room the stream has", async () => {
    const cluster = await Cluster.start();
    const count = 12;
    await cluster.createTopic("t", count);
    for (let partition = 0; partition < count; partition++)
      for (let n = 0; n < 3; n++)
        await cluster.call(1, stubs.Produce, { topic: "t", partition, records: recordSet([`${partition}/${n}`.padEnd(400_000, ".")]) });
    const partitions = Array.from({ length: count }, (_, partition) => ({ partition, offset: 0, untilOffset: 3 }));
    const stream = cluster.subscribe(2, { topic: "t", partitions });
    await stream.over();
    assert.equal(stream.error, undefined);
    for (let partition = 0; partition < count; partition++) assert.equal(stream.of(partition).length, 3);
    cluster.close();
  });
});
