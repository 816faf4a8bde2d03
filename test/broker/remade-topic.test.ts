import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Acks } from "../../src/protocol/public.ts";
import { Cluster, recordSet } from "./harness.ts";
import * as stubs from "./stubs.ts";

/** Subscriptions begin this much apart, while broker 3 hears nothing and once it does again, milliseconds. */
const APART_MS = 700;
const BACK_MS = 7;
const EACH = 10;

describe("A subscription by name at a broker that has not heard that its topic was made anew", () => {
  // Of several partitions the reads find the former topic gone behind the same barrier: the first begins the stream again, the others come late.
  for (const partitions of [1, 3])
    it(`goes on with the new one, of ${partitions} partitions, whenever it begins`, async () => {
      for (const seed of [45, 48]) {
        const cluster = await Cluster.start({ seed });
        await cluster.createTopic("t", partitions);
        await cluster.moveController(1);
        cluster.world.network.partition([["b1", "b2"], ["b3"]]);
        await cluster.call(1, stubs.DeleteTopic, { name: "t" });
        await cluster.call(2, stubs.CreateTopic, { name: "t", partitions });
        const numbers = Array.from({ length: partitions }, (_, partition) => partition);
        const starts = numbers.map((partition) => ({ partition, offset: 0 }));
        const streams = [];
        for (let n = 0; n < 2 * EACH; n += 1) {
          if (n === EACH) cluster.world.network.heal();
          streams.push(cluster.subscribe(3, { topic: "t", partitions: starts }));
          await cluster.pass(n < EACH ? APART_MS : BACK_MS);
        }
        for (const partition of numbers)
          await cluster.call(1, stubs.Produce, { topic: "t", partition, records: recordSet([`anew ${partition}`]), acks: Acks.all });
        for (const [n, stream] of streams.entries())
          for (const partition of numbers)
            assert.deepEqual(await stream.has(partition, 1), [`anew ${partition}`], `seed ${seed}, subscription ${n}`);
        cluster.close();
      }
    });
});
