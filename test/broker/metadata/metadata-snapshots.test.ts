import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { BrokerId } from "../../../src/base/ids.ts";
import { MetadataSnapshots } from "../../../src/broker/metadata/metadata-snapshots.ts";
import { MetadataView } from "../../../src/broker/metadata/metadata-view.ts";
import type { SnapshotHeader } from "../../../src/log/model/snapshot-file.ts";
import type { LogStore } from "../../../src/log/types.ts";
import { SimClock } from "../../../src/testing/sim/clock.ts";
import { append, EMPTY, group, index, noop, offset, replica, term, text } from "../../log/frames.ts";
import { Machine } from "../../log/machine.ts";

const headerAt = (at: number, inTerm: number): SnapshotHeader => ({
  groupId: group(1),
  replicaId: replica(1),
  start: { index: index(at), term: term(inTerm), offset: offset(0) },
  appendTime: 1000,
  recoveryEpoch: 0,
  config: text("who votes"),
});

/** A log with entries 1 to 10 of term 1 and 11 to 20 of term 3, and ten more of a later one, and these snapshots, opened again. */
async function restoredFrom(
  snapshots: readonly SnapshotHeader[],
  later?: number,
): Promise<{ readonly restored: number; readonly said: readonly string[] }> {
  const machine = new Machine();
  const before = await machine.open();
  const log = await machine.run(before.create(group(1), replica(1), EMPTY, text("first")));
  append(log, term(1), Array.from({ length: 10 }, noop));
  append(log, term(3), Array.from({ length: 10 }, noop));
  if (later !== undefined) append(log, term(later), Array.from({ length: 10 }, noop));
  for (const header of snapshots) await machine.run(before.snapshots(group(1)).write(header, [text("state")]));
  await machine.settle();
  machine.crash(true);
  const store: LogStore = await machine.open();
  const said: string[] = [];
  const ports = {
    clock: new SimClock(machine.process),
    links: { call: () => () => {} },
    background: { run: () => Promise.resolve() },
    telemetry: {
      log: (_level: string, _event: string, fields?: object) => void said.push(JSON.stringify(fields)),
      count() {},
      observe() {},
    },
    failed: (error: unknown) => assert.fail(String(error)),
  };
  const options = { everyBytes: 1, recoveryEpoch: 0 };
  const files = store.snapshots(group(1));
  const found = new MetadataSnapshots(files, new MetadataView(), [2 as BrokerId], options, ports);
  return { restored: await machine.run(found.restore(store.open(group(1)))), said };
}

describe("the metadata's snapshots at a start", () => {
  it("give the newest one that the log leads through: its entry must be of the same term (scenario 49)", async () => {
    assert.deepEqual(await restoredFrom([headerAt(8, 1), headerAt(15, 3)]), { restored: 15, said: [] });
    const { restored, said } = await restoredFrom([headerAt(8, 1), headerAt(15, 5)]);
    assert.equal(restored, 8, "entry 15 of this log, of term 3, was never committed");
    assert.match(said.join(), /snapshot at 15 is of term 5, the log has an entry of term 3 there/);
  });

  it("leave out one from beyond the end of a salvaged log, which may go on with another history: it is named when the log gets there", async () => {
    const own = [headerAt(8, 1), headerAt(25, 3)];
    assert.deepEqual(await restoredFrom(own), { restored: 8, said: [] });
    // A recovery went on from what the log had.
    const { restored, said } = await restoredFrom(own, 9);
    assert.equal(restored, 8);
    assert.match(said.join(), /snapshot at 25 is of term 3, the log has an entry of term 9 there/);
  });

  it("give none when the log contradicts all of them, and never one from beyond its end", async () => {
    assert.equal((await restoredFrom([headerAt(8, 2), headerAt(15, 5), headerAt(21, 3)])).restored, 0);
  });
});
