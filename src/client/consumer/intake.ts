import { MillraceError } from "../../base/errors.ts";
import type { Inflate } from "../../base/ports/inflate.ts";
import { Compression, type FetchedBatch, type SubscribeResponse } from "../../protocol/public.ts";
import { Fifo } from "../fifo.ts";
import type { AssignedPartition } from "./assigned-partition.ts";
import { ConsumedBatch } from "./consumed-batch.ts";

/** A batch that came in: ready to be handed out, or still being inflated. */
interface Slot {
  readonly part: AssignedPartition;
  readonly wireBytes: number;
  batch: ConsumedBatch | undefined;
  /** It could not be inflated. */
  lost: boolean;
}

/**
 * What came in and was not handed out yet, in the order it came. Sees to it that offsets go on without gap or repetition; a batch
 * that is being inflated holds back those behind it.
 */
export class Intake {
  readonly #slots = new Fifo<Slot>();
  readonly #inflate: Inflate | undefined;
  readonly #inflatedBytesMax: number;
  readonly #changed: () => void;
  readonly #failed: (error: MillraceError) => void;
  #bytes = 0;

  /** @param changed there may be a batch at the head now */
  constructor(inflate: Inflate | undefined, inflatedBytesMax: number, changed: () => void, failed: (error: MillraceError) => void) {
    this.#inflate = inflate;
    this.#inflatedBytesMax = inflatedBytesMax;
    this.#changed = changed;
    this.#failed = failed;
  }

  /** Bytes held. */
  get bytes(): number {
    return this.#bytes;
  }

  get length(): number {
    return this.#slots.length;
  }

  /** @throws {MillraceError} DATA_LOSS when the broker left records out */
  take(part: AssignedPartition, message: SubscribeResponse): void {
    part.highWatermark = Math.max(part.highWatermark, message.highWatermark);
    for (const fetched of message.batches) this.#takeBatch(part, fetched);
    const end = part.untilOffset;
    if (message.done || (end !== undefined && (part.next as number) >= end)) part.received = true;
  }

  #takeBatch(part: AssignedPartition, fetched: FetchedBatch): void {
    const next = part.next as number;
    if (part.untilOffset !== undefined && next >= part.untilOffset) return;
    if (fetched.baseOffset > next) {
      throw new MillraceError("DATA_LOSS", `${part.topic}/${part.partition} goes on at offset ${fetched.baseOffset}, but ${next} is due`, {
        expected: String(next),
        offset: String(fetched.baseOffset),
      });
    }
    // By its own count, not by where the batch behind it begins: that would hide what is missing between them.
    const behind = fetched.baseOffset + fetched.recordCount;
    const end = Math.min(behind, part.untilOffset ?? behind);
    // An overlap: all of it was here before, or the front was.
    if (end <= next) return;
    const { appendTimeMs, appendTimed, term } = fetched;
    const place = { baseOffset: next, endOffset: end, appendTimeMs, appendTimed, term, highWatermark: part.highWatermark };
    const skip = next - fetched.baseOffset + fetched.skipRecords;
    part.next = end;
    part.lastTerm = term;
    const plain = fetched.records;
    if (plain !== undefined || fetched.compressedRecords.length === 0) {
      const records = plain ?? fetched.compressedRecords;
      this.#push({ part, wireBytes: records.length, batch: new ConsumedBatch(part, place, records, skip), lost: false });
      return;
    }
    const slot: Slot = { part, wireBytes: fetched.compressedRecords.length, batch: undefined, lost: false };
    this.#push(slot);
    this.#inflateInto(slot, fetched, (records) => new ConsumedBatch(part, place, records, skip));
  }

  #push(slot: Slot): void {
    this.#slots.push(slot);
    this.#bytes += slot.wireBytes;
  }

  #inflateInto(slot: Slot, fetched: FetchedBatch, make: (records: Uint8Array) => ConsumedBatch): void {
    if (this.#inflate === undefined || fetched.compression !== Compression.gzip) {
      throw new MillraceError(
        "COMPRESSION_UNSUPPORTED",
        `Cannot read ${slot.part.topic}/${slot.part.partition}: codec ${fetched.compression}`,
      );
    }
    // Nobody waits for the records of a partition that was taken away: what they failed of ends nothing.
    const failed = (error: MillraceError): void => {
      if (slot.part.gone) return;
      slot.lost = true;
      this.#failed(error);
      this.#changed();
    };
    this.#inflate.gunzip(fetched.compressedRecords, this.#inflatedBytesMax).then(
      (result) => {
        if ("failed" in result) {
          failed(
            new MillraceError(
              "DATA_LOSS",
              `A batch of ${slot.part.topic}/${slot.part.partition} at ${fetched.baseOffset} cannot be inflated: ${result.failed}`,
            ),
          );
          return;
        }
        slot.batch = make(result.bytes);
        this.#changed();
      },
      (error: unknown) => failed(new MillraceError("INTERNAL", `Inflating failed: ${String(error)}`)),
    );
  }

  /** The next batch, if it is ready. */
  give(): ConsumedBatch | undefined {
    for (let slot = this.#slots.peek(); slot !== undefined; slot = this.#slots.peek()) {
      // What stands behind one that is lost is never handed out.
      if (slot.lost && !slot.part.gone) return this.#clear();
      if (slot.batch === undefined && !slot.part.gone) return undefined;
      this.#slots.shift();
      this.#bytes -= slot.wireBytes;
      if (slot.part.gone) continue;
      slot.part.position = slot.batch?.endOffset;
      return slot.batch;
    }
    return undefined;
  }

  #clear(): undefined {
    while (this.#slots.shift() !== undefined);
    this.#bytes = 0;
  }
}
