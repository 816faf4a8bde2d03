/** What the workloads of a run have under way. */
export class Activity {
  #stopped = false;
  #open = 0;
  readonly #atStop = new Set<() => void>();

  /** No new operations are begun. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** Told to stop, and everything that was under way has ended. */
  get settled(): boolean {
    return this.#stopped && this.#open === 0;
  }

  stop(): void {
    this.#stopped = true;
    for (const run of this.#atStop) run();
  }

  /** @returns what takes it back */
  atStop(run: () => void): () => void {
    this.#atStop.add(run);
    return () => void this.#atStop.delete(run);
  }

  /** Something that must end began. @returns to be called once, when it ended */
  begin(): () => void {
    this.#open++;
    return () => {
      this.#open--;
    };
  }
}
