import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import type { Metadata } from "@grpc/grpc-js";
import type { HeldRequest } from "./held-requests.ts";

/** Names the HTTP/2 stream of a call to its handler, which grpc-js does not. What a caller sends under this name is replaced. */
const STREAM_HEADER = "millrace-stream";

/** What grpc-js does not tell the handler of a call. */
export interface OpenStream {
  /** Resets the stream of the call, and drops what waits on it. */
  reset(): void;
  readonly request: HeldRequest;
}

const gone: OpenStream = { reset() {}, request: { delivered() {}, keptUntil() {} } };

/**
 * The HTTP/2 streams of a server, so that a call can be ended whose reader takes nothing (for grpc-js it would wait for ever), and what its
 * request holds is known where its handler takes it.
 */
export class OpenStreams {
  readonly #streams = new Map<string, OpenStream>();
  #next = 1;

  /** How many there are now. */
  get open(): number {
    return this.#streams.size;
  }

  /** Before grpc-js sees the stream. */
  opened(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, request: HeldRequest): void {
    const id = String(this.#next++);
    headers[STREAM_HEADER] = id;
    this.#streams.set(id, { reset: () => stream.close(constants.NGHTTP2_CANCEL), request });
    stream.once("close", () => this.#streams.delete(id));
  }

  of(metadata: Metadata): OpenStream {
    const [id] = metadata.get(STREAM_HEADER);
    return this.#streams.get(String(id)) ?? gone;
  }
}
