import type { GroupId, LogIndex } from "../../base/ids.ts";

/** What facts make: equal facts in equal order give equal images on every broker. */
export interface MachineImage<Fact> {
  /** Changes the image, never refuses: what does not fit is a bug. @param index of the frame the fact lies in; facts of one frame share it */
  replay(fact: Fact, index: LogIndex): void;
  /** The snapshot in slices of about a millisecond; what is replayed meanwhile is not in it. */
  slices(): Generator<Uint8Array>;
  /** Whoever holds this image sees another state from now on: that of a snapshot. @throws {MillraceError} when the bytes are none */
  become(snapshot: Uint8Array): void;
}

/** The Raft group a machine runs on. */
export interface MachineGroup {
  readonly groupId: GroupId;
  /** What its log tells of, for messages: "metadata". */
  readonly name: string;
  /** Names the method of the bulk connection by which a broker reads the newest snapshot of another one, piece by piece. */
  readonly snapshotMethod: string;
}
