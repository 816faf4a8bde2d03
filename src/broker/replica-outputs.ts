import type { LogIndex, ReplicaId } from "../base/ids.ts";
import type { Message } from "../raft/types.ts";
import type { Frame, FrameDraft } from "../records/frame-types.ts";

/** What travels through the core: a draft when this replica leads, the leader's frame when it follows. */
export type ReplicaPayload = FrameDraft | Frame;

/** Where a replica's outputs go. All calls are synchronous, in the order design §5 makes safe. */
export interface ReplicaOutputs {
  /** `frames` are the entries of an append, in order; empty for every other message. */
  send(to: ReplicaId, message: Message<ReplicaPayload>, frames: readonly Frame[]): void;
  /** The commit index rose. */
  committed(index: LogIndex): void;
  /** Entries from here on were cut off (only ever on a follower). */
  truncated(from: LogIndex): void;
  /** Other replicas vote or learn now; `Replica.members` shows them. */
  configured(): void;
  /** Role, term or leader changed. */
  roleChanged(): void;
  /** Something a wait may depend on moved: a durable index here or at a follower, the commit index, the role. Last call of each turn. */
  progressed(): void;
  /** `readIndex(context)` is answered; undefined: leadership was lost, ask again elsewhere. */
  read(context: number, index: LogIndex | undefined): void;
  transferEnded(to: ReplicaId, done: boolean): void;
  /** Stream committed frames `from`…`upTo` to this follower in bulk, then call `extended`. */
  extend(to: ReplicaId, from: LogIndex, upTo: LogIndex): void;
  /** This replica now rests with that one, or rests no more (ADR 0016). */
  rest(replica: ReplicaId, on: boolean): void;
  /** This follower lacks what this log does not have any more: tell it to begin where this log begins, then call `resetDone`. */
  reset(to: ReplicaId): void;
  /** When this replica next needs `tick`. */
  wakeAt(deadline: number): void;
}
