import type { Clock, Timer } from "../../base/ports/clock.ts";

/** How a run ends: with what, and when at the latest. */
export class Ending {
  /** Resolves when it has ended, rejects with what ended it. */
  readonly done: Promise<void>;
  readonly #clock: Clock;
  readonly #late: () => void;
  /** Its deadline has passed. */
  readonly #passed: Promise<void>;
  #pass: () => void = () => undefined;
  #resolve: () => void = () => undefined;
  #reject: (error: unknown) => void = () => undefined;
  #deadline: { readonly at: number; readonly timer: Timer } | undefined;
  #cause: { readonly error: unknown } | undefined;
  #over = false;

  /** @param late called once when the deadline has passed and it is not over */
  constructor(clock: Clock, late: () => void) {
    this.#clock = clock;
    this.#late = late;
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#passed = new Promise((resolve) => {
      this.#pass = resolve;
    });
  }

  /** Nothing is begun any more. */
  get isOver(): boolean {
    return this.#over;
  }

  /** What ends it; the first one counts. */
  because(error: unknown): void {
    this.#cause ??= { error };
  }

  get cause(): { readonly error: unknown } | undefined {
    return this.#cause;
  }

  /** It may take `ms` more, or what is left of what it was given before. */
  within(ms: number): void {
    const at = this.#clock.monotonic() + ms;
    if (this.#deadline !== undefined && this.#deadline.at <= at) return;
    this.#deadline?.timer.cancel();
    const timer = this.#clock.after(ms, () => {
      this.#pass();
      if (!this.#over) this.#late();
    });
    this.#deadline = { at, timer };
  }

  /**
   * It is over, but for what still comes to an end.
   *
   * @param told waited for no longer than the deadline @param rest comes to an end by itself
   */
  end(told: Promise<unknown>, rest: Promise<unknown>): void {
    if (this.#over) return;
    this.#over = true;
    Promise.all([Promise.race([told, this.#passed]), rest]).then(
      () => {
        this.#deadline?.timer.cancel();
        if (this.#cause === undefined) this.#resolve();
        else this.#reject(this.#cause.error);
      },
      (error: unknown) => this.#reject(error),
    );
  }
}
