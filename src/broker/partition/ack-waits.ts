import type { LogIndex, ReplicaId } from "../../base/ids.ts";
import { invariant } from "../../base/invariant.ts";
import type { WaitedLevel } from "./acks.ts";
import { IndexFifo } from "./index-fifo.ts";

/** Why a wait ended without an acknowledgement. Both mean: outcome unknown. */
export type AckFailure = "LEADERSHIP_LOST" | "NOT_ENOUGH_REPLICAS_AFTER_APPEND";

/** Called once, in index order per level. `undefined`: the level is met. It must not call `update`, `truncated` or `leadershipLost`. */
export type AckCallback = (failure: AckFailure | undefined) => void;

/** What decides (design §6); taken anew whenever one of them changes. Indexes never fall within one term. */
export interface AckState {
  /** Raft commit index; may be above `durableOwn`. */
  readonly commit: LogIndex;
  /** Highest index durable in the leader's own log. */
  readonly durableOwn: LogIndex;
  /** Recorded ISR plus every member of an open proposal; all voters before the claim is known (`IsrTracker.required`). Never empty. */
  readonly required: readonly ReplicaId[];
  /** Highest index known durable on a replica, the leader included; undefined when nothing is known. */
  readonly durableOf: (replica: ReplicaId) => LogIndex | undefined;
  /** Recorded members only; the number of voters before the claim is known. */
  readonly isrSize: number;
  readonly minIsr: number;
}

/** Handle of one wait, for `cancel`. */
export interface AckWait {
  readonly level: WaitedLevel;
  readonly index: LogIndex;
}

class Wait implements AckWait {
  readonly level: WaitedLevel;
  readonly index: LogIndex;
  readonly bytes: number;
  readonly callback: AckCallback;
  gone = false;
  settled = false;
  constructor(level: WaitedLevel, index: LogIndex, bytes: number, callback: AckCallback) {
    this.level = level;
    this.index = index;
    this.bytes = bytes;
    this.callback = callback;
  }
}

/** Bytes nobody waits for any more, of a frame that is neither committed nor truncated. */
interface Abandoned {
  readonly index: LogIndex;
  readonly bytes: number;
  gone: boolean;
}

/**
 * Pending acknowledgements of one partition (design §6): a FIFO by log index per level, examined by `update` whenever commit, a
 * durable index, the recorded ISR, an open proposal, the minimum or the role changes. O(1) amortised per batch; no promise, no timer.
 *
 * LEADER is met when the frame is durable here; QUORUM when it is committed; ALL when it is committed *and* durable on every
 * member of the required set *and* enough replicas are recorded in sync.
 *
 * Bytes of a batch count (`pendingBytes`, bounded by `produce.pending.max.bytes`) while somebody waits for it, and in any case
 * until it is committed or truncated: a caller that gives up (deadline, cancel) must not make room for more of what is stuck.
 */
export class AckWaits {
  readonly #pendingBytesMax: number;
  readonly #leader = new IndexFifo<Wait>();
  readonly #quorum = new IndexFifo<Wait>();
  readonly #all = new IndexFifo<Wait>();
  readonly #abandoned = new IndexFifo<Abandoned>();
  #pendingBytes = 0;
  #commit = 0 as LogIndex;
  #state: AckState | undefined;

  /** @param pendingBytesMax `produce.pending.max.bytes` */
  constructor(pendingBytesMax: number) {
    this.#pendingBytesMax = pendingBytesMax;
  }

  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /** Waits not yet answered. */
  get size(): number {
    return this.#leader.size + this.#quorum.size + this.#all.size;
  }

  /** Before append: false means PENDING_FULL, nothing written. */
  admits(bytes: number): boolean {
    return this.#pendingBytes + bytes <= this.#pendingBytesMax;
  }

  /**
   * Waits until the frame at `index` meets `level`. For a batch just appended, or for the original of a retried one (which may lie
   * anywhere below). Answers at once, inside this call, what is met or failed already.
   *
   * @param bytes of the request; 0 is allowed
   */
  add(level: WaitedLevel, index: LogIndex, bytes: number, callback: AckCallback): AckWait {
    const wait = new Wait(level, index, bytes, callback);
    this.#pendingBytes += bytes;
    this.#fifo(level).add(wait);
    if (this.#state !== undefined) this.#examine(level, this.#state);
    return wait;
  }

  /** Examines all waits against what holds now. */
  update(state: AckState): void {
    invariant(state.required.length > 0, "the required set is never empty: it holds the leader");
    this.#state = state;
    this.committed(state.commit);
    this.#examine("LEADER", state);
    this.#examine("QUORUM", state);
    this.#examine("ALL", state);
  }

  /**
   * The caller gave up (deadline, cancel, gone): its callback is never called, the outcome is unknown to it, its bytes stay counted
   * until the frame is committed or truncated.
   * @returns false when the wait was answered before
   */
  cancel(wait: AckWait): boolean {
    invariant(wait instanceof Wait, "a wait comes from add()");
    if (wait.settled) return false;
    this.#fifo(wait.level).remove(wait);
    this.#settle(wait);
    return true;
  }

  /**
   * This replica no longer leads the term: every wait ends LEADERSHIP_LOST. What was met was answered by the `update` before; the
   * shell performs `committed` of a Ready before its `role`. The frames may still be committed by the next leader.
   */
  leadershipLost(): void {
    this.#state = undefined;
    for (const fifo of [this.#leader, this.#quorum, this.#all]) this.#failAll(fifo, "LEADERSHIP_LOST");
  }

  /** Commit rose; needed on its own only while this replica does not lead (bytes of abandoned batches are given back). */
  committed(commit: LogIndex): void {
    if (commit <= this.#commit) return;
    this.#commit = commit;
    for (let item = this.#abandoned.takeUpTo(commit); item !== undefined; item = this.#abandoned.takeUpTo(commit)) {
      this.#pendingBytes -= item.bytes;
    }
  }

  /** The log was cut: frames from `from` on are gone. Only a follower truncates, so nobody waits. */
  truncated(from: LogIndex): void {
    invariant(this.size === 0, "a leader never truncates its own log (Raft §5.3, scenario 36)");
    for (let item = this.#abandoned.takeFrom(from); item !== undefined; item = this.#abandoned.takeFrom(from)) {
      this.#pendingBytes -= item.bytes;
    }
  }

  #fifo(level: WaitedLevel): IndexFifo<Wait> {
    return level === "ALL" ? this.#all : level === "QUORUM" ? this.#quorum : this.#leader;
  }

  #examine(level: WaitedLevel, state: AckState): void {
    const fifo = this.#fifo(level);
    const first = fifo.first;
    if (first === undefined) return;
    // A recorded shrink below the minimum ends every waiting ALL at once, also those already durable everywhere (design §6).
    if (level === "ALL" && state.isrSize < state.minIsr) {
      this.#failAll(fifo, "NOT_ENOUGH_REPLICAS_AFTER_APPEND");
      return;
    }
    const upTo = level === "LEADER" ? state.durableOwn : level === "QUORUM" ? state.commit : metByAll(state, first.index);
    for (let wait = fifo.takeUpTo(upTo); wait !== undefined; wait = fifo.takeUpTo(upTo)) {
      this.#settle(wait);
      wait.callback(undefined);
    }
  }

  #failAll(fifo: IndexFifo<Wait>, failure: AckFailure): void {
    const everything = Number.MAX_SAFE_INTEGER as LogIndex;
    for (let wait = fifo.takeUpTo(everything); wait !== undefined; wait = fifo.takeUpTo(everything)) {
      this.#settle(wait);
      wait.callback(failure);
    }
  }

  #settle(wait: Wait): void {
    wait.settled = true;
    if (wait.bytes === 0) return;
    if (wait.index <= this.#commit) this.#pendingBytes -= wait.bytes;
    else this.#abandoned.add({ index: wait.index, bytes: wait.bytes, gone: false });
  }
}

/** Highest index that is committed and durable on the whole required set. Stops early when nothing at `first` can be met. */
function metByAll(state: AckState, first: LogIndex): LogIndex {
  let lowest = state.commit;
  for (const replica of state.required) {
    if (lowest < first) break;
    const durable = state.durableOf(replica) ?? (0 as LogIndex);
    if (durable < lowest) lowest = durable;
  }
  return lowest;
}
