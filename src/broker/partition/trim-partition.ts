import { MillraceError } from "../../base/errors.ts";
import type { LogIndex, Offset } from "../../base/ids.ts";
import { trimDraft } from "../../records/trim.ts";
import type { Partition } from "./partition.ts";

/** What became of a trim that somebody asked for. */
export interface Trimmed {
  readonly logStartOffset: Offset;
  readonly highWatermark: Offset;
  /** False: the log began there already, or later; nothing was changed. */
  readonly moved: boolean;
}

export type TrimDone = (outcome: Trimmed | MillraceError) => void;

/**
 * Lets go of every record below an offset (design §4, Trim). Answered once the trim is committed: from then on no replica serves them.
 *
 * @param before undefined: all that are committed now
 * @param confirmed asks whether this replica leads still: one that was cut off does not know what its successor has committed
 */
export function trimPartition(
  partition: Partition,
  before: Offset | undefined,
  confirmed: (done: (index: LogIndex | undefined) => void) => void,
  done: TrimDone,
): () => void {
  let over = false;
  let cancelWait = (): void => {};
  confirmed((index) => {
    if (over) return;
    if (index === undefined || !partition.accepts) return done(partition.notLeader());
    const { replica, highWatermark, logStartOffset } = partition;
    const to = before ?? highWatermark;
    if (to > highWatermark) return done(beyond(partition, to));
    if (to <= logStartOffset) return done({ logStartOffset, highWatermark, moved: false });
    const proposed = replica.propose([trimDraft(to)], replica.core.term);
    if (proposed.kind === "refused") return done(partition.notLeader());
    cancelWait = partition.whenCommitted(proposed.lastIndex, (failure) =>
      done(failure ?? { logStartOffset: partition.logStartOffset, highWatermark: partition.highWatermark, moved: true }),
    );
  });
  return () => {
    over = true;
    cancelWait();
  };
}

function beyond({ name, logStartOffset, highWatermark }: Partition, to: Offset): MillraceError {
  return new MillraceError("OFFSET_OUT_OF_RANGE", `Cannot trim ${name} to offset ${to}: it holds ${logStartOffset} to ${highWatermark}`, {
    log_start_offset: String(logStartOffset),
    high_watermark: String(highWatermark),
  });
}
