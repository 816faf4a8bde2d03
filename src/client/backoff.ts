import type { Random } from "../base/ports/random.ts";

/** Milliseconds before the first repeated attempt. */
export const BACKOFF_MS_MIN = 10;
/** Most milliseconds between two attempts. */
export const BACKOFF_MS_MAX = 1_000;

/**
 * How long to wait before the next attempt: doubles from 10 ms to 1 s, half of it drawn, so that clients that failed together
 * do not come back together.
 *
 * @param failures attempts that failed in a row, ≥ 1
 * @param atLeastMs what the broker asked for (`RetryInfo`)
 */
export function backoffMs(failures: number, random: Random, atLeastMs = 0): number {
  const most = Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** Math.min(failures - 1, 10));
  const drawn = most / 2 + random.below(Math.ceil(most / 2) + 1);
  return Math.max(drawn, Math.min(atLeastMs, 30_000));
}
