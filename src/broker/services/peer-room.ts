import { MillraceError } from "../../base/errors.ts";
import { limits } from "../../base/limits.ts";
import type { FetchedBatch, FetchResponse } from "../../protocol/public.ts";
import type { IncomingCall } from "../peers/peer-calls.ts";

/** Of `reply.pending.max.bytes`, the part that may wait for one other broker. */
const PEER_SHARES = 4;
/** However small that part is: a batch comes whole, and without room for one nothing could ever be read through another broker. */
const PEER_BYTES_MIN = limits["request.max.bytes"].value;
/** When to ask again, milliseconds. */
const RETRY_MS = 100;

/**
 * Records that were read for callers of other brokers, and that these have not taken. The other broker counts them once they are there, in the
 * room of its own callers; until then they count here, per broker. As a batch comes whole, one more than the room may wait.
 */
export class PeerRoom {
  readonly #bytesMax: number;
  readonly #defaultBytes: number;

  /** @param replyBytesMax `reply.pending.max.bytes` @param defaultBytes `fetch.default.bytes` */
  constructor(replyBytesMax: number, defaultBytes: number) {
    this.#defaultBytes = defaultBytes;
    this.#bytesMax = Math.max(PEER_BYTES_MIN, Math.floor(replyBytesMax / PEER_SHARES));
  }

  /** @param wanted 0: as many as by default @returns bytes to read at most, or the refusal while as much waits as may: nothing need be read */
  bytesFor(call: IncomingCall, wanted: number): number | MillraceError {
    const left = this.#bytesMax - call.unsentBytes;
    return left <= 0 ? this.#refusal(call) : Math.min(wanted === 0 ? this.#defaultBytes : wanted, left);
  }

  /** @returns what was read, or as much of it as there is room for: others may have been answered meanwhile; or the refusal */
  admit(call: IncomingCall, fetched: FetchResponse): FetchResponse | MillraceError {
    if (fetched.batches.length === 0) return fetched;
    const left = this.#bytesMax - call.unsentBytes;
    if (left <= 0) return this.#refusal(call);
    let bytes = 0;
    let fitting = 0;
    for (const batch of fetched.batches) {
      bytes += bytesOf(batch);
      if (fitting > 0 && bytes > left) break;
      fitting++;
    }
    const batches = fetched.batches.slice(0, fitting);
    const last = batches.at(-1);
    if (last === undefined || fitting === fetched.batches.length) return fetched;
    return { ...fetched, batches, nextOffset: last.baseOffset + last.recordCount };
  }

  #refusal(call: IncomingCall): MillraceError {
    const text = `Cannot read: ${call.unsentBytes} bytes of answers wait for broker ${call.from}, which has not taken them`;
    const details = { limit: "reply.pending.max.bytes", limit_bytes: String(this.#bytesMax) };
    return new MillraceError("TOO_MANY_REQUESTS", text, details, RETRY_MS);
  }
}

function bytesOf({ records, compressedRecords }: FetchedBatch): number {
  return (records ?? compressedRecords).byteLength;
}
