import type { LogIndex, Offset, Term } from "../../base/ids.ts";
import { invariant } from "../../base/invariant.ts";
import type { ProducerBatch, ProducerEntry } from "../../log/types.ts";

/** Sequences are i32 ≥ 0: after 2^31 − 1 comes 0. */
export const SEQUENCE_MODULUS = 2 ** 31;
/** How many batches of a producer a partition remembers (design §6); older retries find ALREADY_WRITTEN. */
export const REMEMBERED_BATCHES = 5;

/** What the check needs to know of a batch with a producer id. */
export interface SequencedBatch {
  /** Always 0 in this version; the field is there for later. */
  readonly epoch: number;
  /** 0 … 2^31 − 1. */
  readonly baseSequence: number;
  /** ≥ 1. */
  readonly recordCount: number;
}

export type ProducerVerdict =
  /** Append it. */
  | { readonly kind: "accept" }
  /** A retry of a remembered batch: wait until the original at `index` meets the level asked for, then answer with its offset. */
  | { readonly kind: "duplicate"; readonly baseOffset: Offset; readonly index: LogIndex; readonly term: Term; readonly appendTime: number }
  /** A retry of a batch below the remembered ones: answer ALREADY_WRITTEN once everything up to `index` meets the level asked for. */
  | { readonly kind: "alreadyWritten"; readonly index: LogIndex }
  /** It may be a retry of something that damage keeps from being known: neither appended nor called new. */
  | { readonly kind: "notKnown" }
  /** Refused, nothing written. */
  | { readonly kind: "refused"; readonly code: "UNKNOWN_PRODUCER" | "INVALID_REQUEST" }
  | { readonly kind: "refused"; readonly code: "OUT_OF_ORDER_SEQUENCE"; readonly expected: number };

const ACCEPT: ProducerVerdict = { kind: "accept" };

/** The sequence after `count` records from `base` on. */
export function sequenceAfter(base: number, count: number): number {
  return (base + count) % SEQUENCE_MODULUS;
}

/**
 * Idempotence (design §6): is this batch new, a retry, or wrong? A retry is the same base sequence *and* the same count as one of
 * the last five batches; below them a batch is "already written"; every other overlap and every gap is refused. A producer id this
 * partition does not know starts at sequence 0.
 *
 * @param entry what the log knows of the producer as of its end, uncommitted frames included; undefined when it knows nothing
 * @param known false: there is more than it knows (`ProducerTable.known`)
 */
export function checkProducer(entry: ProducerEntry | undefined, batch: SequencedBatch, known = true): ProducerVerdict {
  const { baseSequence, recordCount } = batch;
  invariant(baseSequence >= 0 && baseSequence < SEQUENCE_MODULUS, () => `base sequence must be 0 to 2^31 - 1: got ${baseSequence}`);
  invariant(recordCount >= 1 && recordCount < SEQUENCE_MODULUS, () => `record count must be 1 to 2^31 - 1: got ${recordCount}`);
  const newest = entry?.batches.at(-1);
  if (entry === undefined || newest === undefined) {
    if (batch.epoch !== 0) return { kind: "refused", code: "INVALID_REQUEST" };
    if (!known) return { kind: "notKnown" };
    return baseSequence === 0 ? ACCEPT : { kind: "refused", code: "UNKNOWN_PRODUCER" };
  }
  if (batch.epoch !== entry.epoch) return { kind: "refused", code: "INVALID_REQUEST" };

  const expected = sequenceAfter(newest.baseSequence, newest.recordCount);
  if (baseSequence === expected) return ACCEPT;
  const original = entry.batches.find((each) => each.baseSequence === baseSequence && each.recordCount === recordCount);
  if (original !== undefined) return duplicateOf(original);
  const oldest = entry.batches[0];
  if (oldest !== undefined && isBelow(baseSequence, recordCount, oldest.baseSequence)) {
    // It lies in some frame before the oldest remembered one, which may be uncommitted itself: the answer waits for the frame between.
    if (entry.batches.length === REMEMBERED_BATCHES) return { kind: "alreadyWritten", index: Math.max(0, oldest.index - 1) as LogIndex };
    if (!known) return { kind: "notKnown" };
  }
  return { kind: "refused", code: "OUT_OF_ORDER_SEQUENCE", expected };
}

function duplicateOf({ baseOffset, index, term, appendTime }: ProducerBatch): ProducerVerdict {
  return { kind: "duplicate", baseOffset, index, term, appendTime };
}

/**
 * Whether all of (base, count) ends at or before `oldestBase`, looking back at most half of the ring: further back it cannot be told
 * from a sequence ahead.
 */
function isBelow(base: number, count: number, oldestBase: number): boolean {
  const back = (oldestBase - base + SEQUENCE_MODULUS) % SEQUENCE_MODULUS;
  return back >= count && back <= SEQUENCE_MODULUS / 2;
}
