import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { GroupLog } from "../../src/log/types.ts";
import { append, draft, EMPTY, group, index, replica, term, text } from "./frames.ts";
import { KiB, Machine } from "./machine.ts";

const FRAME = 4 * KiB;

/** @returns whether the process died at the operation, and was not done before */
async function diesAfter(operations: number): Promise<boolean> {
  const machine = new Machine(81);
  const options = { walFilesMax: 6 };
  const store = await machine.open(options);
  const make = (id: number): Promise<GroupLog> => machine.run(store.create(group(id), replica(id), EMPTY, text("")));
  const [cut, other] = [await make(1), await make(2)];
  const durable = (log: GroupLog, bytes: number): Promise<void> =>
    machine.run(new Promise<void>((done) => append(log, term(1), [draft(log.lastIndex, bytes)], done)));
  // Nobody commits these: they keep the first file.
  for (let n = 0; n < 3; n += 1) await durable(cut, 100);
  while (store.walFilesUsed < 3) await durable(other, FRAME);
  for (let n = 0; n < 4; n += 1) await durable(other, FRAME);
  // More than the rest of the third file takes, and the one more that records may begin: it waits for the first one. The truncation stands behind it.
  for (let n = 0; n < 32; n += 1) append(other, term(1), [draft(other.lastIndex, FRAME)]);
  cut.write({ state: undefined, truncateFrom: index(1), frames: [] }, () => {});
  other.commit(index(8));
  let died = false;
  const last = machine.device.operations + operations;
  machine.device.watch = (_kind, _path, number) => {
    if (number !== last) return;
    machine.device.watch = undefined;
    died = true;
    machine.crash();
  };
  await machine.scheduler.run(machine.scheduler.now + 5_000, () => died);
  if (!died) return false;
  const again = await machine.open(options);
  assert.deepEqual(machine.events, [], "nothing is damaged");
  const recovered = again.recovered.find(({ groupId }) => groupId === 1);
  assert.ok(recovered?.lastIndex === 3 || recovered?.lastIndex === 0, `it ends at ${recovered?.lastIndex}`);
  const log = again.open(group(1));
  for (let at = 1; at <= log.lastIndex; at += 1) {
    const read = await machine.run(Promise.resolve(log.read(index(at), 1, log.lastIndex)));
    assert.ok(read.kind === "frames" && read.frames.length === 1);
  }
  return true;
}

// FS18
describe("frames that were cut, and whose truncation still waits to be written", () => {
  it("are there, all or none, after a crash at any operation: the file they lie in is not written over", async () => {
    let operations = 1;
    while (operations < 60 && (await diesAfter(operations))) operations += 1;
    assert.ok(operations > 13, `${operations} operations`);
  });
});
