import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MillraceError } from "../../src/base/errors.ts";
import type { GroupId } from "../../src/base/ids.ts";
import { Acks } from "../../src/protocol/public.ts";
import { Cluster, recordSet } from "./harness.ts";
import * as stubs from "./stubs.ts";

const SURVIVOR = 3;

async function write(cluster: Cluster, via: number, from: number, to: number, what: string): Promise<void> {
  for (let i = from; i < to; i++)
    await cluster.call(via, stubs.Produce, { topic: "t", records: recordSet([`${what}${i}`]), acks: Acks.quorum });
}

/** Of every group a broker has a replica of. */
function termsOn(cluster: Cluster, n: number): Map<GroupId, number> {
  return new Map([...cluster.broker(n).replicas].map((replica) => [replica.groupId, replica.core.term]));
}

/** Recovers the metadata, then the partitions: as often as a plan names anything. */
async function recoverAll(cluster: Cluster): Promise<void> {
  const broker = cluster.broker(SURVIVOR);
  for (let i = 0; i < 5; i++) {
    await cluster.pass(3_000);
    const { digest, clusterId, metadata, partitions } = await cluster.settle(broker.planRecovery());
    if (metadata === undefined && partitions.length === 0) return;
    await cluster.settle(broker.applyRecovery({ digest, clusterId }));
  }
  assert.fail("a plan names something for ever");
}

/** What a read with the place of a reader of the lost records comes to. */
async function readOn(cluster: Cluster, offset: number, lastTerm: number): Promise<string> {
  try {
    const { batches } = await cluster.call(SURVIVOR, stubs.Fetch, { topic: "t", offset, lastTerm });
    return `reads on at ${batches[0]?.baseOffset}`;
  } catch (error) {
    assert.ok(error instanceof MillraceError, String(error));
    return `${error.code} at ${error.metadata["diverging_offset"]}`;
  }
}

describe("A survivor that was away while leaders changed, and is gone on from (scenario 62)", () => {
  for (const moves of [0, 1, 2, 3])
    it(`gives out no term of them again, after ${moves} changes`, async () => {
      const cluster = await Cluster.start({ seed: 5 });
      await cluster.createTopic("t", 1);
      // Makes `__groups`.
      await cluster.call(1, stubs.CommitOffsets, { groupId: "g", memberEpoch: -1, offsets: [{ topic: "t", offset: 0 }] });
      const group = await cluster.groupOf("t", 0);
      if (cluster.serving(group) === SURVIVOR) await cluster.moveLeader("t", 0, 1);
      await write(cluster, 1, 0, 10, "a");
      await cluster.pass(2_000);
      cluster.kill(SURVIVOR);
      await cluster.pass(20_000);
      const other = (n: number): number => (n === 1 ? 2 : 1);
      for (let i = 0; i < moves; i++) {
        await cluster.moveLeader("t", 0, other(await cluster.leaderOf("t", 0)));
        await cluster.moveLeader("__groups", 0, other(await cluster.leaderOf("__groups", 0)));
        await cluster.moveController(other(cluster.controller ?? 0));
      }
      await write(cluster, 1, 10, 30, "a");
      const { batches } = await cluster.call(1, stubs.Fetch, { topic: "t", offset: 29 });
      const lastTerm = batches[0]?.term ?? 0;
      const lost = [termsOn(cluster, 1), termsOn(cluster, 2)];
      for (const n of [1, 2]) cluster.kill(n);
      await cluster.pass(2_000);
      cluster.boot(SURVIVOR);
      await recoverAll(cluster);
      await cluster.settle(cluster.started(SURVIVOR));
      await cluster.until(() => cluster.serving(group) === SURVIVOR, "the survivor goes on");
      await write(cluster, SURVIVOR, 10, 50, "b");
      const now = termsOn(cluster, SURVIVOR);
      assert.equal(now.size, 1 + 1 + 16, "the metadata, t-0 and the shards");
      const again = [...now].filter(([groupId, term]) => lost.some((terms) => term <= (terms.get(groupId) ?? 0)));
      assert.deepEqual(again, [], "of whatever group");
      assert.equal(await readOn(cluster, 30, lastTerm), "LOG_TRUNCATED at 10");
      // Its disk holds such terms, too.
      await cluster.restart(SURVIVOR);
      await cluster.until(() => cluster.serving(group) === SURVIVOR, "the survivor goes on after a restart");
      for (const [groupId, term] of termsOn(cluster, SURVIVOR)) assert.ok(term > (now.get(groupId) ?? 0), `group ${groupId}: ${term}`);
      assert.equal(await readOn(cluster, 30, lastTerm), "LOG_TRUNCATED at 10");
      const last = await cluster.call(SURVIVOR, stubs.Fetch, { topic: "t", offset: 49 });
      assert.equal(await readOn(cluster, 50, last.batches[0]?.term ?? 0), "reads on at undefined");
      cluster.close();
    });
});
