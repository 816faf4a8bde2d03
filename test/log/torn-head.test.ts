import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { GroupLog, LogStore } from "../../src/log/types.ts";
import { append, draft, EMPTY, group, replica, term } from "./frames.ts";
import { KiB, Machine } from "./machine.ts";

const GROUPS = 4;
/** Long enough that a checkpoint takes several sectors: its header may survive a power cut without its body. */
const CONFIG = new Uint8Array(600).fill(7);
const options = { walFilesMax: 6 };

function put(log: GroupLog, durable: () => void = () => {}): void {
  append(log, term(1), [draft(log.lastIndex, 4 * KiB)], durable);
  log.commit(log.lastIndex);
}

async function write(machine: Machine, log: GroupLog, frames: number): Promise<void> {
  for (let n = 0; n < frames; n += 1) await machine.run(new Promise<void>((durable) => put(log, durable)));
}

function firstOf(store: LogStore): GroupLog {
  const logs = store.recovered.map(({ groupId }) => store.open(groupId));
  return logs.find(({ groupId }) => groupId === 1) as GroupLog;
}

/** Goes round the ring, and loses power while the first block of a file is being written. */
async function diesAtHead(machine: Machine, log: GroupLog): Promise<void> {
  let path = "";
  let files = 0;
  let died = false;
  machine.device.watch = (kind, at) => {
    if (kind !== "write" || !at.startsWith("wal/") || at === path) return;
    path = at;
    files += 1;
    if (files < 4) return;
    machine.device.watch = undefined;
    died = true;
    machine.crash(true);
  };
  for (let n = 0; n < 300 && !died; n += 1) {
    put(log);
    await machine.scheduler.run(machine.scheduler.now + 20, () => died);
  }
  assert.ok(died);
}

describe("a ring file whose first block is torn", () => {
  it("is the next to be begun, so that it never looks like a part of the log", async () => {
    for (let seed = 1; seed <= 20; seed += 1) {
      const machine = new Machine(seed);
      const store = await machine.open(options);
      for (let id = 2; id <= GROUPS; id += 1) await machine.run(store.create(group(id), replica(id), EMPTY, CONFIG));
      const log = await machine.run(store.create(group(1), replica(1), EMPTY, CONFIG));
      await write(machine, log, 12);
      await machine.settle();
      await diesAtHead(machine, log);
      // The next block may go elsewhere; the ring goes on, and the machine dies once more.
      await write(machine, firstOf(await machine.open(options)), 6);
      machine.crash(seed % 2 === 0);
      await write(machine, firstOf(await machine.open(options)), 3);
      assert.deepEqual(machine.failures, [], `seed ${seed}`);
    }
  });
});
