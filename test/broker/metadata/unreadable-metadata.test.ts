import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { crc32c } from "../../../src/base/crc32c.ts";
import { MillraceError } from "../../../src/base/errors.ts";
import { type BrokerId, type ClusterId, METADATA_GROUP } from "../../../src/base/ids.ts";
import { silentTelemetry } from "../../../src/base/ports/telemetry.ts";
import { Applier } from "../../../src/broker/machine/applier.ts";
import { MetadataFollower, TAIL_METHOD } from "../../../src/broker/metadata/metadata-tail.ts";
import { MetadataView } from "../../../src/broker/metadata/metadata-view.ts";
import type { CallDone } from "../../../src/broker/peers/peer-calls.ts";
import { encodeFacts, type Fact } from "../../../src/cluster/facts.ts";
import { type FeatureLevels, RAISED_LEVEL_MIN, supportedLevels } from "../../../src/cluster/feature-levels.ts";
import { MetadataImage } from "../../../src/cluster/image.ts";
import { encodeSnapshot, joined, type Snapshot } from "../../../src/log/model/snapshot-file.ts";
import { SnapshotPiece } from "../../../src/protocol/routing.ts";
import { makeFrame } from "../../../src/records/frame.ts";
import { type Frame, PayloadFormat } from "../../../src/records/frame-types.ts";
import { SimClock } from "../../../src/testing/sim/clock.ts";
import { SimProcess } from "../../../src/testing/sim/process.ts";
import { Scheduler } from "../../../src/testing/sim/scheduler.ts";
import { draft, index, offset, replica, term, text } from "../../log/frames.ts";

const EARLIER: FeatureLevels = { min: 1, max: RAISED_LEVEL_MIN - 1 };
const raise: Fact = { kind: "featureLevelRaised", level: supportedLevels.max, since: "9.9.9" };
const facts: readonly Fact[] = [
  { kind: "clusterFormed", clusterId: "c" as ClusterId, seeds: [], recoveryEpoch: 0, featureLevel: 1 },
  raise,
  { kind: "clusterConfigChanged", set: new Map([["retention.ms", "5"]]), delete: [] },
];

const frames: readonly Frame[] = facts.map((fact, at) => {
  const payload = encodeFacts([fact]);
  return makeFrame(draft(at, 0, { format: PayloadFormat.facts, payload, payloadCrc: crc32c(payload), recordCount: 1 }), {
    groupId: METADATA_GROUP,
    index: index(at + 1),
    term: term(1),
    baseOffset: offset(at),
    appendTime: 1,
  });
});

function snapshot(): Snapshot {
  const image = new MetadataImage();
  for (const [at, fact] of facts.entries()) image.replay(fact, index(at + 1));
  const start = { index: index(3), term: term(1), offset: offset(3) };
  const header = { groupId: METADATA_GROUP, replicaId: replica(1), start, appendTime: 0, recoveryEpoch: 0, config: text("") };
  return { header, state: image.snapshot() };
}

function isNamed(error: unknown): void {
  assert.ok(error instanceof MillraceError, String(error));
  assert.equal(error.code, "UNSUPPORTED_FEATURE_LEVEL");
  assert.match(error.message, /start this broker with version 9\.9\.9 or later; what is on its disk is whole/);
}

describe("Metadata of a later feature level than a broker understands (ADR 0020)", () => {
  for (const [where, frame] of [
    ["memory", (at: number) => frames[at - 1]],
    ["the disk", () => undefined],
  ] as const)
    it(`ends it once, by name, when it comes from ${where}, and nothing behind it is applied`, async () => {
      const view = new MetadataView(EARLIER);
      const failures: unknown[] = [];
      const log = { frame, read: () => Promise.resolve({ kind: "frames" as const, frames: [...frames] }) };
      const applier = new Applier(
        log,
        view,
        () => {},
        (error) => void failures.push(error),
        () => assert.fail("no snapshot is missing"),
      );
      applier.committed(index(3));
      for (let i = 0; i < 20; i += 1) await Promise.resolve();
      applier.committed(index(3));
      assert.deepEqual([failures.length, view.applied, view.image.featureLevel, view.image.clusterConfigs.size], [1, 1, 1, 0]);
      isNamed(failures[0]);
    });

  for (const from of ["log", "snapshot"] as const)
    it(`ends a broker that has no replica of it and reads the ${from} of another one, instead of being asked for for ever`, async () => {
      const scheduler = new Scheduler(1);
      const clock = new SimClock(new SimProcess(scheduler, "broker"));
      const view = new MetadataView(EARLIER);
      const { header, state } = snapshot();
      const parts = [...encodeSnapshot(header, [state])];
      const file = joined(
        parts,
        parts.reduce((bytes, part) => bytes + part.length, 0),
      );
      const tail =
        from === "log"
          ? joined(
              frames.map(({ bytes }) => bytes),
              frames.reduce((sum, { bytes }) => sum + bytes.length, 0),
            )
          : new Uint8Array(1);
      let asked = 0;
      const call = (_to: BrokerId, method: string, _body: readonly Uint8Array[], _timeoutMs: number, done: CallDone): (() => void) => {
        asked += 1;
        if (method === TAIL_METHOD) done({ body: tail });
        else done({ body: SnapshotPiece.encode({ index: 3, total: file.length, piece: file }) });
        return () => {};
      };
      const follower = new MetadataFollower(clock, silentTelemetry, { call, connected: () => true }, view, () => [2 as BrokerId]);
      let failed: unknown;
      follower.run().catch((error: unknown) => {
        failed = error;
      });
      await scheduler.run(scheduler.now + 2_000, () => failed !== undefined);
      follower.stop();
      isNamed(failed);
      assert.equal(asked, from === "log" ? 1 : 2);
    });
});
