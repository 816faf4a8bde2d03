/** Between two looks while no broker can be reached, milliseconds. */
const LOOK_EVERY_MS = 1_000;

export interface ReachWatchOptions {
  /** Whether any broker answers. */
  readonly probe: () => Promise<boolean>;
  readonly say: (line: string) => void;
  readonly wait: (ms: number) => Promise<void>;
}

/**
 * Says once that no broker can be reached, and once that one can again. The client tries again by itself, and silently: whoever watches
 * a stream in which nothing comes cannot tell a quiet topic from a dead cluster.
 */
export class ReachWatch {
  readonly #options: ReachWatchOptions;
  #looking = false;
  #closed = false;

  constructor(options: ReachWatchOptions) {
    this.#options = options;
  }

  /** A stream broke: it is looked who answers. */
  broke(): void {
    if (this.#looking || this.#closed) return;
    this.#looking = true;
    void this.#look().finally(() => {
      this.#looking = false;
    });
  }

  close(): void {
    this.#closed = true;
  }

  async #look(): Promise<void> {
    const { probe, say, wait } = this.#options;
    let said = false;
    while (!this.#closed && !(await probe())) {
      if (!said && !this.#closed) say("no broker can be reached; trying again");
      said = true;
      await wait(LOOK_EVERY_MS);
    }
    if (said && !this.#closed) say("a broker can be reached again; going on");
  }
}
