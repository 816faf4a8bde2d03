import type { ReplicaId } from "../base/ids.ts";
import { invariant } from "../base/invariant.ts";
import type { Ready } from "./types.ts";

/**
 * A leadership transfer under way (Raft dissertation §3.10). The leader refuses proposals, waits until the target holds its whole
 * log, tells it to ask for votes at once, and gives up after one election timeout. It outlives the leader's role: whether it
 * worked is known when the next leader is heard.
 */
export interface Transfer {
  readonly to: ReplicaId;
  /** Monotonic time at which it is given up. */
  readonly deadline: number;
  /** The target was told. */
  told: boolean;
}

/** The one transfer a replica may have begun, and how the last one ended. */
export class Transfers {
  #current: Transfer | undefined;
  #ended: Ready<never>["transferEnded"];

  get current(): Transfer | undefined {
    return this.#current;
  }
  get deadline(): number {
    return this.#current?.deadline ?? Number.POSITIVE_INFINITY;
  }

  begin(to: ReplicaId, deadline: number): void {
    invariant(this.#current === undefined, "one transfer at a time");
    this.#current = { to, deadline, told: false };
  }

  expire(now: number): void {
    if (now >= this.deadline) this.#end(false);
  }

  /** Somebody leads now. */
  ledBy(leader: ReplicaId): void {
    if (this.#current !== undefined) this.#end(leader === this.#current.to);
  }

  #end(done: boolean): void {
    const { to } = this.#current as Transfer;
    this.#ended = { to, done };
    this.#current = undefined;
  }

  takeEnded(): Ready<never>["transferEnded"] {
    const ended = this.#ended;
    this.#ended = undefined;
    return ended;
  }
}
