import { FIRST_ALLOCATED_ID } from "../base/ids.ts";

/** How far ids jump when the metadata was recovered (design §7), at least. */
const ID_JUMP = 2 ** 32;
/** Ids that are an epoch's own: two recoveries that know nothing of each other give out different ones. */
const IDS_OF_EPOCH = 2 ** 20;
/** Fewer are given out between two recoveries. */
const GIVEN_MAX = 2 ** 31;

/** The first id that is given out in a recovery epoch. What the lost majority gave out, and nobody here has read, is not given again. */
export function firstAfterRecovery(next: number, recoveryEpoch: number): number {
  return Math.max(next + ID_JUMP, recoveryEpoch * IDS_OF_EPOCH);
}

/**
 * The metadata has recorded to whom it gave this id, and has lost nothing of it since: it was given out in the present recovery epoch. Of
 * one from before a recovery nobody knows that: it may have been recorded by the majority that was lost.
 *
 * @param next the next one to be given out
 */
export function isOnRecord(id: number, next: number, recoveryEpoch: number): boolean {
  const first = recoveryEpoch === 0 ? FIRST_ALLOCATED_ID : recoveryEpoch * IDS_OF_EPOCH;
  // Further above, the epoch began with a jump from where the one before stood, and that is not known any more.
  return id >= first && id < next && next - first < GIVEN_MAX;
}
