import type { LogIndex } from "../base/ids.ts";

/** Reads waiting for their round at one leader; one more is refused. Callers batch many reads into one (design §7). */
export const PENDING_READS_MAX = 4096;

interface PendingRead {
  readonly context: number;
  /** Commit index when it was asked. */
  readonly index: number;
  /** 0 until the next heartbeat round starts. */
  round: number;
}

/**
 * Linearizable reads by read index (Raft dissertation §6.4): remember the commit index, learn from a quorum, by a round of
 * heartbeats started *after* the request, that nobody newer leads, and answer once this term has committed an entry of its own.
 */
export class PendingReads {
  readonly #pending: PendingRead[] = [];

  get size(): number {
    return this.#pending.length;
  }

  /** @returns false when full */
  add(context: number, commit: number): boolean {
    if (this.#pending.length === PENDING_READS_MAX) return false;
    this.#pending.push({ context, index: commit, round: 0 });
    return true;
  }

  /** True when some read waits for a round to start. */
  get needsRound(): boolean {
    return this.#pending.at(-1)?.round === 0;
  }

  startRound(round: number): void {
    for (let i = this.#pending.length - 1; i >= 0 && this.#pending[i]?.round === 0; i--) (this.#pending[i] as PendingRead).round = round;
  }

  /**
   * Answers every read whose round a quorum has echoed.
   *
   * @param floor this term's no-op: a read asked before it was committed sees at least it, and so all earlier terms committed
   */
  confirm(round: number, floor: number, answer: (context: number, index: LogIndex) => void): void {
    while (this.#pending.length > 0) {
      const read = this.#pending[0] as PendingRead;
      if (read.round === 0 || read.round > round) return;
      this.#pending.shift();
      answer(read.context, Math.max(read.index, floor) as LogIndex);
    }
  }

  /** Leadership is lost: nothing can be said. */
  refuseAll(refuse: (context: number) => void): void {
    for (const read of this.#pending) refuse(read.context);
    this.#pending.length = 0;
  }
}
