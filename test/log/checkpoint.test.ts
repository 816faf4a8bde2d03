import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { GroupLog } from "../../src/log/types.ts";
import { append, draft, EMPTY, group, replica, term } from "./frames.ts";
import { KiB, Machine } from "./machine.ts";

const GROUPS = 100;
/** A checkpoint of all groups takes three blocks of 16 KiB, in a file of 64. */
const CONFIG = new Uint8Array(150).fill(7);

/** Many groups with a vote and a frame each; then one that writes until the ring has gone round. */
async function manyGroups(
  seed: number,
  crashAt: number,
  power: boolean,
): Promise<{ machine: Machine; durable: number; operations: number }> {
  const machine = new Machine(seed);
  const store = await machine.open();
  const logs: GroupLog[] = await machine.run(
    Promise.all(Array.from({ length: GROUPS }, (_, i) => store.create(group(i + 1), replica(i + 1), EMPTY, CONFIG))),
  );
  for (const log of logs) {
    const state = { term: term(5), votedFor: replica(log.replicaId) };
    log.write({ state, truncateFrom: undefined, frames: [] }, () => {});
    append(log, term(5), [draft(log.groupId, 50)]);
    log.commit(log.lastIndex);
  }
  await machine.settle();
  let crashed = false;
  const before = machine.device.operations;
  machine.device.watch = (_kind, _path, number) => {
    if (number !== before + crashAt) return;
    crashed = true;
    machine.crash(power);
  };
  const log = logs[0] as GroupLog;
  let durable = 0;
  for (let i = 0; i < 60 && !crashed; i += 1) {
    append(log, term(5), [draft(i, 6000)], () => {
      durable = i + 1;
    });
    if (i % 2 === 0) log.commit(log.lastIndex);
    await machine.scheduler.run(machine.scheduler.now + 6, () => crashed);
  }
  const operations = machine.device.operations - before;
  machine.device.watch = undefined;
  if (!crashed) machine.crash(power);
  return { machine, durable, operations };
}

describe("a checkpoint of several blocks", () => {
  it("stands at the head of each file, and the log survives a crash at any operation around it", async () => {
    const { operations } = await manyGroups(1, Number.MAX_SAFE_INTEGER, false);
    assert.ok(operations > 60, `${operations} operations`);
    for (let at = 1; at < operations; at += 11) {
      const { machine, durable } = await manyGroups(1, at, at % 2 === 0);
      const store = await machine.open();
      assert.equal(store.recovered.length, GROUPS, `crash at operation ${at}`);
      for (const one of store.recovered) {
        assert.deepEqual([one.term, one.votedFor, one.config], [5, one.replicaId, CONFIG]);
        assert.ok(one.lastIndex >= 1);
      }
      const first = store.recovered.find((one) => one.groupId === 1);
      assert.ok((first?.lastIndex ?? 0) >= 1 + durable, `${first?.lastIndex} of ${1 + durable} after a crash at operation ${at}`);
      assert.deepEqual(machine.failures, []);
      // What was recovered goes on, and survives the next cut.
      machine.crash(true);
      assert.equal((await machine.open()).recovered.find((one) => one.groupId === 1)?.lastIndex, first?.lastIndex);
    }
  });

  it("makes a start after a clean stop read one file only", async () => {
    const machine = new Machine();
    let store = await machine.open({ walFileBytes: 256 * KiB });
    const log = await machine.run(store.create(group(1), replica(1), EMPTY, CONFIG));
    for (let i = 0; i < 50; i += 1) append(log, term(1), [draft(i, 5000)]);
    log.commit(log.lastIndex);
    await machine.run(store.close());
    machine.crash();
    store = await machine.open({ walFileBytes: 256 * KiB });
    assert.equal(store.recovered[0]?.syncedIndex, 50);
    // Everything is in segments: nothing had to come back to memory.
    assert.equal(store.open(group(1)).hotFrom, 51);
  });
});
