import { type LagSample, lagOf } from "./lag.ts";

/**
 * - ok: it has caught up lately, or comes nearer
 * - warn: offsets are committed, and the lag grows all the same
 * - stalled: a member holds the partition, there are records, and nothing has been committed for a whole window
 * - stopped: the same, and nobody holds it
 * - rewind: the committed offset went back lately
 */
export type Verdict = "ok" | "warn" | "stalled" | "stopped" | "rewind";

/**
 * What is remembered of a partition's samples: a handful of times instead of the samples, since a coordinator has a hundred thousand
 * partitions to judge. Soft state; milliseconds are of the coordinator's monotonic clock.
 */
export interface LagTrack {
  readonly committed: number | undefined;
  readonly lag: number;
  /** When the committed offset last moved forwards; when it was first looked at, if it never did. */
  readonly advancedAt: number;
  /** When it last went back; undefined: never. */
  readonly rewoundAt: number | undefined;
  /** When the lag was last 0; undefined: never. */
  readonly caughtUpAt: number | undefined;
  /** When the lag last shrank, or was first looked at, and what it was then. */
  readonly shrankAt: number;
  readonly shrankTo: number;
}

/** @param before undefined: the partition was never looked at */
export function track(before: LagTrack | undefined, sample: LagSample, now: number): LagTrack {
  const { committed } = sample;
  const lag = lagOf(sample);
  const caughtUpAt = lag === 0 ? now : before?.caughtUpAt;
  if (before === undefined) return { committed, lag, advancedAt: now, rewoundAt: undefined, caughtUpAt, shrankAt: now, shrankTo: lag };
  const advanced = committed !== undefined && (before.committed === undefined || committed > before.committed);
  const rewound = committed !== undefined && before.committed !== undefined && committed < before.committed;
  // Where it goes on from after a rewind is a new beginning: neither the way back nor the lag it made is held against it.
  const begins = lag < before.lag || rewound;
  return {
    committed,
    lag,
    advancedAt: advanced ? now : before.advancedAt,
    rewoundAt: rewound ? now : before.rewoundAt,
    caughtUpAt,
    shrankAt: begins ? now : before.shrankAt,
    shrankTo: begins ? lag : before.shrankTo,
  };
}

/**
 * @param owned a member holds the partition
 * @param windowMs nothing is held against a group that it did within this: longer than the pause between two commits, and than the time
 * between two samples
 */
export function verdictOf(track: LagTrack, owned: boolean, now: number, windowMs: number): Verdict {
  const lately = (at: number | undefined): boolean => at !== undefined && now - at < windowMs;
  if (lately(track.rewoundAt)) return "rewind";
  if (track.lag === 0 || lately(track.caughtUpAt)) return "ok";
  if (!lately(track.advancedAt)) return owned ? "stalled" : "stopped";
  return !lately(track.shrankAt) && track.lag > track.shrankTo ? "warn" : "ok";
}
