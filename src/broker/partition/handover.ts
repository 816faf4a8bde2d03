import { MillraceError } from "../../base/errors.ts";
import type { ReplicaId } from "../../base/ids.ts";
import type { Clock, Timer } from "../../base/ports/clock.ts";

/** "started": the other replica was asked, and took over or will; else why this one goes on leading. */
export type HandoverDone = (outcome: "started" | MillraceError) => void;

export interface HandoverPorts {
  readonly clock: Clock;
  /** Asks Raft to transfer. @returns why not, or undefined */
  begin(to: ReplicaId): string | undefined;
  /** It is over: the partition takes calls again, or follows. */
  ended(): void;
}

/** A handover waits so long for pending batches before it goes on without them. */
const DRAIN_MS = 1_000;

/**
 * Handing the leadership of one partition over (design §8): new calls are held, pending ones answered, then Raft transfers. At most one
 * at a time; `done` is called exactly once.
 */
export class Handover {
  readonly #partition: string;
  readonly #ports: HandoverPorts;
  #state: { readonly to: ReplicaId; readonly done: HandoverDone; readonly drain: Timer; begun: boolean } | undefined;

  constructor(partition: string, ports: HandoverPorts) {
    this.#partition = partition;
    this.#ports = ports;
  }

  /** New calls must be held. */
  get active(): boolean {
    return this.#state !== undefined;
  }

  start(to: ReplicaId, done: HandoverDone): void {
    if (this.#state !== undefined) return done(this.#failed(`leadership is being handed to replica ${this.#state.to} already`));
    this.#state = { to, done, drain: this.#ports.clock.after(DRAIN_MS, () => this.#begin()), begun: false };
  }

  /** Nothing waits for acknowledgement any more. */
  drained(): void {
    if (this.#state?.begun === false) this.#ports.clock.soon(() => this.#begin());
  }

  /** Raft says how it ended. */
  ended(succeeded: boolean): void {
    this.end(succeeded ? "started" : this.#failed("the other replica did not take over in time"));
  }

  end(outcome: "started" | MillraceError): void {
    const state = this.#state;
    if (state === undefined) return;
    this.#state = undefined;
    state.drain.cancel();
    state.done(outcome);
    this.#ports.ended();
  }

  #begin(): void {
    const state = this.#state;
    if (state === undefined || state.begun) return;
    state.begun = true;
    state.drain.cancel();
    const why = this.#ports.begin(state.to);
    if (why !== undefined) this.end(this.#failed(why));
  }

  #failed(why: string): MillraceError {
    return new MillraceError("TRANSFER_FAILED", `${this.#partition}: ${why}`);
  }
}
