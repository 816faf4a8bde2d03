/** What of a stream a progress line needs. */
export interface ProgressStream {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  write(text: string): unknown;
}

/** Where no width is known. */
const COLUMNS = 80;
const CLEAR = "\r\x1b[K";

/** One line on a terminal that is written over and over. Where nobody watches, there is none. */
export class ProgressLine {
  readonly #stream: ProgressStream;
  #shown = false;

  constructor(stream: ProgressStream) {
    this.#stream = stream;
  }

  /** @param text undefined: takes it away */
  show(text: string | undefined): void {
    if (this.#stream.isTTY !== true) return;
    if (text === undefined) {
      this.clear();
      return;
    }
    // A line that wraps could not be written over.
    this.#stream.write(CLEAR + text.slice(0, (this.#stream.columns ?? COLUMNS) - 1));
    this.#shown = true;
  }

  /** To be called before anything else is written there. */
  clear(): void {
    if (this.#shown) this.#stream.write(CLEAR);
    this.#shown = false;
  }
}
