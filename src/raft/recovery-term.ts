import type { Term } from "../base/ids.ts";

/** Terms between two recoveries of a group. Leaders and candidates raise the term by one each, so no group ever had so many. */
export const TERMS_OF_RECOVERY = 2 ** 36;
/** A recovery begins in one of so many places there, drawn. */
const PLACES = 2 ** 20;
const TERMS_OF_PLACE = TERMS_OF_RECOVERY / PLACES;

/**
 * The first term after a recovery (ADR 0014). Nobody who is left knows which terms the lost majority was in, and whoever read its records names
 * them by their term (ADR 0023): so it is above all that could have come, not only above those that are known. Another survivor may have
 * been gone on from as well, by whoever does not know of this one: their places are drawn, so that the two have no term in common.
 *
 * @param known the highest one anybody who is left has heard of
 * @param draw 0 … below 1
 * @returns a safe integer above `known`; right above it once 2¹⁷ recoveries have used up all wide gaps
 */
export function termAfterRecovery(known: Term, draw: () => number): Term {
  const block = (Math.floor(known / TERMS_OF_RECOVERY) + 1) * TERMS_OF_RECOVERY;
  if (block + TERMS_OF_RECOVERY > Number.MAX_SAFE_INTEGER) return (known + 1) as Term;
  return (block + Math.floor(draw() * PLACES) * TERMS_OF_PLACE) as Term;
}
