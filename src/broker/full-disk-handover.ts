import { MillraceError } from "../base/errors.ts";
import type { ReplicaId } from "../base/ids.ts";
import type { Clock, Timer } from "../base/ports/clock.ts";
import type { Telemetry } from "../base/ports/telemetry.ts";
import type { SpaceView } from "../log/disk-space.ts";
import type { HandoverDone } from "./partition/handover.ts";

/** A disk that was full only for a moment costs less than a change of leader: it must be full for so long, and is looked at so often. */
const FULL_MS = 1_000;
/** Handed over at the same time; the others follow a look later. */
const AT_ONCE_MAX = 16;
/** A partition that came back is not handed over again so soon: two disks that fill and empty in turns do not toss it between them. */
const REST_MS = 30_000;
/** After a try that failed. */
const RETRY_MS = 5_000;

/** A partition as a leader without room sees it. */
export interface HandedOver {
  readonly name: string;
  /** Who could lead it so that records are taken again. */
  readonly successor: ReplicaId | undefined;
  transfer(to: ReplicaId, done: HandoverDone): void;
}

/**
 * A leader whose disk is full refuses records; with room on enough other disks the partition need not (ADR 0013). So it hands its
 * leaderships to in-sync replicas with room, a few at a time, and follows, outside of the ISR, until there is room here again.
 */
export class FullDiskHandover {
  readonly #clock: Clock;
  readonly #telemetry: Telemetry;
  readonly #space: SpaceView;
  readonly #partitions: () => readonly HandedOver[];
  /** When a partition may be handed over again, by name. */
  readonly #restsUntil = new Map<string, number>();
  #under = 0;
  #timer: Timer | undefined;
  #closed = false;

  constructor(clock: Clock, telemetry: Telemetry, space: SpaceView, partitions: () => readonly HandedOver[]) {
    this.#clock = clock;
    this.#telemetry = telemetry;
    this.#space = space;
    this.#partitions = partitions;
    space.onChange(() => this.#watch());
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  #watch(): void {
    if (this.#closed || this.#timer !== undefined || !this.#space.full) return;
    this.#timer = this.#clock.after(FULL_MS, () => {
      this.#timer = undefined;
      if (this.#space.full) this.#handOver();
      this.#watch();
    });
  }

  #handOver(): void {
    const now = this.#clock.monotonic();
    for (const [name, until] of this.#restsUntil) if (until <= now) this.#restsUntil.delete(name);
    for (const partition of this.#partitions()) {
      if (this.#under >= AT_ONCE_MAX) return;
      const to = this.#restsUntil.has(partition.name) ? undefined : partition.successor;
      if (to === undefined) continue;
      this.#restsUntil.set(partition.name, now + REST_MS);
      this.#under += 1;
      partition.transfer(to, (outcome) => {
        this.#under -= 1;
        if (outcome instanceof MillraceError) this.#restsUntil.set(partition.name, this.#clock.monotonic() + RETRY_MS);
        else this.#telemetry.log("info", "disk.handed_over", { partition: partition.name, replicaId: to });
      });
    }
  }
}
