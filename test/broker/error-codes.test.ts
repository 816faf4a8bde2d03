import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { METADATA_GROUP } from "../../src/base/ids.ts";
import { Cluster } from "./harness.ts";
import * as stubs from "./stubs.ts";

/** Codes of the table of errors that no request alone can ask for: something must have happened first. */
describe("An error that a broker answers", () => {
  it("is NOT_READY while it waits for its cluster, and CONTROLLER_UNKNOWN while nobody leads the metadata: nothing is written", async () => {
    const cluster = await Cluster.start({ seed: 61 });
    await cluster.createTopic("t");
    const left = cluster.controller === 1 ? 2 : 1;
    for (const n of cluster.numbers) if (n !== left) cluster.kill(n);
    await cluster.pass(2_000);
    const unknown = await cluster.refused(left, stubs.CreateTopic, { name: "new" }, "CONTROLLER_UNKNOWN", { timeoutMs: 5_000 });
    assert.ok(unknown.outcomeKnown && unknown.retriable);
    cluster.kill(left);
    cluster.boot(left);
    await cluster.pass(1_000);
    const waiting = await cluster.refused(left, stubs.DescribeTopics, {}, "NOT_READY");
    assert.ok(waiting.outcomeKnown && waiting.retryAfterMs !== undefined);
    for (const n of cluster.numbers) if (n !== left) cluster.boot(n);
    for (const n of cluster.numbers) await cluster.settle(cluster.started(n));
    const { topics } = await cluster.call(left, stubs.ListTopics, {});
    assert.deepEqual(
      topics.map(({ name }) => name),
      ["t"],
    );
    cluster.close();
  });

  it("is METADATA_OUTCOME_UNKNOWN when the controller goes in the middle of a command; describing tells what became of it", async () => {
    const cluster = await Cluster.start({ seed: 62 });
    await cluster.moveController(3);
    const metadata = cluster.replica(3, METADATA_GROUP);
    assert.ok(metadata !== undefined);
    const before = metadata.core.lastIndex;
    const asked = cluster.ask(1, stubs.CreateTopic, { name: "t" }, { timeoutMs: 20_000 }).then(
      () => undefined,
      (error: unknown) => error,
    );
    await cluster.until(() => metadata.core.lastIndex > before, "the command is appended");
    cluster.kill(3);
    const error = await cluster.settle(asked);
    assert.ok(error instanceof Error && "code" in error && error.code === "METADATA_OUTCOME_UNKNOWN", String(error));
    await cluster.call(1, stubs.ListTopics, {}, { timeoutMs: 20_000 });
    cluster.close();
  });
});
