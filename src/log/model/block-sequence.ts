/**
 * No disk has written more blocks than this: ten thousand in each second of fifty years. A number that somebody tells of a disk may be
 * anything; one above this was never true, and a disk that took it for its own would believe no peer any more (ADR 0012).
 */
export const BLOCK_SEQUENCE_MAX = 2 ** 44;

/** Whether a disk can have got so far. */
export function isBlockSequence(told: unknown): told is number {
  return typeof told === "number" && Number.isSafeInteger(told) && told >= 0 && told <= BLOCK_SEQUENCE_MAX;
}
