import type { LogIndex, Offset, ProducerId, Term } from "../../base/ids.ts";
import { type ByteReader, type ByteWriter, Malformed } from "./bytes.ts";

/** Batches remembered per producer: a retry of any of them is recognized (design §6). */
export const PRODUCER_BATCHES_MAX = 5;
/** Producers remembered per partition; the least recently written leaves first. */
export const PRODUCERS_MAX = 10_000;
/** Of append time, as read from the log, so that every replica forgets at the same index. */
export const PRODUCER_EXPIRY_MS = 7 * 24 * 60 * 60 * 1000;
/** Stands where the number of producers does: what they wrote before was not known when this was written. */
const NOT_KNOWN = 0xffff_ffff;

/** One batch of an idempotent producer. */
export interface SequencedBatch {
  readonly baseSequence: number;
  readonly recordCount: number;
  readonly baseOffset: Offset;
  readonly index: LogIndex;
  readonly term: Term;
  readonly appendTime: number;
}

export interface ProducerState {
  readonly epoch: number;
  /** Newest last; at most five. */
  readonly batches: readonly SequencedBatch[];
}

/** What the table needs of a frame. */
export interface SequencedFrame extends SequencedBatch {
  readonly producerId: ProducerId;
  readonly producerEpoch: number;
}

interface Pending {
  readonly producerId: number;
  readonly epoch: number;
  readonly batch: SequencedBatch;
}

/**
 * Sequences of idempotent producers, kept with the log: a base as of some committed index, and the batches above it. Truncation
 * drops from the top; what the five newest pushed out comes back, because the base never saw them. Eviction and expiry happen only
 * in the base, in log order, so equal bases at equal indexes are equal everywhere.
 *
 * A table may be *not known*: what stood before it could not be read. It counts what comes, but a batch that looks new to it may be
 * a retry, and what is derived from it says so, until the right base is found (`adopt`).
 */
export class Producers {
  /** In order of last write, least recent first. */
  readonly #base = new Map<number, ProducerState>();
  /** Above the base, by index; those before `#head` are folded into it already. */
  #pending: Pending[] = [];
  #head = 0;
  /** The same by producer. */
  readonly #pendingOf = new Map<number, Pending[]>();
  #known = true;

  /** One of which the base is not known. */
  static lost(): Producers {
    const producers = new Producers();
    producers.#known = false;
    return producers;
  }

  /** False: there was more than what is in it. */
  get known(): boolean {
    return this.#known;
  }

  /** Ids known as of the end of the log. */
  get size(): number {
    let size = this.#base.size;
    for (const id of this.#pendingOf.keys()) if (!this.#base.has(id)) size += 1;
    return size;
  }

  /** As of the end of the log. */
  get(producerId: number): ProducerState | undefined {
    const base = this.#base.get(producerId);
    const pending = this.#pendingOf.get(producerId);
    if (pending === undefined) return base;
    // Five pending ones leave nothing to be seen of the base.
    let state = pending.length >= PRODUCER_BATCHES_MAX ? undefined : base;
    for (const one of pending.slice(-PRODUCER_BATCHES_MAX)) state = withBatch(state, one);
    return state;
  }

  /** A frame was appended. Frames without a producer are ignored. */
  append(frame: SequencedFrame): void {
    if (frame.producerId < 0) return;
    const pending = { producerId: frame.producerId, epoch: frame.producerEpoch, batch: batchOf(frame) };
    this.#pending.push(pending);
    const sameProducer = this.#pendingOf.get(frame.producerId);
    if (sameProducer === undefined) this.#pendingOf.set(frame.producerId, [pending]);
    else sameProducer.push(pending);
  }

  /** Frames from here on are gone. Never reaches below the base. */
  truncate(from: LogIndex): void {
    while (this.#pending.length > this.#head && (this.#pending.at(-1) as Pending).batch.index >= from) {
      const { producerId } = this.#pending.pop() as Pending;
      this.#pendingOf.get(producerId)?.pop();
      this.#forgetEmpty(producerId);
    }
  }

  /** Frames up to here are committed: they become base. */
  advance(index: LogIndex): void {
    for (let next = this.#pending[this.#head]; next !== undefined && next.batch.index <= index; next = this.#pending[this.#head]) {
      this.#head += 1;
      this.#pendingOf.get(next.producerId)?.shift();
      this.#forgetEmpty(next.producerId);
      this.#fold(next);
    }
    if (this.#head > 64 && this.#head * 2 > this.#pending.length) {
      this.#pending = this.#pending.slice(this.#head);
      this.#head = 0;
    }
  }

  /** A copy of the base alone. */
  copy(): Producers {
    const copy = new Producers();
    copy.#known = this.#known;
    for (const [id, state] of this.#base) copy.#base.set(id, state);
    return copy;
  }

  /**
   * As of an earlier index, as far as it can be told from here: who wrote five batches or more since has none left of before, and whoever
   * goes on from there with the frames since knows the same in the end.
   */
  asOf(index: LogIndex): Producers {
    const then = new Producers();
    then.#known = this.#known;
    for (const [id, { epoch, batches }] of this.#base) {
      const left = batches.filter((batch) => batch.index <= index);
      if (left.length > 0) then.#base.set(id, { epoch, batches: left });
    }
    return then;
  }

  /** Takes another base, as of the same index: the former could not be read. */
  adopt(base: Producers): void {
    this.#known = base.#known;
    this.#base.clear();
    for (const [id, state] of base.#base) this.#base.set(id, state);
  }

  /** The base alone. */
  write(out: ByteWriter): void {
    if (!this.#known) {
      out.u32(NOT_KNOWN);
      return;
    }
    out.u32(this.#base.size);
    for (const [id, { epoch, batches }] of this.#base) {
      out.i53(id).i32(epoch).u8(batches.length);
      for (const batch of batches) {
        out.i32(batch.baseSequence).u32(batch.recordCount).i53(batch.baseOffset);
        out.i53(batch.index).i53(batch.term).i53(batch.appendTime);
      }
    }
  }

  /** @throws {Malformed} */
  static read(from: ByteReader): Producers {
    const producers = new Producers();
    const count = from.u32();
    if (count === NOT_KNOWN) return Producers.lost();
    if (count > PRODUCERS_MAX) throw new Malformed(`${count} producers`);
    for (let i = 0; i < count; i += 1) {
      const id = from.i53();
      const epoch = from.i32();
      const batches: SequencedBatch[] = [];
      for (let left = from.u8(); left > 0; left -= 1) {
        batches.push({
          baseSequence: from.i32(),
          recordCount: from.u32(),
          baseOffset: from.i53() as Offset,
          index: from.i53() as LogIndex,
          term: from.i53() as Term,
          appendTime: from.i53(),
        });
      }
      producers.#base.set(id, { epoch, batches });
    }
    return producers;
  }

  #fold(pending: Pending): void {
    const { producerId, batch } = pending;
    const state = withBatch(this.#base.get(producerId), pending);
    this.#base.delete(producerId);
    this.#base.set(producerId, state);
    for (const [id, oldest] of this.#base) {
      const last = oldest.batches.at(-1)?.appendTime ?? 0;
      if (this.#base.size <= PRODUCERS_MAX && batch.appendTime - last <= PRODUCER_EXPIRY_MS) break;
      this.#base.delete(id);
    }
  }

  #forgetEmpty(producerId: number): void {
    if (this.#pendingOf.get(producerId)?.length === 0) this.#pendingOf.delete(producerId);
  }
}

function batchOf(frame: SequencedFrame): SequencedBatch {
  const { baseSequence, recordCount, baseOffset, index, term, appendTime } = frame;
  return { baseSequence, recordCount, baseOffset, index, term, appendTime };
}

function withBatch(state: ProducerState | undefined, { epoch, batch }: Pending): ProducerState {
  // A new epoch starts its sequence again: older batches mean nothing to it.
  if (state === undefined || state.epoch !== epoch) return { epoch, batches: [batch] };
  return { epoch, batches: [...state.batches.slice(1 - PRODUCER_BATCHES_MAX), batch] };
}
