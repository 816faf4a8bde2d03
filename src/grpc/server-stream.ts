import type { ServerDuplexStream, ServerWritableStream, StatusObject } from "@grpc/grpc-js";
import type { MillraceError } from "../base/errors.ts";
import type { ServerStream, StreamHandlers } from "../base/ports/rpc-server.ts";
import type { GrpcCallContext } from "./call-context.ts";

const ignore: StreamHandlers = { message() {}, ended() {}, drain() {} };

/** The server's side of one stream over a grpc-js call. Back-pressure is that of the call's Node stream: 16 messages each way. */
export class GrpcServerStream implements ServerStream {
  handlers: StreamHandlers = ignore;
  readonly call: GrpcCallContext;
  readonly #stream: ServerDuplexStream<Buffer, Uint8Array> | ServerWritableStream<Buffer, Uint8Array>;
  readonly #statusOf: (error: unknown) => StatusObject;
  /** Set while reading from a bidi call. */
  #reading: ServerDuplexStream<Buffer, Uint8Array> | undefined;
  /** The one request of a server-streaming call, while it waits for `resume`. */
  #request: Buffer | undefined;
  #paused = false;
  unsentBytesMax = Number.MAX_SAFE_INTEGER;
  /** `write` said false because of `unsentBytesMax`. */
  #overfull = false;

  constructor(
    stream: ServerDuplexStream<Buffer, Uint8Array> | ServerWritableStream<Buffer, Uint8Array>,
    call: GrpcCallContext,
    statusOf: (error: unknown) => StatusObject,
  ) {
    this.call = call;
    this.#stream = stream;
    this.#statusOf = statusOf;
    stream.on("drain", () => {
      if (!this.#overfull) this.guarded(this.#drained);
    });
  }

  get unsentBytes(): number {
    return this.call.unsent.bytes;
  }

  write(message: Uint8Array): boolean {
    if (this.#over) return true;
    this.call.unsent.add(message.length);
    const room = this.#stream.write(message, () => this.#sent(message.length));
    this.#overfull ||= this.unsentBytes >= this.unsentBytesMax;
    return room && !this.#overfull;
  }

  #sent(bytes: number): void {
    this.call.unsent.take(bytes);
    if (!this.#overfull || this.unsentBytes >= this.unsentBytesMax) return;
    this.#overfull = false;
    // Else Node says so itself.
    if (!this.#stream.writableNeedDrain) this.guarded(this.#drained);
  }

  pause(): void {
    this.#paused = true;
    this.#reading?.pause();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#reading?.resume();
    if (this.#request !== undefined) setImmediate(this.#deliverRequest);
  }

  end(error?: MillraceError): void {
    if (this.#over) return;
    this.call.finish();
    // The documented way to end with a status; what was written before is sent first.
    if (error === undefined) this.#stream.end();
    else this.#stream.emit("error", this.#statusOf(error));
  }

  /** Runs a handler; a throw ends the stream as a bug. */
  guarded(run: () => void): void {
    if (this.#over) return;
    try {
      run();
    } catch (error) {
      if (this.#over) return;
      this.call.finish();
      this.#stream.emit("error", this.#statusOf(error));
    }
  }

  /** @param delivered told the bytes of each message that leaves the hands of grpc-js */
  receiveFrom(stream: ServerDuplexStream<Buffer, Uint8Array>, delivered: (bytes: number) => void): void {
    this.#reading = stream;
    stream.on("data", (message: Buffer) => {
      delivered(message.length);
      if (this.#over) return;
      try {
        this.handlers.message(message);
      } catch (error) {
        this.guarded(() => {
          throw error;
        });
      }
    });
    stream.on("end", () => this.guarded(this.#ended));
    if (this.#paused) stream.pause();
  }

  receiveOnly(request: Buffer): void {
    this.#request = request;
    this.#deliverRequest();
  }

  get #over(): boolean {
    return this.call.finished || this.call.cancelled;
  }

  readonly #drained = (): void => this.handlers.drain();
  readonly #ended = (): void => this.handlers.ended();

  readonly #deliverRequest = (): void => {
    const request = this.#request;
    if (request === undefined || this.#paused) return;
    this.#request = undefined;
    this.guarded(() => this.handlers.message(request));
    this.guarded(this.#ended);
  };
}
