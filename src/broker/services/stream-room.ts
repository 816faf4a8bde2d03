/** Once full there is room again below this part of the limit: streams are not stopped and started for each message. */
const AGAIN_PART = 7 / 8;

/**
 * What the messages of all produce streams of a broker keep until their batches are answered (`stream.pending.max.bytes`). Each stream's
 * credit bounds its own; batches that are inflated, or wait behind one that is, or for a leader elsewhere, are in no other sum. Above the
 * limit no produce stream is read, and HTTP/2 holds the senders: nothing is refused, and what was taken is answered, which makes room. All
 * streams are stopped at once, so that the one message that reached the limit is the last one taken.
 */
export class StreamRoom {
  readonly #maxBytes: number;
  #bytes = 0;
  #full = false;
  readonly #streams = new Set<() => void>();

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get isFull(): boolean {
    return this.#full;
  }

  get bytes(): number {
    return this.#bytes;
  }

  take(bytes: number): void {
    this.#bytes += bytes;
    if (this.#full || this.#bytes < this.#maxBytes) return;
    this.#full = true;
    this.#tell();
  }

  release(bytes: number): void {
    this.#bytes -= bytes;
    if (!this.#full || this.#bytes >= this.#maxBytes * AGAIN_PART) return;
    this.#full = false;
    this.#tell();
  }

  /** A stream begins. @param changed called when the room is full, and when it is no more */
  join(changed: () => void): void {
    this.#streams.add(changed);
  }

  /** The stream is over. */
  leave(changed: () => void): void {
    this.#streams.delete(changed);
  }

  #tell(): void {
    for (const changed of [...this.#streams]) changed();
  }
}
