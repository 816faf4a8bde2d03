import { MillraceError } from "../../base/errors.ts";
import type { Offset } from "../../base/ids.ts";
import { FrameType, nextOffsetOf, PayloadFormat } from "../../records/frame-types.ts";
import type { ReadablePartition } from "./reader.ts";
import type { TimeSearches } from "./time-searches.ts";

/** Record times, milliseconds since 1970; undefined: there is no such record. */
export interface LagAges {
  /** Of the first record that is not done with. */
  readonly oldest: number | undefined;
  /** Of the newest record. */
  readonly newest: number | undefined;
}

/**
 * How old the first record at or behind `from` is, and the newest one: by the headers of their batches, so a record is as old as the first
 * of its batch. In turns with searches by time: it may take reading from the disk.
 *
 * @param done not called once it was given up; undefined: they could not be read
 * @returns gives it up
 */
export function agesFrom(
  searches: Pick<TimeSearches, "run">,
  partition: ReadablePartition,
  from: number,
  done: (ages: LagAges | undefined) => void,
): () => void {
  const search = searches.run(async (stopped) => {
    let ages: LagAges | undefined;
    try {
      ages = await readAges(partition, from, stopped);
    } catch {
      // Whatever keeps it from being read is said to who reads the records.
    }
    if (!stopped()) done(ages);
  });
  if (!(search instanceof MillraceError)) return search;
  done(undefined);
  return () => {};
}

async function readAges(partition: ReadablePartition, from: number, stopped: () => boolean): Promise<LagAges> {
  const { highWatermark, logStartOffset } = partition;
  const first = Math.max(from, logStartOffset);
  if (first >= highWatermark) return { oldest: undefined, newest: undefined };
  const oldest = await timesAt(partition, first as Offset, stopped);
  const newest = await timesAt(partition, (highWatermark - 1) as Offset, stopped);
  return { oldest: oldest?.first, newest: newest?.last };
}

async function timesAt(
  { replica }: ReadablePartition,
  offset: Offset,
  stopped: () => boolean,
): Promise<{ readonly first: number; readonly last: number } | undefined> {
  const read = replica.log.readFrom(offset, 1, replica.core.commit, stopped);
  const result = read instanceof Promise ? await read : read;
  if (result.kind !== "frames") return undefined;
  for (const frame of result.frames) {
    const { type, format, appendTimed, appendTime, firstTimestamp, maxTimestamp } = frame;
    if (type !== FrameType.data || format !== PayloadFormat.records || nextOffsetOf(frame) <= offset) continue;
    if (appendTimed === true) return { first: appendTime, last: appendTime };
    // 0: some of its records have the time of the append.
    const first = firstTimestamp === 0 ? appendTime : firstTimestamp;
    return { first, last: Math.max(first, maxTimestamp) };
  }
  return undefined;
}
