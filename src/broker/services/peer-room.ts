import { MillraceError } from "../../base/errors.ts";
import type { FetchResponse } from "../../protocol/public.ts";
import type { IncomingCall } from "../peers/peer-calls.ts";

/** Of `reply.pending.max.bytes`, the part that may wait for one other broker. */
const PEER_SHARES = 4;
/** When to ask again, milliseconds. */
const RETRY_MS = 100;

/**
 * Records that were read for callers of other brokers, and that these have not taken. The other broker counts them once they are there, in the
 * room of its own callers; until then they count here, per broker.
 */
export class PeerRoom {
  readonly #bytesMax: number;

  /** @param replyBytesMax `reply.pending.max.bytes` */
  constructor(replyBytesMax: number) {
    this.#bytesMax = Math.floor(replyBytesMax / PEER_SHARES);
  }

  /** @returns the refusal, while as much waits as may: nothing need be read */
  closedTo(call: IncomingCall): MillraceError | undefined {
    return call.unsentBytes < this.#bytesMax ? undefined : this.#refusal(call);
  }

  /** @returns what was read, or the refusal when there is no room for it; a broker that has taken everything is given any answer */
  admit(call: IncomingCall, fetched: FetchResponse): FetchResponse | MillraceError {
    const bytes = fetched.batches.reduce((sum, { records, compressedRecords }) => sum + (records ?? compressedRecords).byteLength, 0);
    return call.unsentBytes === 0 || call.unsentBytes + bytes <= this.#bytesMax ? fetched : this.#refusal(call);
  }

  #refusal(call: IncomingCall): MillraceError {
    const text = `Cannot read: ${call.unsentBytes} bytes of answers wait for broker ${call.from}, which has not taken them`;
    const details = { limit: "reply.pending.max.bytes", limit_bytes: String(this.#bytesMax) };
    return new MillraceError("TOO_MANY_REQUESTS", text, details, RETRY_MS);
  }
}
