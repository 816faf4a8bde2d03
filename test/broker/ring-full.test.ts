import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MillraceError } from "../../src/base/errors.ts";
import { Acks } from "../../src/protocol/public.ts";
import { Cluster, recordSet } from "./harness.ts";
import * as stubs from "./stubs.ts";

const MiB = 1024 * 1024;
const PARTITIONS = 6;
const VALUE = "x".repeat(500_000);

/** Six files of 5 MiB (see the harness): a quarter of it is soon filled by six partitions of up to 4 MiB each. */
async function started(): Promise<{ cluster: Cluster; leader: number; others: readonly number[] }> {
  const cluster = await Cluster.start({
    configure: (config) => ({ ...config, limits: { ...config.limits, producePendingMaxBytes: 4 * MiB } }),
  });
  await cluster.createTopic("t", PARTITIONS);
  const [leader = 0, ...others] = cluster.numbers;
  for (let partition = 0; partition < PARTITIONS; partition++) await cluster.moveLeader("t", partition, leader);
  return { cluster, leader, others };
}

function retriable(error: unknown): undefined {
  assert.ok(error instanceof MillraceError && error.retriable, String(error));
}

describe("a leader whose followers do not answer", () => {
  it("refuses more before its write-ahead log holds nothing else, and everything goes on when they are back", async () => {
    const { cluster, leader, others } = await started();
    cluster.world.network.partition([["client", `b${leader}`], others.map((n) => `b${n}`)]);
    const outcomes: string[] = [];
    // For as long as it thinks that it leads: a second, until check-quorum.
    for (let n = 0; n < 60; n++) {
      const request = { topic: "t", partition: n % PARTITIONS, records: recordSet([`${n} ${VALUE}`]), acks: Acks.leader, direct: true };
      const outcome = await cluster.call(leader, stubs.Produce, request).then(
        () => "ok",
        (error: unknown) => (error instanceof MillraceError ? `${error.code} ${error.metadata["limit"] ?? ""}` : String(error)),
      );
      outcomes.push(outcome);
    }
    const written = outcomes.filter((outcome) => outcome === "ok").length;
    assert.ok(written > 4 && written * VALUE.length < 9 * MiB, `${written} were taken`);
    assert.ok(outcomes.includes("PENDING_FULL wal.files.max"), outcomes.join(", "));

    cluster.world.network.heal();
    for (let partition = 0; partition < PARTITIONS; partition++) {
      await cluster.leaderOf("t", partition);
      const request = { topic: "t", partition, records: recordSet(["after"]) };
      // As a client does: what was taken before has to be committed or cut first.
      while ((await cluster.call(leader, stubs.Produce, request).catch(retriable)) === undefined) await cluster.pass(50);
    }
    for (const n of cluster.numbers) await cluster.stop(n);
    cluster.close();
  });
});
