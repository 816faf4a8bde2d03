import type { GroupId, LogIndex, Offset } from "../base/ids.ts";
import type { Frame } from "../records/frame-types.ts";

/**
 * Bytes at or below the synced index that are bad or missing (design §4, *Damage*). The frames are committed, so other replicas have
 * them: the replica stays a voter, leaves the in-sync replicas, and copies the range from one of them.
 */
export interface Hole {
  readonly groupId: GroupId;
  readonly first: LogIndex;
  /** One below `first` when every frame is whole and only the start point at the head of the file is not. */
  readonly last: LogIndex;
  /** The file, relative to the data directory, and the byte where it stops being what was written. */
  readonly path: string;
  readonly position: number;
  readonly what: string;
}

/** A hole as its segment knows it. */
export interface SegmentHole extends Omit<Hole, "groupId" | "path"> {
  /** Offset of the first record that is gone, and of the first one behind. */
  readonly firstOffset: Offset;
  readonly endOffset: Offset;
  /** Where the next whole frame begins; undefined: the hole reaches to the end of the segment. */
  readonly end: number | undefined;
}

/** A read came to a hole before it found a frame. */
export class HoleMet extends Error {
  override readonly name = "HoleMet";
  readonly hole: SegmentHole;
  constructor(hole: SegmentHole) {
    super(`frames ${hole.first} to ${hole.last} are not what was written: ${hole.what}`);
    this.hole = hole;
  }
}

/** Where frames for a hole come from: some from `first` on, none above `last`; undefined when nobody has them now. */
export type PullFrames = (first: LogIndex, last: LogIndex) => Promise<readonly Frame[] | undefined>;
