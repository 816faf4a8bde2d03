import assert from "node:assert/strict";
import { MillraceError } from "../../../src/base/errors.ts";
import { Compression, SubscribeRequest, SubscribeResponse, type SubscribeStart } from "../../../src/protocol/public.ts";
import { cutRecordSet } from "../../../src/records/record-set.ts";
import type { FakeCluster, ServerSide, Wire } from "./cluster.ts";
import type { PartitionLog, StoredBatch } from "./partition-log.ts";

interface Cursor {
  readonly partition: number;
  readonly until: number | undefined;
  next: number;
  done: boolean;
}

/** A broker's side of `Subscribe`: whole batches as stored, the first one cut when it is plain, at its own pace. */
export class FakeSubscribeStream implements ServerSide {
  readonly #cluster: FakeCluster;
  readonly #wire: Wire;
  #topic = "";
  #topicId = "";
  #cursors: Cursor[] = [];
  #open = true;
  /** Something was sent in this turn, and how many bytes. */
  #fed = false;
  #credit = 0;
  /** Whose turn it is. */
  #first = 0;
  #paused = false;

  constructor(cluster: FakeCluster, wire: Wire) {
    this.#cluster = cluster;
    this.#wire = wire;
  }

  received(message: Uint8Array): void {
    const request = SubscribeRequest.decode(message);
    this.#topic = request.topic;
    this.#topicId = request.topicId;
    this.#cursors = request.partitions.map((start) => cursorOf(start));
    this.#turn();
  }

  #turn(): void {
    if (!this.#open) return;
    try {
      this.#credit = this.#cluster.creditBytes;
      const { length } = this.#cursors;
      for (let n = 0; n < length && !this.#paused && this.#credit > 0; n++) {
        const cursor = this.#cursors[this.#first] as Cursor;
        this.#first = (this.#first + 1) % length;
        if (!cursor.done) this.#feed(cursor, this.#cluster.logs(this.#topic, this.#topicId)[cursor.partition] as PartitionLog);
      }
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error;
      this.#wire.endFromServer(error);
      return;
    }
    if (!this.#open) return;
    if (this.#cursors.every((cursor) => cursor.done)) {
      this.#wire.endFromServer();
      return;
    }
    const { idleMs, world } = this.#cluster;
    const rest = this.#fed ? 0 : idleMs;
    this.#fed = false;
    world.after(1 + world.random.below(5) + rest, () => this.#turn());
  }

  #feed(cursor: Cursor, log: PartitionLog): void {
    const { random } = this.#cluster.world;
    if (random.chance(this.#cluster.faults.breakBefore)) {
      this.#wire.break();
      return;
    }
    if (cursor.next < log.logStart || cursor.next > log.end) {
      throw new MillraceError("OFFSET_OUT_OF_RANGE", `offset ${cursor.next}`, {
        partition: String(cursor.partition),
        log_start_offset: String(log.logStart),
        high_watermark: String(log.end),
      });
    }
    const first = log.batches.findIndex((batch) => batch.baseOffset + batch.count > cursor.next);
    const batches = first < 0 ? [] : log.batches.slice(first, first + 1 + random.below(4));
    if (batches.length === 0 && (cursor.until === undefined || cursor.next < cursor.until)) return;
    this.#fed = true;
    for (const { records } of batches) this.#credit -= records.length;
    const last = batches.at(-1);
    const next = last === undefined ? cursor.next : last.baseOffset + last.count;
    const from = cursor.next;
    cursor.next = next;
    cursor.done = cursor.until !== undefined && next >= cursor.until;
    this.#wire.reply(
      SubscribeResponse.encode({
        partition: cursor.partition,
        batches: batches.map((batch) => fetched(batch, from, random.chance(0.5))),
        highWatermark: log.end,
        nextOffset: next,
        done: cursor.done,
      }),
    );
  }

  halfClosed(): void {}

  gone(): void {
    this.#open = false;
  }

  paused(paused: boolean): void {
    this.#paused = paused;
  }
}

function cursorOf(start: SubscribeStart): Cursor {
  assert.notEqual(start.lastTerm, 0, "no record is of term 0");
  return { partition: start.partition, next: start.offset ?? 0, until: start.untilOffset, done: false };
}

/** @param cuts a broker may cut a plain batch at the front; a compressed one it cannot */
function fetched(batch: StoredBatch, from: number, cuts: boolean) {
  const skip = Math.max(0, from - batch.baseOffset);
  const { term } = batch;
  if (!batch.compressed && !cuts) return { baseOffset: batch.baseOffset, recordCount: batch.count, records: batch.records, term };
  const baseOffset = batch.baseOffset + skip;
  const recordCount = batch.count - skip;
  if (!batch.compressed) return { baseOffset, recordCount, records: cutRecordSet(batch.records, skip), term };
  return { baseOffset, recordCount, compressedRecords: batch.records, compression: Compression.gzip, skipRecords: skip, term };
}
