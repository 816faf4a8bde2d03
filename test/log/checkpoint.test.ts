import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { GroupLog } from "../../src/log/types.ts";
import { FrameType } from "../../src/records/frame-types.ts";
import { append, draft, EMPTY, group, replica, term, text } from "./frames.ts";
import { KiB, Machine } from "./machine.ts";

const GROUPS = 40;
/**
 * A checkpoint of all groups takes three blocks of 16 KiB, in a file of 64. More than is allowed when groups are made (`GroupRoom`): it comes
 * in configuration frames.
 */
const CONFIG = draft(1, 700);

describe("a checkpoint of several blocks", () => {
  it("stands at the head of each file, and the log survives crashes at any operation around it", async () => {
    const machine = new Machine();
    const { device, scheduler } = machine;
    let store = await machine.open();
    const made: GroupLog[] = await machine.run(
      Promise.all(Array.from({ length: GROUPS }, (_, i) => store.create(group(i + 1), replica(i + 1), EMPTY, text("")))),
    );
    for (const log of made) {
      append(log, term(1), [{ ...CONFIG, type: FrameType.config, recordCount: 0 }]);
      log.commit(log.lastIndex);
      const state = { term: term(5), votedFor: replica(log.replicaId) };
      log.write({ state, truncateFrom: undefined, frames: [] }, () => {});
    }
    await machine.settle();
    let durable = 0;
    let log = made[0] as GroupLog;
    for (let life = 0; life < 12; life += 1) {
      let crashed = false;
      // In each life the file ends after a few writes: three blocks of checkpoint follow, and then the ring is tight.
      const at = device.operations + 1 + scheduler.random.below(90);
      device.watch = (_kind, _path, number) => {
        if (number !== at) return;
        crashed = true;
        machine.crash(life % 2 === 0);
      };
      for (let i = 0; i < 60 && !crashed; i += 1) {
        const reached = log.lastIndex + 1;
        append(log, term(5), [draft(i, 6000)], () => {
          durable = Math.max(durable, reached);
        });
        if (i % 2 === 0) log.commit(log.lastIndex);
        await scheduler.run(scheduler.now + 6, () => crashed);
      }
      device.watch = undefined;
      assert.ok(crashed, "each life ends in the middle");
      store = await machine.open();
      assert.equal(store.recovered.length, GROUPS);
      for (const one of store.recovered) {
        const config = one.configs[0]?.config ?? one.config;
        assert.deepEqual([one.term, one.votedFor, Buffer.from(config)], [5, one.replicaId, Buffer.from(CONFIG.payload)]);
      }
      const first = store.recovered.find((one) => one.groupId === 1);
      assert.ok((first?.lastIndex ?? 0) >= durable, `${first?.lastIndex} of ${durable} in life ${life}`);
      durable = first?.lastIndex ?? 0;
      log = store.open(group(1));
    }
    assert.deepEqual(machine.failures, []);
    assert.ok(durable > 50, `${durable} frames: the ring went round`);
  });

  it("makes a start after a clean stop read one file only", async () => {
    const machine = new Machine();
    let store = await machine.open({ walFileBytes: 256 * KiB });
    const log = await machine.run(store.create(group(1), replica(1), EMPTY, text("")));
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
