import type { MillraceError } from "../errors.ts";
import type { Caller } from "../until.ts";

/** What every call knows. Deadlines are on the monotonic clock. */
export interface CallContext extends Caller {
  /** Monotonic milliseconds; undefined: the caller set none. */
  readonly deadline: number | undefined;
  /** Address of the caller, for messages only. */
  readonly peer: string;
  /** Who the caller proved to be; "anonymous" until security exists. */
  readonly principal: string;
  readonly cancelled: boolean;
  /** Bytes of answers to this and other calls of the caller's connection that it has not taken yet. */
  readonly unsentBytes: number;
  /** `run` is called at most once, when the caller goes away, cancels, or its deadline passes. Set after the fact: called at once. @returns forgets it */
  onCancel(run: () => void): () => void;
}

export type UnaryHandler = (request: Uint8Array, call: CallContext) => Promise<Uint8Array>;

/** The server's side of a stream. Bytes in, bytes out (design §8). */
export interface ServerStream {
  readonly call: CallContext;
  /** Set synchronously in the handler. A server-streaming method gets exactly one message, then `ended`. */
  handlers: StreamHandlers;
  /** Written on this stream and not taken by its reader yet. */
  readonly unsentBytes: number;
  /** `write` also says false while so many bytes wait for the connection, and `drain` follows once fewer do. Default: no such bound. */
  unsentBytesMax: number;
  /** @returns false when buffers are full: write no more until `drain`. The message is queued in any case. */
  write(message: Uint8Array): boolean;
  /** Stops reading requests; HTTP/2 flow control holds the sender. */
  pause(): void;
  resume(): void;
  /** Ends the stream with OK, or with the error. Later writes do nothing. */
  end(error?: MillraceError): void;
}

export interface StreamHandlers {
  message(message: Uint8Array): void;
  /** The caller half-closed: no more messages. */
  ended(): void;
  drain(): void;
}

export type StreamHandler = (stream: ServerStream) => void;

export type RpcMethod =
  /** `waits`: the answer may take as long as the caller likes, as that of a long poll. */
  | { readonly kind: "unary"; readonly handle: UnaryHandler; readonly waits?: true }
  | { readonly kind: "server-stream" | "bidi"; readonly handle: StreamHandler };

export interface RpcServer {
  /** @param path "/millrace.v1.LogService/Produce". All methods are registered before `listen`. */
  register(path: string, method: RpcMethod): void;
  /** Marks a service (or "" for all) as serving or not in `grpc.health.v1`. */
  setServing(service: string, serving: boolean): void;
  /** Bytes of answers that were given and that their readers have not taken yet, over all calls. */
  readonly unsentBytes: number;
  /** @returns the bound "host:port" @throws {ListenError} */
  listen(address: string): Promise<string>;
  /** Refuses new calls, waits `graceMs` for the open ones, then ends them. */
  close(graceMs: number): Promise<void>;
}
