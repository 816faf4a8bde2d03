/**
 * The one failure of a log: a write or sync that the disk refused, or damage that cannot be written around. Never again on this disk,
 * and never claimed to be durable (design §4, D3).
 */
export class Failure {
  readonly #tell: (error: Error) => void;
  #error: Error | undefined;
  #fail: (error: Error) => void = () => {};
  readonly #failed: Promise<never>;

  /** @param tell called once, with the first failure */
  constructor(tell: (error: Error) => void) {
    this.#tell = tell;
    this.#failed = new Promise<never>((_resolve, reject) => {
      this.#fail = reject;
    });
    this.#failed.catch(() => {});
  }

  get error(): Error | undefined {
    return this.#error;
  }

  /** Rejects when the log has failed, so that nobody waits for ever. */
  guard<T>(work: Promise<T>): Promise<T> {
    return Promise.race([work, this.#failed]);
  }

  broken(cause: unknown): void {
    if (this.#error !== undefined) return;
    this.#error = cause instanceof Error ? cause : new Error(String(cause));
    this.#fail(this.#error);
    this.#tell(this.#error);
  }
}
