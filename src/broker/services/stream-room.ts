/**
 * Unanswered bytes of all produce streams of a broker (`stream.pending.max.bytes`). Each stream's credit bounds its own; batches that are
 * inflated, or wait behind one that is, or for a leader elsewhere, are in no other sum. Above the limit no produce stream is read, and HTTP/2
 * holds the senders: nothing is refused, and what was taken is answered, which makes room.
 */
export class StreamRoom {
  readonly #maxBytes: number;
  #bytes = 0;
  /** Streams that are not read for want of room here. */
  readonly #waiting = new Set<() => void>();

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get isFull(): boolean {
    return this.#bytes >= this.#maxBytes;
  }

  take(bytes: number): void {
    this.#bytes += bytes;
  }

  /** Whoever waits looks again when there is room. */
  release(bytes: number): void {
    this.#bytes -= bytes;
    if (this.isFull || this.#waiting.size === 0) return;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const again of waiting) again();
  }

  /** Called once, at most, when there is room again. */
  whenRoom(again: () => void): void {
    this.#waiting.add(again);
  }

  /** The stream is over. */
  forget(again: () => void): void {
    this.#waiting.delete(again);
  }
}
