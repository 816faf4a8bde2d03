import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { BrokerId, LogIndex } from "../../../src/base/ids.ts";
import { silentTelemetry } from "../../../src/base/ports/telemetry.ts";
import { Applier } from "../../../src/broker/machine/applier.ts";
import { SNAPSHOT_METHOD } from "../../../src/broker/machine/snapshot-transfer.ts";
import { MetadataFollower, TAIL_METHOD } from "../../../src/broker/metadata/metadata-tail.ts";
import { MetadataView } from "../../../src/broker/metadata/metadata-view.ts";
import type { CallDone } from "../../../src/broker/peers/peer-calls.ts";
import { MetadataImage } from "../../../src/cluster/image.ts";
import { encodeSnapshot, joined, type Snapshot } from "../../../src/log/model/snapshot-file.ts";
import type { ReadResult } from "../../../src/log/types.ts";
import { SnapshotPiece } from "../../../src/protocol/routing.ts";
import { SimClock } from "../../../src/testing/sim/clock.ts";
import { SimProcess } from "../../../src/testing/sim/process.ts";
import { Scheduler } from "../../../src/testing/sim/scheduler.ts";
import { group, index, offset, replica, term, text } from "../../log/frames.ts";

function whole(parts: readonly Uint8Array[]): Uint8Array {
  return joined(
    parts,
    parts.reduce((sum, part) => sum + part.length, 0),
  );
}

function snapshotAt(at: number): Snapshot {
  const start = { index: index(at), term: term(1), offset: offset(at) };
  const header = { groupId: group(1), replicaId: replica(1), start, appendTime: 0, recoveryEpoch: 0, config: text("") };
  return { header, state: whole([...new MetadataImage().slices()]) };
}

/** Lets promises that are settled go on. */
async function turn(): Promise<void> {
  for (let i = 0; i < 20; i += 1) await Promise.resolve();
}

function applierOf(view: MetadataView, read: () => Promise<ReadResult>) {
  const failures: unknown[] = [];
  let arrive = (_: Snapshot): void => {};
  const missing = new Promise<Snapshot>((resolve) => {
    arrive = resolve;
  });
  const log = { frame: () => undefined, read };
  const applier = new Applier(
    log,
    view,
    () => {},
    (error) => void failures.push(error),
    () => missing,
  );
  return { applier, failures, arrive: (at: number) => arrive(snapshotAt(at)) };
}

const below = (): Promise<ReadResult> =>
  Promise.resolve({ kind: "below-start", start: { index: index(5), term: term(1), offset: offset(5) } });

describe("a metadata snapshot that took long", () => {
  it("is not gone back to when the view came further by another one meanwhile", async () => {
    const view = new MetadataView();
    const { applier, failures, arrive } = applierOf(view, below);
    applier.committed(index(9));
    await turn();
    view.become(snapshotAt(20));
    arrive(7);
    await turn();
    assert.deepEqual([view.applied, failures], [20, []]);
  });

  it("is nobody's once the replica is closed, and neither is a read of its log that fails", async () => {
    const view = new MetadataView();
    const { applier, arrive, failures } = applierOf(view, below);
    applier.committed(index(9));
    await turn();
    applier.close();
    arrive(7);
    await turn();
    assert.deepEqual([view.applied, failures], [0, []]);
    const other = applierOf(view, () => Promise.reject(new Error("the log began elsewhere")));
    other.applier.committed(index(9));
    other.applier.close();
    await turn();
    assert.deepEqual(other.failures, []);
  });

  it("is not gone back to by a broker that follows another one's log, when its own log came further", async () => {
    const view = new MetadataView();
    const scheduler = new Scheduler(1);
    const clock = new SimClock(new SimProcess(scheduler, "broker"));
    const asked: string[] = [];
    const call = (_to: BrokerId, method: string, _body: readonly Uint8Array[], _timeoutMs: number, done: CallDone): (() => void) => {
      asked.push(method);
      if (asked.length > 2) return () => {};
      if (method === TAIL_METHOD) done({ body: new Uint8Array(1) });
      if (method === SNAPSHOT_METHOD) {
        view.become(snapshotAt(20));
        const { header, state } = snapshotAt(7);
        const file = whole([...encodeSnapshot(header, [state])]);
        done({ body: SnapshotPiece.encode({ index: 7 as LogIndex, total: file.length, piece: file }) });
      }
      return () => {};
    };
    const links = { call, connected: () => true };
    const follower = new MetadataFollower(clock, silentTelemetry, links, view, () => [2 as BrokerId]);
    let failed: unknown;
    follower.run().catch((error: unknown) => {
      failed = error;
    });
    await scheduler.run(scheduler.now + 1_000, () => asked.length > 2);
    follower.stop();
    assert.deepEqual([asked.slice(0, 2), failed, view.applied], [[TAIL_METHOD, SNAPSHOT_METHOD], undefined, 20]);
  });
});
