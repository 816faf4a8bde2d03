import { constants, type Http2Server, type IncomingHttpHeaders, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import { MillraceError } from "../base/errors.ts";
import { type CallLength, placesFor } from "./call-places.ts";
import { type HeldRequestLimits, HeldRequests, type RequestKind } from "./held-requests.ts";
import type { OpenStreams } from "./open-streams.ts";
import { OwnStatuses, tooLarge } from "./own-statuses.ts";

/** Longest deadline a timer can hold (2^31 − 1 ms, 24.8 days); a caller who asks for more gets this. */
const TIMEOUT_SECONDS_MAX = 2_147_483;
/** What a header counts beyond its name and value (RFC 9113 §10.5.1). */
const HEADER_OVERHEAD_BYTES = 32;
/** When to try again what was refused because of the number of calls. */
const AGAIN_MS = 1_000;
/** Names no encoding there is: see `normalizeHeaders`. */
const NO_ENCODING = "none";

export interface GuardLimits extends HeldRequestLimits {
  /** Headers of one call; that many more are taken by HTTP/2, so that they can be answered. */
  readonly maxHeaderBytes: number;
  readonly maxHeaderPairs: number;
  /** Calls at the same time, over all connections. */
  readonly callsMax: number;
  /** A connection that has not sent its SETTINGS by then is closed. */
  readonly prefaceTimeoutMs: number;
  /** A stream that was answered and whose caller still sends is reset after this. */
  readonly lingerMs: number;
  /** A method that takes a stream of requests may stay open for ever: what is bounded is each message. */
  readonly requestKind: (path: string) => RequestKind;
  readonly callLength: (path: string) => CallLength;
  readonly streams: OpenStreams;
}

/**
 * Stands between Node's HTTP/2 server and grpc-js: drops calls that were reset before anybody saw them (answering one throws),
 * makes headers safe to read, turns a throw into a reset of that one stream, bounds what requests may hold,
 * and closes connections that never speak HTTP/2.
 */
export function guardHttp2Server(server: Http2Server, limits: GuardLimits): void {
  const requests = new HeldRequests(limits);
  const listeners = server.listeners("stream");
  server.removeAllListeners("stream");
  server.on("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, flags: number, rawHeaders: readonly string[]) => {
    stream.on("error", ignore);
    if (stream.destroyed || stream.closed) return;
    const path = headers[":path"] ?? "";
    const statuses = new OwnStatuses(stream, path);
    const full = limits.streams.open >= placesFor(limits.callLength(path), limits.callsMax);
    const refusal = full ? tooManyCalls(limits.streams.open, limits.callsMax) : refusalOf(headers, rawHeaders, limits);
    if (refusal !== undefined) return refuse(stream, statuses, refusal);
    resetWhenAnswered(stream, limits.lingerMs);
    const request = requests.watch(stream, limits.requestKind(path), path.startsWith("/grpc."), (error) => refuse(stream, statuses, error));
    limits.streams.opened(stream, headers, request);
    normalizeHeaders(headers);
    try {
      for (const listener of listeners) Reflect.apply(listener, server, [stream, headers, flags]);
    } catch {
      if (!stream.destroyed) stream.close(constants.NGHTTP2_INTERNAL_ERROR);
    }
  });
  server.on("session", (session) => closeUnlessSpeaking(session, limits.prefaceTimeoutMs));
  // Broken bytes end their session; nobody else needs to know.
  server.on("sessionError", ignore);
}

function ignore(): void {}

function tooManyCalls(open: number, max: number): MillraceError {
  const text = `This broker serves ${open} calls already (client.calls.max is ${max}, with some kept for short calls)`;
  return new MillraceError("TOO_MANY_REQUESTS", text, { limit: "client.calls.max", limit_calls: String(max) }, AGAIN_MS);
}

/** What is to be said to a call for its headers alone; of what is no gRPC call nothing. */
function refusalOf(headers: IncomingHttpHeaders, rawHeaders: readonly string[], limits: GuardLimits): MillraceError | undefined {
  if (headers["content-type"]?.startsWith("application/grpc") !== true) return undefined;
  const count = rawHeaders.length / 2;
  if (count > limits.maxHeaderPairs) return tooLarge("request.headers.max", `The call has ${count} headers`, limits.maxHeaderPairs);
  const bytes = rawHeaders.reduce((sum, text) => sum + text.length, count * HEADER_OVERHEAD_BYTES);
  if (bytes > limits.maxHeaderBytes)
    return tooLarge("request.headers.max.bytes", `The headers of the call have ${bytes} bytes`, limits.maxHeaderBytes);
  const timeout = headers["grpc-timeout"];
  if (typeof timeout === "string" && /^(?:-\d{1,8}|0{1,8})[HMSmun]$/.test(timeout))
    return new MillraceError("DEADLINE_PASSED", `Cannot serve the call: its deadline had passed when it arrived (${timeout})`);
  return undefined;
}

/**
 * Answers the call and takes no more of it. The reset that tells the caller to stop goes a turn later: nghttp2 drops a status that still
 * waits to be written when the reset is queued, and what the caller then sees is the reset.
 */
function refuse(stream: ServerHttp2Stream, statuses: OwnStatuses, error: MillraceError): void {
  const answered = statuses.refuse(error);
  // What has come of the request is given up.
  stream.removeAllListeners("data");
  stream.resume();
  if (answered) setImmediate(() => stream.close(constants.NGHTTP2_NO_ERROR));
  else stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
}

/**
 * A caller that is answered before it has sent all is told to stop (RFC 9113 §8.1): grpc-js would go on taking its bytes, and the
 * stream would count against the connection until the caller ends it. Not at once: nghttp2 drops a status that still waits to be
 * written when the reset is queued, and callers that read their status end the stream themselves.
 */
function resetWhenAnswered(stream: ServerHttp2Stream, lingerMs: number): void {
  stream.once("finish", () => {
    if (stream.readableEnded) return;
    const timer = setTimeout(() => stream.close(constants.NGHTTP2_NO_ERROR), lingerMs);
    timer.unref();
    stream.once("close", () => clearTimeout(timer));
  });
}

function closeUnlessSpeaking(session: ServerHttp2Session, prefaceTimeoutMs: number): void {
  const timer = setTimeout(() => session.destroy(), prefaceTimeoutMs);
  timer.unref();
  const stop = (): void => clearTimeout(timer);
  session.once("remoteSettings", stop);
  session.once("close", stop);
}

/**
 * - `grpc-timeout`: grpc-js finds a number anywhere in it and computes in 32 bits, so ten years become an arbitrary time and "-5S"
 *   five seconds. Negative counts as passed, too long is clamped, what is no timeout stays for grpc-js to refuse.
 * - `grpc-encoding`: without one grpc-js takes a message flagged as compressed as if it were not; with an unknown one it refuses
 *   flagged messages only.
 */
export function normalizeHeaders(headers: IncomingHttpHeaders): void {
  const timeout = headers["grpc-timeout"];
  if (typeof timeout === "string") headers["grpc-timeout"] = normalizeTimeout(timeout);
  const encoding = headers["grpc-encoding"];
  if (encoding === undefined || encoding === "identity") headers["grpc-encoding"] = NO_ENCODING;
}

const unitSeconds: Readonly<Record<string, number>> = { H: 3600, M: 60, S: 1, m: 1e-3, u: 1e-6, n: 1e-9 };

/** @returns a value grpc-js reads rightly, or "invalid", which it answers with INTERNAL */
export function normalizeTimeout(text: string): string {
  const match = /^(-?)(\d{1,8})([HMSmun])$/.exec(text);
  if (match === null) return "invalid";
  const [, sign, digits, unit = "S"] = match;
  if (sign === "-") return "0n";
  const seconds = Number(digits) * (unitSeconds[unit] ?? 1);
  return seconds > TIMEOUT_SECONDS_MAX ? `${TIMEOUT_SECONDS_MAX}S` : text;
}
