import type { ServerHttp2Stream } from "node:http2";
import { MillraceError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import { type Message, MessageMeter } from "./message-meter.ts";
import { tooLarge } from "./own-statuses.ts";

/** When to try again what was refused for want of room. */
const AGAIN_MS = 100;
/** What a piece of a request keeps beyond its bytes until its message is whole: a buffer and its backing store. */
const PIECE_BYTES = 256;
/** The same of a whole message until it is taken: an empty one has five bytes on the wire, and a frame holds thousands of them. */
const MESSAGE_BYTES = 256;
/**
 * A piece that is less than this part of the memory it is a view of is copied: else one byte would keep all that came with it. Frames of the
 * usual 16 KiB come four at a time and need no copy, until so many bytes are held that what came with them matters.
 */
const VIEW_PARTS = 4;
const EXACT_SHARES = 16;
/** DEFLATE makes no more than so many bytes of one (zlib, "Maximum Compression Factor"). */
const INFLATION_MAX = 1032;
const PROBE_BYTES_MAX = limits["probe.request.max.bytes"].value;
/** Calls with no more than this have a little room of their own: who only asks is not kept out by those who bring much. */
const SMALL_BYTES = 64 * 1024;
const SMALL_SHARES = 16;
/** The part of the room that streams of requests may fill: each may go on bringing a window of bytes while it is not read. */
const STREAMS_PART = 3 / 4;

export interface HeldRequestLimits {
  /** A request, or a message of a stream of them, that is not here whole by then is refused. */
  readonly requestTimeoutMs: number;
  /** Bytes of requests over all connections: the call that brings more is refused; small ones have a 16th more. */
  readonly requestPendingBytesMax: number;
  /** One message, inflated. */
  readonly requestBytesMax: number;
}

/**
 * Whose requests a method takes:
 * - `call`: one request, kept until the stream of the call is gone (grpc-js keeps it as long) and its handler is done with it;
 * - `stream`: messages, each kept until `delivered`;
 * - `other stream`: messages nobody tells us of, which grpc-js hands over as they are whole.
 */
export type RequestKind = "call" | "stream" | "other stream";

/** What one call holds, to be told of the messages that its handler has taken over. */
export interface HeldRequest {
  /** The next message was given to the handler. @param bytes as the handler sees it: inflated */
  delivered(bytes: number): void;
  /** The handler keeps what it was given until then, whatever becomes of the call. */
  keptUntil(settled: Promise<unknown>): void;
}

/**
 * What has come of requests, over all connections of a server: what is not whole, not read, or whole and not over; and how long each may
 * take to be whole (reliability.md §5.28). HTTP/2 and grpc-js keep these bytes; what the handler of a stream keeps of a message it was given
 * it counts itself.
 */
export class HeldRequests {
  readonly #limits: HeldRequestLimits;
  #bytes = 0;
  /** Of these, what streams of requests brought. */
  #streamBytes = 0;

  constructor(given: HeldRequestLimits) {
    this.#limits = given;
  }

  /** Bytes that are held now. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Watches one call until its stream is over. Before grpc-js sees the stream.
   * @param probe health or reflection, whose questions are short
   * @param refuse called once, with what to tell the caller
   */
  watch(stream: ServerHttp2Stream, kind: RequestKind, probe: boolean, refuse: (error: MillraceError) => void): HeldRequest {
    const streams = kind !== "call";
    const meter = new MessageMeter();
    /** Whole messages of a stream that were not delivered yet, first come first. */
    const whole: Message[] = [];
    let held = 0;
    /** Pieces of the message under way. */
    let halves = 0;
    let begun = performance.now();
    let timer: NodeJS.Timeout | undefined;
    let over = false;
    let kept = false;
    const add = (bytes: number): void => {
      held += bytes;
      this.#bytes += bytes;
      if (streams) this.#streamBytes += bytes;
    };
    const hold = (bytes: number): void => {
      if (!over) add(bytes);
    };
    const inTime = (): void => {
      clearTimeout(timer);
      timer = undefined;
    };
    const release = (): void => add(-held);
    const end = (): void => {
      over = true;
      inTime();
      if (!kept) release();
    };
    const tooMuch = (limit: string, what: string, details: Readonly<Record<string, string>> = {}): void => {
      end();
      refuse(new MillraceError("TOO_MANY_REQUESTS", `${what} (${limit})`, { limit, ...details }, AGAIN_MS));
    };
    const { requestTimeoutMs, requestPendingBytesMax, requestBytesMax } = this.#limits;
    /** To how much it is inflated nobody knows before it is. */
    const inflation = ({ bytes, compressed }: Message): number => (compressed ? Math.min(requestBytesMax, bytes * INFLATION_MAX) : 0);
    const mayHold = (): boolean => {
      const more = held <= SMALL_BYTES ? Math.floor(requestPendingBytesMax / SMALL_SHARES) : 0;
      const fits = this.#bytes <= requestPendingBytesMax + more;
      if (fits && (!streams || this.#streamBytes <= requestPendingBytesMax * STREAMS_PART + more)) return true;
      const what = `The requests that are held have more than ${requestPendingBytesMax} bytes`;
      tooMuch("request.pending.max.bytes", what, { limit_bytes: String(requestPendingBytesMax) });
      return false;
    };
    const arm = (afterMs: number): void => {
      timer = setTimeout(() => {
        timer = undefined;
        if (streams && meter.bytes === 0) return;
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

    // What comes while nobody reads is kept by the stream itself, and nothing but this tells of it.
    const push = stream.push.bind(stream);
    stream.push = (piece: Buffer | null, encoding?: BufferEncoding): boolean => {
      if (piece === null || over) return push(piece, encoding);
      hold(piece.length + PIECE_BYTES);
      return mayHold() ? push(owned(piece, this.#bytes > requestPendingBytesMax / EXACT_SHARES), encoding) : true;
    };
    stream.on("data", (bytes: Buffer) => {
      if (over) return;
      const before = held;
      const idle = meter.bytes === 0;
      const ended = meter.take(bytes);
      if (probe && (meter.bytes > PROBE_BYTES_MAX || ended.some((message) => message.bytes > PROBE_BYTES_MAX))) {
        end();
        return refuse(tooLarge("probe.request.max.bytes", "The question has more bytes", PROBE_BYTES_MAX));
      }
      halves++;
      if (ended.length > 0) {
        // What is left of this piece is the beginning of the next message.
        const left = meter.bytes > 0 ? 1 : 0;
        hold((left - halves) * PIECE_BYTES);
        halves = left;
      }
      for (const message of ended) {
        if (kind === "other stream") hold(-message.bytes);
        else {
          whole.push(message);
          hold(MESSAGE_BYTES + inflation(message));
        }
      }
      // Others may have filled the room since it came: who brings nothing more is not judged.
      if (held > before && !mayHold()) return;
      if (streams && meter.bytes > 0 && (ended.length > 0 || idle)) begun = performance.now();
      if (meter.bytes > 0 && timer === undefined) arm(requestTimeoutMs);
    });
    stream.once("end", inTime);
    stream.once("close", end);
    return {
      delivered(bytes) {
        const message = whole.shift();
        if (message === undefined) return;
        hold((streams ? 0 : bytes) - message.bytes - inflation(message) - (streams ? MESSAGE_BYTES : 0));
      },
      keptUntil(settled) {
        kept = true;
        const done = (): void => {
          kept = false;
          if (over) release();
        };
        settled.then(done, done);
      },
    };
  }
}

/** The piece, or a copy of it that keeps nothing else. */
function owned(piece: Buffer, exact: boolean): Buffer {
  if (piece.length * (exact ? 1 : VIEW_PARTS) >= piece.buffer.byteLength) return piece;
  const copy = Buffer.allocUnsafeSlow(piece.length);
  copy.set(piece);
  return copy;
}
