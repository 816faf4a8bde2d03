import { MillraceError } from "../../base/errors.ts";
import { limits } from "../../base/limits.ts";

const WAITING_MAX = limits["time.searches.waiting"].value;
/** When to ask again, milliseconds: a few searches are over by then. */
const RETRY_MS = 100;

interface Waiting {
  begin(): void;
}

/**
 * Searches by time of one broker. Each may read and inflate a good part of a segment, for a request of a few bytes: so many run at the same
 * time (`time.searches.max`), the others wait in order, and of those there is a bound too (`time.searches.waiting`). One that is given up
 * leaves the queue; a running one keeps its place until it has really ended.
 */
export class TimeSearches {
  readonly #max: number;
  readonly #waiting = new Set<Waiting>();
  #running = 0;

  constructor(max: number) {
    this.#max = max;
  }

  get running(): number {
    return this.#running;
  }
  get waiting(): number {
    return this.#waiting.size;
  }

  /**
   * @param search begins when it is its turn; ends soon once `stopped` says yes; never rejects
   * @returns gives the search up, at any time; or TOO_MANY_REQUESTS: too many wait already, it never begins
   */
  run(search: (stopped: () => boolean) => Promise<void>): (() => void) | MillraceError {
    let over = false;
    const mine: Waiting = {
      begin: () => {
        this.#running += 1;
        void search(() => over).finally(() => this.#ended());
      },
    };
    if (this.#running < this.#max) mine.begin();
    else {
      if (this.#waiting.size >= WAITING_MAX) {
        const text = `Cannot search by time: ${this.#waiting.size} searches wait for their turn already`;
        return new MillraceError("TOO_MANY_REQUESTS", text, { limit: "time.searches.waiting" }, RETRY_MS);
      }
      this.#waiting.add(mine);
    }
    return () => {
      over = true;
      this.#waiting.delete(mine);
    };
  }

  #ended(): void {
    this.#running -= 1;
    const [next] = this.#waiting;
    if (next === undefined) return;
    this.#waiting.delete(next);
    next.begin();
  }
}
