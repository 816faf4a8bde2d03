/**
 * Sequence numbers of idempotent producers: i32, one per record, from 0 to 2^31 - 1 and then 0 again (design §6).
 * -1 in a frame means "no producer" and takes no part in this arithmetic.
 */
const SEQUENCES = 2 ** 31;

export function isSequence(n: number): boolean {
  return Number.isInteger(n) && n >= 0 && n < SEQUENCES;
}

/** The sequence `count` records after `from`: of the batch that follows one of `count` records at `from`. */
export function advanceSequence(from: number, count: number): number {
  return (from + count) % SEQUENCES;
}

/** Of the last record in a batch of `count` ≥ 1. */
export function lastSequence(base: number, count: number): number {
  return (base + count - 1) % SEQUENCES;
}

/** How many records forward from `from` to `to`, 0 … 2^31 - 1. */
export function sequenceDistance(from: number, to: number): number {
  return (to - from + SEQUENCES) % SEQUENCES;
}
