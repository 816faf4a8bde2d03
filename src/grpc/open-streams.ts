import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import type { Metadata } from "@grpc/grpc-js";

/** Names the HTTP/2 stream of a call to its handler, which grpc-js does not. What a caller sends under this name is replaced. */
const STREAM_HEADER = "millrace-stream";

/** The HTTP/2 streams of a server, so that a call can be ended whose reader takes nothing: for grpc-js it would wait for ever. */
export class OpenStreams {
  readonly #streams = new Map<string, ServerHttp2Stream>();
  #next = 1;

  /** Before grpc-js sees the stream. */
  opened(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    const id = String(this.#next++);
    headers[STREAM_HEADER] = id;
    this.#streams.set(id, stream);
    stream.once("close", () => this.#streams.delete(id));
  }

  /** @returns resets the stream of the call, and drops what waits on it */
  resetterOf(metadata: Metadata): () => void {
    const [id] = metadata.get(STREAM_HEADER);
    return () => this.#streams.get(String(id))?.close(constants.NGHTTP2_CANCEL);
  }
}
