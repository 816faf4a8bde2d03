import type { MillraceError } from "../../base/errors.ts";
import type { GroupId, LogIndex } from "../../base/ids.ts";

/** The Raft group a machine runs on. */
export interface MachineGroup {
  readonly groupId: GroupId;
  /** What its log tells of, for messages: "metadata". */
  readonly name: string;
}

/** What facts make: equal facts in equal order give equal images on every broker. */
export interface MachineImage<Fact> {
  /**
   * The log has lost its end: an operator has given up the other replicas (ADR 0014), and whatever they alone had is as if it had never
   * been. Told where the log says so first, in its order, like a fact; before anybody decides again.
   *
   * @param recovery number of the recovery, which only rises @param atMs append time of the entry that says so
   */
  recovered?(recovery: number, atMs: number, index: LogIndex): void;
  /** Changes the image, never refuses: what does not fit is a bug. @param index of the frame the fact lies in; facts of one frame share it */
  replay(fact: Fact, index: LogIndex): void;
  /** The snapshot in slices of about a millisecond; what is replayed meanwhile is not in it. */
  slices(): Generator<Uint8Array>;
  /** Whoever holds this image sees another state from now on: that of a snapshot. @throws {MillraceError} when the bytes are none */
  become(snapshot: Uint8Array): void;
}

/** One of which a second one can be made, to decide on. */
export interface ClonedImage<Fact, Self> extends MachineImage<Fact> {
  clone(): Self;
}

/** How facts lie in the log: one frame of payload format `facts` for those of one decision. */
export interface FactCodec<Fact> {
  encode(facts: readonly Fact[]): Uint8Array;
  /** @throws when the payload holds something else than facts this version knows */
  decode(payload: Uint8Array): readonly Fact[];
  /** How many records they count as, for offsets (design §4). */
  records(facts: readonly Fact[]): number;
}

/** Of the broker that decides, milliseconds. */
export interface Now {
  readonly monotonic: number;
  readonly wall: number;
}

/** What to record, and what to answer once it is committed; or why not. A refusal, too, rests on facts that may not be committed yet. */
export type Decided<Fact, Reply> = { readonly facts: readonly Fact[]; readonly reply: Reply } | { readonly error: MillraceError };

/** What is answered, once all that it rests on is committed, and no later leader can have changed it before this was asked. @see Decider.submit */
export type Answer<Reply> =
  | { readonly reply: Reply /** Of the facts it made, or of the last one it rests on. */; readonly index: LogIndex }
  | { readonly error: MillraceError };

/** What is answered when nobody can decide here. */
export interface LeaderRefusals {
  /** This replica does not lead, or has not replayed everything yet. Nothing was written. */
  notLeading(): MillraceError;
  /** The replica would not take what was decided. Nothing was written. */
  steppingDown(): MillraceError;
  /** Leadership was lost before what was recorded was committed: it may be yet. */
  outcomeUnknown(): MillraceError;
}

/**
 * Replicated state over one Raft group (design §3): its leader decides commands, records what they change as facts, and answers when
 * those are committed; every replica replays them. All of it is pure: the loop in this folder has the log, the clock and the waits.
 */
export interface Machine<Image extends ClonedImage<Fact, Image>, Command, Fact, Reply> {
  readonly facts: FactCodec<Fact>;
  readonly refusals: LeaderRefusals;
  /** Reads the image, changes nothing. @param image all that was decided, also what is not committed yet */
  decide(image: Image, command: Command, now: Now): Decided<Fact, Reply>;
  /**
   * An answer to this command, that is no refusal and recorded nothing, may come from a leader that was deposed and does not know it yet:
   * nobody loses anything by it. Absent: none may.
   */
  bearsStale?(command: Command): boolean;
}
