import type { LogIndex, ReplicaId } from "../base/ids.ts";
import type { Message, Outgoing } from "./types.ts";

const NOTHING: readonly never[] = [];

/**
 * Messages on their way out. The core holds back, the shell never does: what depends on a write waits here until that write is
 * durable, and is dropped when the term moves on first (an answer in an old term helps nobody).
 *
 * Bounded: a held message replaces the one of the same kind to the same replica.
 */
export class Outbox<P> {
  #send: Outgoing<P>[] = [];
  readonly #held: {
    readonly afterSeq: number;
    readonly to: ReplicaId;
    readonly message: Message<P>;
  }[] = [];

  send(to: ReplicaId, message: Message<P>): void {
    this.#send.push({ to, message });
  }

  sendRange(to: ReplicaId, message: Message<P>, first: LogIndex, last: LogIndex): void {
    this.#send.push({ to, message, range: { first, last } });
  }

  /** Leaves once write `afterSeq` is durable. */
  sendAfter(afterSeq: number, doneSeq: number, to: ReplicaId, message: Message<P>): void {
    if (afterSeq <= doneSeq) {
      this.send(to, message);
      return;
    }
    const place = this.#held.findIndex((held) => held.to === to && held.message.kind === message.kind);
    if (place === -1) this.#held.push({ afterSeq, to, message });
    else this.#held[place] = { afterSeq, to, message };
  }

  release(doneSeq: number): void {
    if (this.#held.length === 0) return;
    let kept = 0;
    for (const held of this.#held) {
      if (held.afterSeq <= doneSeq) this.send(held.to, held.message);
      else this.#held[kept++] = held;
    }
    this.#held.length = kept;
  }

  dropHeld(): void {
    this.#held.length = 0;
  }

  take(): readonly Outgoing<P>[] {
    if (this.#send.length === 0) return NOTHING;
    const send = this.#send;
    this.#send = [];
    return send;
  }
}
