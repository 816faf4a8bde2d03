import { MillraceError } from "../../base/errors.ts";
import type { Clock } from "../../base/ports/clock.ts";
import type { LogBackend, OffsetsOf, Target } from "./log-service.ts";

/** Searches by time of one call that are under way at the same time: a call with many partitions leaves others their turns. */
const SEARCHES_MAX = 16;

/** The offsets that one call asks for. What is still looked for when the call ends, however it ends, is given up. */
export class OffsetLookups {
  readonly #clock: Clock;
  /** Ends each lookup that is under way. */
  readonly #open = new Set<(why: MillraceError) => void>();
  /** Searches for which it is not the turn yet; as many as the call has partitions. */
  readonly #waiting: (() => void)[] = [];
  #searching = 0;
  #ended: MillraceError | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * @param deadline monotonic
   * @throws {MillraceError} of the leader; DEADLINE_PASSED; why the call ended
   */
  async offsets(
    backend: LogBackend,
    target: Target,
    timeMs: number | undefined,
    options: { readonly deadline: number; readonly direct: boolean },
  ): Promise<OffsetsOf> {
    if (timeMs === undefined) return this.#ask(backend, target, timeMs, options);
    if (this.#searching < SEARCHES_MAX) this.#searching += 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await this.#ask(backend, target, timeMs, options);
    } finally {
      // The place passes to whoever waits longest without becoming free in between.
      const next = this.#waiting.shift();
      if (next === undefined) this.#searching -= 1;
      else next();
    }
  }

  /** What is under way, or comes later, fails with `why`. */
  end(why: MillraceError): void {
    this.#ended ??= why;
    for (const end of [...this.#open]) end(why);
  }

  #ask(
    backend: LogBackend,
    target: Target,
    timeMs: number | undefined,
    options: { readonly deadline: number; readonly direct: boolean },
  ): Promise<OffsetsOf> {
    return new Promise((resolve, reject) => {
      const leftMs = options.deadline - this.#clock.monotonic();
      if (this.#ended !== undefined) return reject(this.#ended);
      if (leftMs <= 0) return reject(deadlinePassed(target));
      let giveUp = (): void => {};
      const close = (): void => {
        timer.cancel();
        this.#open.delete(end);
      };
      const end = (why: MillraceError): void => {
        close();
        giveUp();
        reject(why);
      };
      const timer = this.#clock.after(leftMs, () => end(deadlinePassed(target)));
      this.#open.add(end);
      giveUp = backend.offsets(target, timeMs, options, (outcome) => {
        close();
        if (outcome instanceof MillraceError) reject(outcome);
        else resolve(outcome);
      });
    });
  }
}

function deadlinePassed({ topic, partition }: Target): MillraceError {
  return new MillraceError("DEADLINE_PASSED", `The deadline passed before the offsets of ${topic}-${partition} were known`);
}
