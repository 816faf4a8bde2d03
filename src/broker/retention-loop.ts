import type { Offset } from "../base/ids.ts";
import type { Clock, Timer } from "../base/ports/clock.ts";
import type { Telemetry } from "../base/ports/telemetry.ts";
import type { AgeClock } from "./age-clock.ts";

/** Partitions looked at in one piece of work. */
const SLICE = 100;

/** A partition as retention sees it. */
export interface Retained {
  readonly name: string;
  /** @returns the log start offset that was proposed */
  check(trusted: boolean): Offset | undefined;
}

/** Looks at every partition of this broker once per interval, a few at a time, spread over the interval. */
export class RetentionLoop {
  readonly #clock: Clock;
  readonly #telemetry: Telemetry;
  readonly #checkMs: number;
  readonly #partitions: () => readonly Retained[];
  readonly #age: Pick<AgeClock, "look">;
  #timer: Timer | undefined;

  constructor(clock: Clock, telemetry: Telemetry, checkMs: number, age: Pick<AgeClock, "look">, partitions: () => readonly Retained[]) {
    this.#clock = clock;
    this.#telemetry = telemetry;
    this.#checkMs = checkMs;
    this.#partitions = partitions;
    this.#age = age;
    this.#round();
  }

  close(): void {
    this.#timer?.cancel();
  }

  #round(): void {
    // Those that come meanwhile have nothing that is old; those that go refuse.
    const all = this.#partitions();
    this.#slices(all, 0, Math.max(1, Math.ceil(all.length / SLICE)));
  }

  #slices(all: readonly Retained[], done: number, count: number): void {
    this.#timer = this.#clock.after(this.#checkMs / count, () => {
      this.#check(all.slice(done * SLICE, (done + 1) * SLICE));
      if (done + 1 < count) this.#slices(all, done + 1, count);
      else this.#round();
    });
  }

  #check(some: readonly Retained[]): void {
    const { trusted, jumpMs, aheadMs, clocks } = this.#age.look();
    if (!trusted) {
      const ahead = aheadMs === undefined ? undefined : Math.round(aheadMs);
      this.#telemetry.log("warn", "retention.suspended", { jumpMs: Math.round(jumpMs), aheadMs: ahead, clocks });
    }
    for (const partition of some) {
      const start = partition.check(trusted);
      if (start !== undefined) this.#telemetry.log("info", "retention.trimmed", { partition: partition.name, start });
    }
  }
}
