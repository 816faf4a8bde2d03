import { MillraceError } from "../../base/errors.ts";
import type { Clock } from "../../base/ports/clock.ts";
import type { CallContext, RpcServer, ServerStream } from "../../base/ports/rpc-server.ts";

/** When to ask again, milliseconds. */
const RETRY_MS = 200;
/** Of all that may wait, the part that callers of one connection may have. */
const SHARES = 4;
/** The same while there is no room, for streams that took everything so far. */
const SMALL_SHARES = 16;
/** An answer that every stub takes. */
const LARGE_BYTES = 3 * 1024 * 1024;
/** One answer while there is no room, for a caller who took everything so far: at least a batch, as always. */
const SMALL_BYTES = 64 * 1024;

/**
 * What all readers together may leave untaken (`reply.pending.max.bytes`): one that asks and never reads must not fill the memory, nor
 * keep others from reading. So when it is full, those who have taken what they got are served on, a little at a time, and only at twice
 * as much nobody is.
 */
export class ReplyRoom {
  readonly #server: Pick<RpcServer, "unsentBytes">;
  readonly #bytesMax: number;
  readonly #clock: Clock;
  /** Asked for by large reads that are under way. */
  #reading = 0;
  /** Answers admitted in this turn, which the server does not know of yet. */
  #admitted = 0;

  constructor(server: Pick<RpcServer, "unsentBytes">, bytesMax: number, clock: Clock) {
    this.#server = server;
    this.#bytesMax = bytesMax;
    this.#clock = clock;
  }

  get full(): boolean {
    return this.#unsent >= this.#bytesMax;
  }

  /** The stream must not be given more now. Streams of one connection may be paused for good reasons while there is room for all. */
  closedTo({ unsentBytes, call }: ServerStream): boolean {
    if (!this.full) return false;
    return unsentBytes > 0 || call.unsentBytes >= this.#bytesMax / SMALL_SHARES || this.#unsent >= 2 * this.#bytesMax;
  }

  /** `done` may be called more than once. Reads more than a stub takes unasked share half of the room while they are under way; who comes later gets a smaller answer. */
  large(wanted: number): { readonly bytes: number; done(): void } {
    if (wanted <= LARGE_BYTES) return { bytes: wanted, done() {} };
    if (this.#reading + wanted > this.#bytesMax / 2 && this.#reading > 0) return { bytes: LARGE_BYTES, done() {} };
    this.#reading += wanted;
    let over = false;
    return {
      bytes: wanted,
      done: () => {
        if (!over) this.#reading -= wanted;
        over = true;
      },
    };
  }

  /** @returns bytes to read for one answer @throws {MillraceError} TOO_MANY_REQUESTS */
  bytesFor(call: CallContext, wanted: number): number {
    const share = call.unsentBytes >= this.#bytesMax / SHARES;
    if (share || (this.full && (call.unsentBytes > 0 || this.#unsent >= 2 * this.#bytesMax))) throw this.refusal();
    return this.full ? Math.min(wanted === 0 ? SMALL_BYTES : wanted, SMALL_BYTES) : wanted;
  }

  /**
   * An answer that is not made of records. Who has taken what it got is answered while there is any room.
   * @param make reads only: what it did would stay done though its answer is refused
   * @throws {MillraceError} TOO_MANY_REQUESTS
   */
  async answer(call: CallContext, make: () => Promise<Uint8Array>): Promise<Uint8Array> {
    this.bytesFor(call, 0);
    const answer = await make();
    this.admit(answer.byteLength);
    return answer;
  }

  get #unsent(): number {
    return this.#server.unsentBytes + this.#admitted;
  }

  /** For an answer that was read: others may have filled the room meanwhile. @throws {MillraceError} TOO_MANY_REQUESTS */
  admit(bytes: number): void {
    if (this.#unsent + bytes > 2 * this.#bytesMax) throw this.refusal();
    this.#admitted += bytes;
    this.#clock.soon(() => {
      this.#admitted -= bytes;
    });
  }

  refusal(): MillraceError {
    const text = `Cannot answer: ${this.#server.unsentBytes} bytes of answers wait for readers that do not take them`;
    return new MillraceError(
      "TOO_MANY_REQUESTS",
      text,
      { limit: "reply.pending.max.bytes", limit_bytes: String(this.#bytesMax) },
      RETRY_MS,
    );
  }
}
