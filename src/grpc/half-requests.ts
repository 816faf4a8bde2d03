import type { ServerHttp2Stream } from "node:http2";
import { MillraceError } from "../base/errors.ts";

/** When to try again what was refused for want of room. */
const AGAIN_MS = 100;
/** Flag and length before each gRPC message. */
const PREFIX_BYTES = 5;

export interface HalfRequestLimits {
  /** A request, or a message of a stream of them, that is not here whole by then is refused. */
  readonly requestTimeoutMs: number;
  /** Bytes of them that are not here whole, over all connections: the call that brings more is refused. */
  readonly requestPendingBytesMax: number;
}

/**
 * What has come of requests that are not here whole, over all connections of a server, and how long each may take (reliability.md §5.28).
 * grpc-js keeps these bytes; nothing else counts them.
 */
export class HalfRequests {
  readonly #limits: HalfRequestLimits;
  #bytes = 0;

  constructor(limits: HalfRequestLimits) {
    this.#limits = limits;
  }

  /** Bytes that are kept now. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Watches one call until its stream is over.
   * @param streams the method takes a stream of requests: each message counts by itself, and between two of them there is no hurry
   * @param refuse called once, with what to tell the caller
   */
  watch(stream: ServerHttp2Stream, streams: boolean, refuse: (error: MillraceError) => void): void {
    const half = streams ? new HalfMessage() : new WholeBody();
    let kept = 0;
    let begun = performance.now();
    let timer: NodeJS.Timeout | undefined;
    let over = false;
    const keep = (bytes: number): void => {
      this.#bytes += bytes - kept;
      kept = bytes;
    };
    const end = (): void => {
      over = true;
      clearTimeout(timer);
      keep(0);
    };
    const tooMuch = (limit: string, what: string): void => {
      end();
      refuse(new MillraceError("TOO_MANY_REQUESTS", `${what} (${limit})`, { limit }, AGAIN_MS));
    };
    const { requestTimeoutMs, requestPendingBytesMax } = this.#limits;
    const arm = (afterMs: number): void => {
      timer = setTimeout(() => {
        timer = undefined;
        if (streams && kept === 0) return;
        // A stream that we do not read is late through us.
        if (stream.isPaused()) begun = performance.now();
        const left = begun + requestTimeoutMs - performance.now();
        if (left > 0) return arm(left);
        tooMuch("client.request.timeout.ms", `The request was not here whole after ${requestTimeoutMs} ms`);
      }, afterMs);
      timer.unref();
    };
    // A call without a byte is as unfinished as one without its last.
    if (!streams) arm(requestTimeoutMs);
    stream.on("data", (bytes: Buffer) => {
      if (over) return;
      const ended = half.take(bytes);
      if (streams && half.bytes > 0 && (ended || kept === 0)) begun = performance.now();
      keep(half.bytes);
      if (this.#bytes > requestPendingBytesMax) {
        const what = `The requests that are not here whole have more than ${requestPendingBytesMax} bytes`;
        return tooMuch("request.pending.max.bytes", what);
      }
      if (kept > 0 && timer === undefined) arm(requestTimeoutMs);
    });
    stream.once("end", end);
    stream.once("close", end);
  }
}

/** All that has come of a single request. */
class WholeBody {
  bytes = 0;

  take(bytes: Buffer): boolean {
    this.bytes += bytes.length;
    return false;
  }
}

/** What has come of the message under way on a stream of requests, prefix included. */
class HalfMessage {
  bytes = 0;
  /** The length in the prefix, once it is here. */
  #length = 0;

  /** @returns whether a message ended in these bytes */
  take(chunk: Buffer): boolean {
    let ended = false;
    let at = 0;
    while (at < chunk.length) {
      while (this.bytes < PREFIX_BYTES && at < chunk.length) {
        if (this.bytes > 0) this.#length = this.#length * 256 + (chunk[at] as number);
        this.bytes++;
        at++;
      }
      if (this.bytes < PREFIX_BYTES) return ended;
      const taken = Math.min(chunk.length - at, PREFIX_BYTES + this.#length - this.bytes);
      this.bytes += taken;
      at += taken;
      if (this.bytes < PREFIX_BYTES + this.#length) return ended;
      this.bytes = 0;
      this.#length = 0;
      ended = true;
    }
    return ended;
  }
}
