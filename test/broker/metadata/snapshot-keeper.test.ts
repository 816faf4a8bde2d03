import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { LogIndex } from "../../../src/base/ids.ts";
import { silentTelemetry } from "../../../src/base/ports/telemetry.ts";
import { SnapshotKeeper, type SnapshottedReplica } from "../../../src/broker/machine/snapshot-keeper.ts";
import { metadataNotices } from "../../../src/broker/metadata/metadata-snapshots.ts";
import { MetadataImage } from "../../../src/cluster/image.ts";
import { index, offset, term, text } from "../../log/frames.ts";

/** A view at `applied` over a log whose first 5 entries are synced, with the configuration of entry 3 in force there. */
class Fixture {
  applied = 10;
  appliedBytes = 0;
  syncedIndex = 5;
  config = text("of entry 3");
  configs = [
    { index: index(8), config: text("of entry 8") },
    { index: index(12), config: text("of entry 12, not committed") },
  ];
  readonly written: { readonly index: number; readonly config: string }[] = [];
  readonly gone: number[] = [];
  /** On the disk. */
  files: LogIndex[] = [];
  /** Runs while the image is being written down. */
  meanwhile = (): void => {};
  readonly image = new MetadataImage();
  readonly keeper: SnapshotKeeper;

  constructor(kept: readonly number[] = []) {
    this.files = kept.map(index);
    const fixture = this;
    const replica: SnapshottedReplica = {
      serves: false,
      propose: () => ({ kind: "refused", why: "not-leader" }),
      keepAbove: () => index(0),
      snapshotAt: () => undefined,
      core: { durable: index(1000), term: term(1) },
      log: {
        get asRecovered() {
          const { syncedIndex, config, configs } = fixture;
          const start = { index: index(0), term: term(0), offset: offset(0) };
          const ids = { groupId: 1 as never, replicaId: 1 as never };
          const more = { term: term(1), votedFor: undefined, start, terms: [], lastIndex: index(1000), doubted: false };
          return { ...ids, ...more, syncedIndex: index(syncedIndex), config, configs };
        },
        start: { index: index(0), term: term(0), offset: offset(0) },
        startOffset: offset(0),
        dropTrimmed() {},
        push() {},
      },
    };
    const view = {
      image: this.image,
      get applied() {
        return index(fixture.applied);
      },
      get position() {
        return { start: { index: index(fixture.applied), term: term(1), offset: offset(fixture.applied) }, appendTime: 1 };
      },
      get appliedBytes() {
        return fixture.appliedBytes;
      },
    };
    const snapshots = {
      write: async ({ start, config }: { start: { index: LogIndex }; config: Uint8Array }) => {
        this.written.push({ index: start.index, config: new TextDecoder().decode(config) });
        this.files.push(start.index);
      },
      prune: async (wanted: (at: LogIndex) => boolean) => {
        this.gone.push(...this.files.filter((at) => !wanted(at)));
        this.files = this.files.filter(wanted);
      },
    };
    const ports = {
      background: {
        run: async (slice: () => boolean) => {
          this.meanwhile();
          while (!slice());
        },
      },
      notices: metadataNotices(silentTelemetry),
      failed: (error: unknown) => assert.fail(String(error)),
    };
    const places = kept.map((at) => ({ index: index(at), offset: offset(at) }));
    this.keeper = new SnapshotKeeper(snapshots, replica, view, { everyBytes: 100, recoveryEpoch: 0 }, ports, places);
  }

  /** So many more entries are applied, worth a snapshot. */
  async apply(to: number): Promise<void> {
    this.applied = to;
    this.appliedBytes += 100;
    this.keeper.advanced();
    for (let i = 0; i < 20; i += 1) await Promise.resolve();
  }
}

describe("a snapshot of the metadata", () => {
  it("carries the configuration committed as of its entry, no later one (scenario 50)", async () => {
    const run = new Fixture();
    await run.apply(7);
    await run.apply(11);
    assert.deepEqual(run.written, [
      { index: 7, config: "of entry 3" },
      { index: 11, config: "of entry 8" },
    ]);
  });

  it("carries it also when segments are synced beyond its entry while it is being taken (scenario 50)", async () => {
    const run = new Fixture();
    run.meanwhile = () => {
      run.syncedIndex = 30;
      run.config = text("of entry 12");
      run.configs = [];
    };
    await run.apply(11);
    assert.deepEqual(run.written, [{ index: 11, config: "of entry 8" }]);
  });

  it("is not taken while entries below the synced index are replayed: which configuration was in force there is not known any more", async () => {
    const run = new Fixture();
    run.syncedIndex = 20;
    run.config = text("of entry 18");
    run.configs = [];
    await run.apply(15);
    assert.deepEqual(run.written, []);
    await run.apply(20);
    assert.deepEqual(run.written, [{ index: 20, config: "of entry 18" }]);
  });

  it("takes the place of the oldest of the two kept, and of no newer one that came for a reset", async () => {
    const run = new Fixture([4]);
    await run.apply(10);
    run.files.push(index(500));
    await run.apply(20);
    assert.deepEqual([run.gone, run.files], [[4], [10, 500, 20]]);
  });

  it("removes nothing, and is followed by no other, once the replica is closed", async () => {
    const run = new Fixture([2, 4]);
    run.meanwhile = () => run.keeper.close();
    await run.apply(10);
    assert.deepEqual([run.gone, run.written.length], [[], 1]);
    await run.apply(20);
    assert.equal(run.written.length, 1);
  });
});
