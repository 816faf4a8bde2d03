import { type ClientDuplexStream, type ServiceError, status } from "@grpc/grpc-js";
import type { MillraceError } from "../base/errors.ts";
import type { ClientStream, ClientStreamHandlers, RpcFailure } from "../base/ports/rpc-client.ts";
import { failureOf } from "./status.ts";

const ignore: ClientStreamHandlers = { message() {}, drain() {}, closed() {} };

/** The client's side of one stream over a grpc-js call. A server-streaming method is a bidi one whose caller sends one message. */
export class GrpcClientStream implements ClientStream {
  handlers: ClientStreamHandlers = ignore;
  readonly #stream: ClientDuplexStream<Uint8Array, Buffer>;
  readonly #released: () => void;
  #failure: MillraceError | RpcFailure | undefined;
  #hasStatus = false;
  #readAll = false;
  #cancelled = false;
  #closed = false;
  #ended = false;

  constructor(stream: ClientDuplexStream<Uint8Array, Buffer>, released: () => void) {
    this.#stream = stream;
    this.#released = released;
    stream.on("data", (message: Buffer) => {
      if (!this.#cancelled) this.handlers.message(message);
    });
    stream.on("drain", () => {
      if (!this.#closed) this.handlers.drain();
    });
    stream.on("error", (error: ServiceError) => {
      this.#failure ??= failureOf(error);
    });
    stream.on("status", (end) => {
      if (end.code !== status.OK) this.#failure ??= failureOf(end);
      this.#hasStatus = true;
      this.#maybeClose();
    });
    stream.on("end", () => {
      this.#readAll = true;
      this.#maybeClose();
    });
  }

  write(message: Uint8Array): boolean {
    return this.#closed || this.#ended || this.#hasStatus || this.#stream.write(message);
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#stream.end();
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  cancel(): void {
    if (this.#closed || this.#cancelled) return;
    this.#cancelled = true;
    this.#stream.cancel();
  }

  /** Ends it with this, as if the other side had. */
  fail(failure: RpcFailure): void {
    this.#failure ??= failure;
    this.cancel();
  }

  /** Messages that arrived come first; a cancelled stream does not wait for them. */
  #maybeClose(): void {
    if (this.#closed || !this.#hasStatus || !(this.#readAll || this.#cancelled)) return;
    this.#closed = true;
    this.#released();
    this.handlers.closed(this.#failure);
  }
}
