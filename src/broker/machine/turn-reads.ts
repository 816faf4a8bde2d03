import type { Clock } from "../../base/ports/clock.ts";

/** @param answer undefined: nobody can answer here @returns forgets who asked */
export type Ask<T> = (done: (answer: T | undefined) => void) => () => void;

/**
 * Reads that come in one turn share one question: to confirm a leader costs a round trip, whoever asks. What comes while a question is
 * under way asks anew, because its answer may be older than what the caller has seen.
 */
export class TurnReads<T> {
  readonly #clock: Pick<Clock, "soon">;
  readonly #ask: Ask<T>;
  #waiting: Set<(answer: T | undefined) => void> | undefined;

  constructor(clock: Pick<Clock, "soon">, ask: Ask<T>) {
    this.#clock = clock;
    this.#ask = ask;
  }

  read(done: (answer: T | undefined) => void): () => void {
    let waiting = this.#waiting;
    if (waiting === undefined) {
      const asking = new Set<(answer: T | undefined) => void>();
      waiting = asking;
      this.#waiting = asking;
      this.#clock.soon(() => {
        this.#waiting = undefined;
        if (asking.size === 0) return;
        this.#ask((answer) => {
          for (const each of [...asking]) each(answer);
        });
      });
    }
    const mine = waiting;
    const once = (answer: T | undefined): void => {
      mine.delete(once);
      done(answer);
    };
    mine.add(once);
    return () => void mine.delete(once);
  }
}
