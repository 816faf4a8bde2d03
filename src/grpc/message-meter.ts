/** Flag and length before each gRPC message. */
const PREFIX_BYTES = 5;

/** A message that has come whole. */
export interface Message {
  /** On the wire, prefix included. */
  readonly bytes: number;
  readonly compressed: boolean;
}

/** What has come of the message under way of a call, however it is cut into pieces. Keeps no byte. */
export class MessageMeter {
  /** Of the message under way, prefix included. */
  bytes = 0;
  #compressed = false;
  /** The length in the prefix, once it is here. */
  #length = 0;

  /** @returns the messages that ended in these bytes */
  take(chunk: Buffer): readonly Message[] {
    let ended: Message[] | undefined;
    let at = 0;
    while (at < chunk.length) {
      while (this.bytes < PREFIX_BYTES && at < chunk.length) {
        const byte = chunk[at] as number;
        if (this.bytes === 0) this.#compressed = byte === 1;
        else this.#length = this.#length * 256 + byte;
        this.bytes++;
        at++;
      }
      if (this.bytes < PREFIX_BYTES) break;
      const taken = Math.min(chunk.length - at, PREFIX_BYTES + this.#length - this.bytes);
      this.bytes += taken;
      at += taken;
      if (this.bytes < PREFIX_BYTES + this.#length) break;
      ended ??= [];
      ended.push({ bytes: this.bytes, compressed: this.#compressed });
      this.bytes = 0;
      this.#length = 0;
    }
    return ended ?? NONE;
  }
}

const NONE: readonly Message[] = [];
