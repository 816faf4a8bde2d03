import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Acks } from "../../src/protocol/public.ts";
import { Cluster, recordSet } from "./harness.ts";
import * as stubs from "./stubs.ts";

function foldersOf(cluster: Cluster, n: number): readonly string[] {
  return cluster
    .disk(n)
    .tree.list("groups")
    .map(({ name }) => name);
}

/** Broker 3 has a replica of each topic; then "gone" is deleted, by every broker, and its tombstone ends. */
async function deleted() {
  const cluster = await Cluster.start({ seed: 51 });
  for (const topic of ["kept", "gone"]) {
    await cluster.createTopic(topic);
    await cluster.call(1, stubs.Produce, { topic, records: recordSet([topic]), acks: Acks.all });
  }
  const kept = await cluster.groupOf("kept", 0);
  const gone = await cluster.groupOf("gone", 0);
  await cluster.pass(1_000);
  const copy = cluster.disk(3).backUp();
  await cluster.call(1, stubs.DeleteTopic, { name: "gone" });
  const has = (n: number): boolean => foldersOf(cluster, n).some((name) => name.startsWith(`${gone}-`));
  await cluster.until(() => cluster.numbers.every((n) => !has(n)), "its files are gone");
  await cluster.pass(1_000);
  return { cluster, kept, gone, copy, has };
}

// case 70
describe("A broker on an old copy of its disk", () => {
  it("deletes what it has of a topic that was deleted since, and nothing else", async () => {
    const { cluster, kept, gone, copy, has } = await deleted();
    // Made since, and of the same name.
    await cluster.createTopic("gone");
    await cluster.call(1, stubs.Produce, { topic: "gone", records: recordSet(["anew"]), acks: Acks.all });
    cluster.kill(3);
    cluster.disk(3).restore(copy);
    assert.equal(has(3), true);
    await cluster.restart(3);
    await cluster.until(() => !has(3), "its files are gone once more");
    assert.equal(cluster.replica(3, gone), undefined);
    const anew = await cluster.groupOf("gone", 0);
    const well = (): boolean => [kept, anew].every((group) => cluster.replica(3, group)?.core.quarantined === false);
    await cluster.until(well, "it has the others");
    assert.deepEqual(await cluster.values("kept", 0, 3), ["kept"]);
    assert.deepEqual(await cluster.values("gone", 0, 3), ["anew"]);
    // A start passes through all that ever was.
    cluster.kill(3);
    await cluster.restart(3);
    await cluster.pass(2_000);
    assert.equal(has(3), false);
    assert.ok([kept, anew].every((group) => cluster.replica(3, group) !== undefined));
    cluster.close();
  });
});
