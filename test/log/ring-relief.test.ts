import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { BlockBuilder } from "../../src/log/block-builder.ts";
import { Failure } from "../../src/log/failure.ts";
import { FrameOwner, type HeldFrame } from "../../src/log/model/held.ts";
import { Ring } from "../../src/log/model/ring.ts";
import { type ReliefLog, RingRelief } from "../../src/log/ring-relief.ts";
import { Scratch } from "../../src/log/slabs.ts";
import type { SystemRecord } from "../../src/log/system-records.ts";
import type { Frame } from "../../src/records/frame-types.ts";
import { draft, group, index, offset, term } from "./frames.ts";

const FILES = 4;

/** Everything that was begun has gone on as far as it can. */
const turns = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/**
 * A ring with one free file, for which votes wait, whose oldest file holds one frame of one group that is not committed. It takes place in memory
 * that was given back: to be appended again it has to be read.
 */
function waiting(asked = FILES, made = FILES) {
  const ring = new Ring(asked, made, [...Array(made).keys()], []);
  const [oldest] = [1, 10, 20].map((head) => Object.assign(ring.begin(head), { checkpointed: true }));
  assert.ok(oldest !== undefined);
  const owner = new FrameOwner(group(1));
  owner.pins.add(oldest, 1);
  const place = { groupId: group(1), index: index(1), term: term(1), baseOffset: offset(0), appendTime: 1 };
  const held = new BlockBuilder(new Scratch()).frame(owner, { draft: draft(1), place });
  held.block.life = oldest;
  const reads: ((frames: Frame[]) => void)[] = [];
  const records: SystemRecord[] = [];
  const failure = new Failure((error) => assert.fail(error));
  const wal = {
    votesWait: true,
    releases: false,
    get handedOver() {
      return records.length;
    },
    system: (record: SystemRecord) => void records.push(record),
  };
  let written = 0;
  const log: ReliefLog = {
    owner,
    frames: { written: index(0), between: () => [held] },
    toSegments: () => {
      written += 1;
      return Promise.resolve();
    },
    bytesIn: (life) => (owner.pins.range(life) === undefined ? 0 : held.length),
    stuckIn: (life) => owner.pins.range(life) !== undefined,
  };
  const relief = new RingRelief({
    clock: { monotonic: () => 0 },
    ring,
    filesMax: FILES,
    fileBytes: 64 * 1024,
    wal,
    walReader: { readMany: (_held: readonly HeldFrame[]) => new Promise((resolve) => reads.push(resolve)) },
    telemetry: { log() {}, count() {}, observe() {} },
    failure,
    space: { full: false },
    maker: { ahead() {} },
    logs: () => [log],
  });
  /** As the log says again and again while something waits. */
  const stalled = async (): Promise<void> => {
    for (let n = 0; n < 5; n += 1) {
      relief.relieve();
      await turns();
    }
  };
  return { ring, owner, oldest, held, reads, records, wal, stalled, relief, written: () => written };
}

// FS18
describe("A ring in which votes wait for a file", () => {
  it("does not grow while what keeps its oldest file is being read to be appended again, and does when that lets nothing go", async () => {
    const { ring, held, reads, records, stalled } = waiting();
    await stalled();
    assert.equal(reads.length, 1);
    assert.equal(ring.files, FILES, "nothing was handed over yet");
    reads[0]?.([held.frame ?? assert.fail()]);
    await turns();
    assert.deepEqual(
      records.map(({ kind }) => kind),
      ["again", "moved"],
    );
    await stalled();
    assert.equal(ring.files, FILES + 1);
  });

  it("does not grow while nothing keeps its oldest file but the block that says so, or a read", async () => {
    const { ring, owner, stalled } = waiting();
    owner.pins.truncate(1);
    await stalled();
    assert.equal(ring.files, FILES);
  });

  it("does not grow while records that let its oldest file go wait for their block, and have room", async () => {
    const { ring, reads, held, wal, stalled } = waiting();
    wal.releases = true;
    await stalled();
    reads[0]?.([held.frame ?? assert.fail()]);
    await stalled();
    assert.equal(ring.files, FILES);
    wal.releases = false;
    await stalled();
    assert.equal(ring.files, FILES + 1);
  });
});

describe("A ring that grew", () => {
  it("frees its files as if it had not: records do not find room in those it grew by", async () => {
    const { reads, relief } = waiting(FILES, 2 * FILES);
    relief.relieve();
    await turns();
    assert.equal(reads.length, 1);
  });
});

describe("A ring of which less than half is needed", () => {
  it("has what is committed written to segments when something found no room all the same", async () => {
    const { relief, written } = waiting(2 * FILES, 2 * FILES);
    relief.relieve();
    await turns();
    assert.equal(written(), 0);
    relief.relieve(true);
    await turns();
    assert.equal(written(), 1);
  });
});
