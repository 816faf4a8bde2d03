import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ProducerId } from "../../src/base/ids.ts";
import type { Disk, DiskFile } from "../../src/base/ports/disk.ts";
import { DiskScheduler } from "../../src/log/disk-scheduler.ts";
import { type BlockRef, FrameOwner, HeldFrame } from "../../src/log/model/held.ts";
import { Producers } from "../../src/log/model/producers.ts";
import type { SyncedMark } from "../../src/log/model/records.ts";
import { SparseIndex } from "../../src/log/model/sparse-index.ts";
import { SegmentWriter } from "../../src/log/segment-writer.ts";
import { makeFrame } from "../../src/records/frame.ts";
import { draft, EMPTY, group, index, offset, replica, term } from "./frames.ts";

const MiB = 1024 * 1024;

/** A writer over files that only count, and keep what an index file holds. */
class Written {
  /** Bytes written by kind of file. */
  readonly bytes = { log: 0, index: 0 };
  readonly marks: SyncedMark[] = [];
  /** The newest index file. */
  index = new Uint8Array();
  readonly producers = new Producers();
  readonly writer: SegmentWriter;
  #waiting: HeldFrame[] = [];

  constructor(producers: number, more: { readonly segmentBytes?: number; readonly piece?: number } = {}) {
    for (let i = 0; i < 5 * producers; i += 1) {
      const [id, baseSequence] = [1 + (i % producers), Math.floor(i / producers)];
      this.producers.append({
        ...this.#place(1),
        index: index(0),
        producerId: id as ProducerId,
        producerEpoch: 0,
        baseSequence,
        recordCount: 1,
      });
    }
    this.producers.advance(index(0));
    const source = {
      groupId: group(7),
      replicaId: replica(8),
      producers: this.producers,
      writable: () => this.#waiting.splice(0, more.piece ?? 1),
      bytesOf: async (frames: readonly HeldFrame[]) => frames.flatMap(({ frame }) => frame ?? []),
      written: () => undefined,
      startPoint: () => ({ groupId: group(7), replicaId: replica(8), start: EMPTY, terms: [], config: new Uint8Array() }),
      began: () => undefined,
      synced: async (mark: SyncedMark) => void this.marks.push(mark),
    };
    const space = { attempt: <T>(_: string, work: () => Promise<T>) => work(), spent: () => undefined };
    const options = { segmentBytes: more.segmentBytes ?? 1024 * MiB, segmentMs: 1_000_000 };
    this.writer = new SegmentWriter(this.#disk(), new DiskScheduler(), space, source, options, undefined, assert.ifError);
  }

  /** Frames of 1 MiB, committed and durable. */
  async write(frames: number, from: number): Promise<void> {
    const bytes = draft(1, MiB);
    const owner = new FrameOwner(group(7));
    const block: BlockRef = { sequence: 1, position: 0, life: undefined };
    this.#waiting = Array.from({ length: frames }, (_, i) => new HeldFrame(owner, makeFrame(bytes, this.#place(from + i)), block, 0));
    this.writer.kick(1);
    await this.writer.alone(async () => {});
  }

  #place(at: number): Parameters<typeof makeFrame>[1] {
    return { groupId: group(7), index: index(at), term: term(1), baseOffset: offset((at - 1) * 2), appendTime: at };
  }

  #disk(): Disk {
    const file = (path: string): DiskFile => ({
      path,
      write: async (_, chunks) => {
        const kind = path.endsWith(".index") ? "index" : "log";
        for (const { length } of chunks) this.bytes[kind] += length;
        if (kind === "index") this.index = Uint8Array.from(chunks[0] ?? []);
      },
      read: async () => 0,
      sync: async () => {},
      truncate: async () => {},
      size: async () => 0,
      close: async () => {},
    });
    const no = (): never => assert.fail("not asked for here");
    return {
      root: "",
      open: async (path) => file(path),
      syncDirectory: async () => {},
      list: no,
      makeDirectory: no,
      rename: no,
      unlink: no,
      removeDirectory: no,
      freeBytes: no,
      lock: no,
    };
  }

  get indexedTo(): number {
    return SparseIndex.decode(this.index).facts.lastIndex;
  }
}

describe("The writer of a group's segments", () => {
  it("writes the index and the producers anew in proportion to what they describe, however often it syncs", async () => {
    const many = new Written(3_000);
    await many.write(40, 1);
    assert.deepEqual(
      many.marks.map((mark) => mark.index),
      [8, 16, 24, 32, 40],
      "each 8 MiB is synced",
    );
    assert.ok(many.bytes.index > 0 && many.bytes.index * 16 < many.bytes.log, `${many.bytes.index} of ${many.bytes.log} bytes are index`);
  });

  it("brings the index up to date when it is asked to flush, or seals, also where nothing is left to sync", async () => {
    for (const producers of [3, 3_000]) {
      const one = new Written(producers);
      await one.write(16, 1);
      assert.equal(one.indexedTo, producers === 3 ? 16 : 8, "a small one is always up to date");
      await one.writer.flush();
      assert.equal(one.indexedTo, 16);
      assert.equal(one.marks.length, 2, "there was nothing to sync");
      const { index: bytes } = one.bytes;
      await one.writer.flush();
      assert.equal(one.bytes.index, bytes, "it was");
      await one.write(1, 17);
      await one.writer.flush();
      assert.equal(one.indexedTo, 17);
    }
  });

  it("says once of all segments that a piece seals how far they are synced", async () => {
    const one = new Written(1, { segmentBytes: MiB, piece: 3 });
    await one.write(7, 1);
    const said = (): unknown => one.marks.map((mark) => [mark.index, mark.sealed]);
    assert.deepEqual(said(), [
      [2, true],
      [5, true],
      [6, true],
    ]);
    await one.writer.flush();
    assert.deepEqual(said(), [
      [2, true],
      [5, true],
      [6, true],
      [7, false],
    ]);
  });
});
