import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DiskError } from "../../src/base/ports/disk.ts";
import { GROUP_BYTES, GroupRoom, MARK_BYTES } from "../../src/log/group-room.ts";
import { GroupImage } from "../../src/log/model/image.ts";
import { encodeOp, type SyncedMark } from "../../src/log/model/records.ts";
import type { GroupLog, LogStore } from "../../src/log/types.ts";
import { FrameType } from "../../src/records/frame-types.ts";
import { append, draft, EMPTY, group, index, offset, replica, term, text } from "./frames.ts";
import { KiB, Machine } from "./machine.ts";

const OPTIONS = { walFileBytes: 64 * KiB, walFilesMax: 4 };

/** Groups until one more is refused. */
async function fill(machine: Machine, store: LogStore, before = 0): Promise<GroupLog[]> {
  const logs: GroupLog[] = [];
  for (;;) {
    const id = before + logs.length + 1;
    assert.ok(id < 200, "some group is refused");
    try {
      logs.push(await machine.run(store.create(group(id), replica(id), EMPTY, text("config"))));
    } catch (error) {
      assert.ok(error instanceof DiskError && error.code === "ENOSPC" && error.path === "wal", String(error));
      assert.match(error.message, new RegExp(`files of 65536 bytes .* more than ${id - 1} groups: move replicas`));
      return logs;
    }
  }
}

// case 74
describe("groups of one broker", () => {
  it("are as many as the last file of the ring has room for; one more is refused by name, after a start too, and nothing else is", async () => {
    const machine = new Machine(31);
    let store = await machine.open(OPTIONS);
    const logs = await fill(machine, store);
    const count = logs.length;
    assert.ok(count > 20, `${count} groups`);
    assert.equal(machine.events.filter((event) => event.startsWith("log.groups_max")).length, 1);
    // In the middle of a file: no checkpoint is made by the start.
    machine.crash();
    store = await machine.open(OPTIONS);
    // Counted anew, not by what was made since.
    const { length: more } = await fill(machine, store, count);
    assert.ok(more < count / 2, `${more} more`);
    const log = store.open(group(1));
    await machine.run(new Promise<void>((durable) => append(log, term(1), [draft(1)], durable)));
    // Somebody goes: there is room again.
    for (let id = count + more; id > count + more - 5; id -= 1) await machine.run(store.drop(group(id)));
    await machine.run(store.close());
    store = await machine.open(OPTIONS);
    const next = count + more + 1;
    await machine.run(store.create(group(next), replica(next), EMPTY, text("config")));
    await machine.run(store.close());
    assert.deepEqual(machine.failures, []);
  });

  it("are counted at a start with all that is known of them by then", async () => {
    const machine = new Machine(33);
    let store = await machine.open(OPTIONS);
    const logs: GroupLog[] = [];
    for (let id = 1; id <= 20; id += 1) logs.push(await machine.run(store.create(group(id), replica(id), EMPTY, text(""))));
    for (const log of logs) append(log, term(1), [{ ...draft(log.groupId, 600), type: FrameType.config, recordCount: 0 }]);
    await machine.settle();
    machine.crash();
    store = await machine.open(OPTIONS);
    await assert.rejects(machine.run(store.create(group(21), replica(21), EMPTY, text(""))), /more than 20 groups/);
  });

  it("find room for a checkpoint, half a file of frames and a mark of each of them in a full ring, when there are as many as may be", async () => {
    const machine = new Machine(32);
    const store = await machine.open({ ...OPTIONS, segmentBytes: 2 * KiB });
    const logs = await fill(machine, store);
    for (let round = 0; round < 300; round += 1) {
      const log = logs[round % logs.length] as GroupLog;
      if (store.takes(1_000)) append(log, term(1), [draft(round, 800)]);
      await machine.scheduler.run(machine.scheduler.now + 5);
    }
    assert.ok(!store.takes(4_000), "the ring is full");
    for (const log of logs) log.commit(log.lastIndex);
    for (let tries = 0; !store.takes(4_000) && tries < 20; tries += 1) await machine.settle();
    assert.ok(store.takes(4_000));
    assert.equal(store.walFilesMax, OPTIONS.walFilesMax);
    await machine.run(store.close());
    assert.deepEqual(machine.failures, []);
  });

  it("take no more bytes than they are counted with", () => {
    const most = Number.MAX_SAFE_INTEGER;
    const mark: SyncedMark = {
      index: index(most),
      term: term(most),
      offset: offset(most),
      appendTime: most,
      baseIndex: index(most),
      baseOffset: offset(most),
      position: most,
      sealed: true,
    };
    const ids = { groupId: group(most), replicaId: replica(most) };
    assert.ok(encodeOp({ kind: "synced", ...ids, mark, terms: [] }).length <= MARK_BYTES);
    const image = new GroupImage(ids.groupId, ids.replicaId, { index: index(most), term: term(most), offset: offset(most) }, text("x"));
    assert.ok(encodeOp({ kind: "checkpoint", image: image.encode() }).length <= GROUP_BYTES + 1);
  });

  it("that are too many already, of a version that did not count, are told of at the start, once", () => {
    const told: string[] = [];
    const telemetry = { log: (_level: string, event: string) => void told.push(event), count() {}, observe() {} };
    const groups = new Map(Array.from({ length: 200 }, (_, n) => [n, n]));
    const room = new GroupRoom({ checkpointBytes: 20 * KiB }, groups, 64 * KiB, telemetry);
    room.look();
    room.look();
    assert.throws(() => room.admit(10), DiskError);
    assert.deepEqual(told, ["log.groups_max"]);
  });
});
