import type { LogIndex, Offset } from "../../base/ids.ts";
import type { GroupLog } from "../../log/types.ts";

/** Where another replica's log begins: what it says to who asks it for frames that it does not have any more. */
export interface TrimmedElsewhere {
  /** Of the last entry that it may have dropped. */
  readonly index: LogIndex;
  /** Its log start offset: a trim to there is committed. */
  readonly offset: Offset;
}

/** As much of a replica as this needs. */
export interface ObeyingReplica {
  readonly log: Pick<GroupLog, "holes" | "segments" | "obeyTrim" | "dropTrimmed">;
  /** The newest snapshot of a machine's group from which this log goes on; undefined: none, or no machine's. */
  readonly snapshotAt: () => LogIndex | undefined;
  passedOver: LogIndex;
}

/**
 * What is damaged here, and gone where it could come from, because its trim was committed: the log begins behind it from now on, as
 * theirs do. The record of that trim was lost here together with the frames, and may be trimmed away itself, so that it never comes again.
 *
 * A partition begins behind what the committed trim passes over, never further. A machine's log does not need what its own snapshot says
 * (Raft §7), trimmed or not: whoever is further behind is reset to the snapshot. Without one it waits.
 *
 * @returns the last entry that it passed over; undefined: nothing of what is damaged may be
 */
export function obeyTrim(replica: ObeyingReplica, elsewhere: TrimmedElsewhere): LogIndex | undefined {
  const { log } = replica;
  const snapshot = replica.snapshotAt() ?? 0;
  const gone = log.holes.filter(({ first }) => first <= elsewhere.index).map(({ first, last }) => Math.max(first, last));
  const segments = gone.map((index) => log.segments.find(({ lastIndex }) => lastIndex >= index)).filter((one) => one !== undefined);
  const behind = segments.findLast(({ endOffset, lastIndex }) => endOffset <= elsewhere.offset || lastIndex <= snapshot);
  if (behind === undefined || behind.lastIndex <= replica.passedOver) return undefined;
  if (!log.obeyTrim(Math.max(behind.endOffset, elsewhere.offset) as Offset)) return undefined;
  replica.passedOver = behind.lastIndex;
  log.dropTrimmed();
  return behind.lastIndex;
}
