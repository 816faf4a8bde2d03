import { describe, it } from "node:test";
import { Cluster } from "./harness.ts";
import * as stubs from "./stubs.ts";

describe("a broker that belongs to a cluster", () => {
  it("stops cleanly in the middle of making and of deleting replicas, and finishes both after a start", async () => {
    for (let delayMs = 0; delayMs <= 24; delayMs += 2) {
      const cluster = await Cluster.start({ brokers: 1, seed: 1 + delayMs });
      await cluster.createTopic("old", 4);
      const deleting = cluster.ask(1, stubs.DeleteTopic, { name: "old" });
      const making = cluster.ask(1, stubs.CreateTopic, { name: "new", partitions: 8 });
      for (const asked of [deleting, making]) asked.catch(() => {});
      await cluster.pass(delayMs);
      await cluster.stop(1);
      await cluster.restart(1);
      // What was asked and not answered may have been done or not; what is described is held, and nothing else.
      const { topics } = await cluster.call(1, stubs.DescribeTopics, { names: [] });
      const described = topics.reduce((sum, topic) => sum + topic.partitions.length, 0);
      await cluster.until(() => [...cluster.broker(1).replicas].length === described + 1, `${described} replicas and the metadata's`);
      cluster.close();
    }
  });
});
