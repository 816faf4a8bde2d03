import { MillraceError } from "../../../src/base/errors.ts";
import { walkRecordSet } from "../../../src/records/record-set.ts";

export interface StoredBatch {
  readonly baseOffset: number;
  readonly count: number;
  readonly producerId: number;
  readonly baseSequence: number;
  /** A plain record set, or a compressed one. */
  readonly records: Uint8Array;
  readonly compressed: boolean;
  readonly term: number;
}

interface ProducerState {
  next: number;
  batches: StoredBatch[];
}

/** One partition's log as all its replicas agree on it, with the idempotence rules of design §6, to the letter. */
export class PartitionLog {
  batches: StoredBatch[] = [];
  logStart = 0;
  end = 0;
  leader: string;
  term = 1;
  readonly producers = new Map<number, ProducerState>();

  constructor(leader: string) {
    this.leader = leader;
  }

  /** @returns the batch as stored, and whether it was there before @throws {MillraceError} as a broker would */
  append(batch: { producerId: number | undefined; baseSequence: number; count: number; records: Uint8Array; compressed: boolean }): {
    stored: StoredBatch;
    duplicate: boolean;
  } {
    if (!batch.compressed && walkRecordSet(batch.records).recordCount !== batch.count) throw new Error("count is wrong");
    const stored: StoredBatch = {
      baseOffset: this.end,
      count: batch.count,
      producerId: batch.producerId ?? -1,
      baseSequence: batch.baseSequence,
      records: batch.records.slice(),
      compressed: batch.compressed,
      term: this.term,
    };
    if (batch.producerId !== undefined) {
      if (batch.baseSequence < 0) throw new MillraceError("INVALID_REQUEST", "base_sequence must be 0 to 2^31 - 1");
      const known = this.#check(batch.producerId, batch.baseSequence, batch.count);
      if (known !== undefined) return { stored: known, duplicate: true };
      const state = this.producers.get(batch.producerId) ?? { next: 0, batches: [] };
      state.next = (batch.baseSequence + batch.count) % 2 ** 31;
      state.batches = [...state.batches, stored].slice(-5);
      this.producers.set(batch.producerId, state);
    }
    this.batches.push(stored);
    this.end += batch.count;
    return { stored, duplicate: false };
  }

  #check(producerId: number, baseSequence: number, count: number): StoredBatch | undefined {
    const state = this.producers.get(producerId);
    if (state === undefined) {
      if (baseSequence !== 0) throw new MillraceError("UNKNOWN_PRODUCER", `${producerId} is not known`);
      return undefined;
    }
    const same = state.batches.find((batch) => batch.baseSequence === baseSequence && batch.count === count);
    if (same !== undefined) return same;
    if (baseSequence === state.next) return undefined;
    if (baseSequence < state.next && baseSequence < (state.batches[0]?.baseSequence ?? 0)) {
      throw new MillraceError("ALREADY_WRITTEN", "written long ago");
    }
    throw new MillraceError("OUT_OF_ORDER_SEQUENCE", `got ${baseSequence}, expected ${state.next}`, {
      expected_sequence: String(state.next),
    });
  }
}
