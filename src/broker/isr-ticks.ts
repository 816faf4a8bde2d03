import type { Clock, Timer } from "../base/ports/clock.ts";

/** As much of a partition as is looked at. */
export interface Ticked {
  readonly still: boolean;
  readonly replica: { readonly leads: boolean };
  readonly isr: { resume(now: number): void } | undefined;
  tickIsr(): void;
}

/**
 * Looks at the in-sync replicas of the partitions in which something moves, once per heartbeat. One that has come to rest, with every voter
 * in sync, costs nothing until it is touched.
 */
export class IsrTicks<P extends Ticked> {
  readonly #clock: Clock;
  readonly #everyMs: number;
  readonly #succeed: (partition: P) => boolean;
  readonly #active = new Set<P>();
  #timer: Timer | undefined;
  #closed = false;

  /** @param succeed looks at the replacement of its replicas as well; returns whether one is under way */
  constructor(clock: Clock, everyMs: number, succeed: (partition: P) => boolean) {
    this.#clock = clock;
    this.#everyMs = everyMs;
    this.#succeed = succeed;
  }

  /** Something about it may have moved. */
  touch(partition: P): void {
    if (this.#closed || this.#active.has(partition)) return;
    partition.isr?.resume(this.#clock.monotonic());
    this.#active.add(partition);
    this.#timer ??= this.#clock.after(this.#everyMs, () => this.#tick());
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#active.clear();
  }

  #tick(): void {
    this.#timer = undefined;
    for (const partition of this.#active) {
      partition.tickIsr();
      const replaced = partition.replica.leads && this.#succeed(partition);
      if (!replaced && partition.still) this.#active.delete(partition);
    }
    if (this.#active.size > 0) this.#timer ??= this.#clock.after(this.#everyMs, () => this.#tick());
  }
}
