import type { OutgoingHttpHeaders, ServerHttp2Stream, ServerStreamResponseOptions } from "node:http2";
import { status } from "@grpc/grpc-js";
import { MillraceError } from "../base/errors.ts";
import type { LimitName } from "../base/limits.ts";
import { DETAILS_KEY, statusOfError } from "./status.ts";

/**
 * The statuses of one call that no handler of ours gives: grpc-js's own, which come without details and get ours on their way to the wire,
 * and those of the guard, which answers a call before grpc-js does. Life: from before grpc-js sees the stream to its end.
 */
export class OwnStatuses {
  readonly #stream: ServerHttp2Stream;
  readonly #respond: ServerHttp2Stream["respond"];
  #refused = false;

  constructor(stream: ServerHttp2Stream, path: string) {
    this.#stream = stream;
    this.#respond = stream.respond.bind(stream);
    const sendTrailers = stream.sendTrailers.bind(stream);
    stream.respond = (headers: OutgoingHttpHeaders = {}, options?: ServerStreamResponseOptions) => {
      // Its own timers may still want to answer a call that is.
      if (!this.#refused) this.#respond(explained(headers, path), options);
    };
    stream.sendTrailers = (headers: OutgoingHttpHeaders) => {
      if (!this.#refused) sendTrailers(explained(headers, path));
    };
  }

  /** Answers in place of grpc-js. @returns false when an answer has begun: it is too late for another */
  refuse(error: MillraceError): boolean {
    if (this.#refused || this.#stream.headersSent || this.#stream.destroyed || this.#stream.closed) return false;
    this.#refused = true;
    this.#respond({ ":status": 200, "content-type": "application/grpc+proto", ...trailersOf(error) }, { endStream: true });
    return true;
  }
}

function trailersOf(error: MillraceError): OutgoingHttpHeaders {
  const { code, details, metadata } = statusOfError(error);
  return { "grpc-status": code, "grpc-message": encodeURI(details), ...metadata.toHttp2Headers() };
}

/** Headers or trailers that grpc-js sends, with the details of what they say where this project has a name for it. */
function explained(headers: OutgoingHttpHeaders, path: string): OutgoingHttpHeaders {
  const code = headers["grpc-status"];
  if (code === undefined || Number(code) === status.OK || headers[DETAILS_KEY] !== undefined) return headers;
  const error = errorFor(Number(code), plain(String(headers["grpc-message"] ?? "")), path);
  return error === undefined ? headers : { ...headers, ...trailersOf(error) };
}

/** By the words of grpc-js 1.14: there is nothing else to tell them by. */
function errorFor(code: number, message: string, path: string): MillraceError | undefined {
  if (code === status.UNIMPLEMENTED && message.startsWith("The server does not implement the method")) {
    const method = path.slice(0, PATH_SHOWN_MAX);
    return new MillraceError("NOT_IMPLEMENTED", `Cannot call ${method}: this version does not have it`, { method });
  }
  if (code === status.DEADLINE_EXCEEDED && message === "Deadline exceeded")
    return new MillraceError("REQUEST_TIMED_OUT", "The deadline passed before the call was answered; what it asked for may be done");
  if (code !== status.RESOURCE_EXHAUSTED) return undefined;
  const sent = /^Received message larger than max \((\d+) vs (\d+)\)/.exec(message);
  if (sent !== null) return tooLarge("request.max.bytes", `The message has ${sent[1]} bytes`, Number(sent[2]));
  const inflated = /^Received message that decompresses to a size larger than (\d+)/.exec(message);
  if (inflated !== null) return tooLarge("request.max.bytes", "The message inflates to more", Number(inflated[1]));
  return undefined;
}

const PATH_SHOWN_MAX = 200;

/** @param what "The message has 5 bytes" @param max what the limit allows */
export function tooLarge(limit: LimitName, what: string, max: number): MillraceError {
  return new MillraceError("REQUEST_TOO_LARGE", `${what}; ${limit} is ${max}`, { limit, max: String(max) });
}

function plain(message: string): string {
  try {
    return decodeURI(message);
  } catch {
    return message;
  }
}
