/** One partition of a group as it is seen at one moment. */
export interface LagSample {
  /** Undefined: nothing is committed; the group begins at the start of the log. */
  readonly committed: number | undefined;
  readonly logStartOffset: number;
  /** Of the same answer as the log start offset. It may be older than the commit: that is no lag below 0. */
  readonly highWatermark: number;
}

/** First record of the partition that the group has not done with: what retention took meanwhile is not waited for. */
export function firstUnprocessed({ committed, logStartOffset }: LagSample): number {
  return Math.max(committed ?? logStartOffset, logStartOffset);
}

/**
 * Records between what is committed and the high watermark. Never negative, and what retention took away does not count: a group whose
 * committed offset lies below an emptied log has no lag.
 */
export function lagOf(sample: LagSample): number {
  return Math.max(0, sample.highWatermark - firstUnprocessed(sample));
}

export interface LagTimes {
  /** How far the group is behind in the log's own time: from the first record it has not done with to the newest, milliseconds. */
  readonly timeLagMs: number;
  /** How long the first record it has not done with has been waiting, milliseconds. */
  readonly oldestAgeMs: number;
}

/**
 * @param oldest timestamp of the record at `firstUnprocessed`, or of the first one behind it; undefined: it could not be read
 * @param newest greatest timestamp of the partition
 * @param wall now, milliseconds since 1970
 * @returns undefined when there is lag and nobody knows how old it is; clocks of producers that are ahead make no negative times
 */
export function lagTimes(lag: number, oldest: number | undefined, newest: number | undefined, wall: number): LagTimes | undefined {
  if (lag === 0) return { timeLagMs: 0, oldestAgeMs: 0 };
  if (oldest === undefined) return undefined;
  return { timeLagMs: Math.max(0, (newest ?? oldest) - oldest), oldestAgeMs: Math.max(0, wall - oldest) };
}
