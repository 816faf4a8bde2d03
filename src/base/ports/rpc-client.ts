import type { MillraceError } from "../errors.ts";

/**
 * A call failed. With our `ErrorInfo` it is a `MillraceError`; without one (connection refused, reset, a proxy's answer)
 * it is a `RpcFailure`, whose outcome counts as unknown unless the call provably never left (design §6).
 */
export class RpcFailure extends Error {
  override readonly name = "RpcFailure";
  /** gRPC status name. */
  readonly status: string;
  /** The request certainly never reached a server (for example connection refused). */
  readonly neverSent: boolean;
  constructor(status: string, message: string, neverSent: boolean) {
    super(message);
    this.status = status;
    this.neverSent = neverSent;
  }
}

export interface CallOptions {
  /** From now, milliseconds. Unary calls always have one. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

export interface ClientStream {
  /** Set synchronously after `openStream` returns. */
  handlers: ClientStreamHandlers;
  /** @returns false when buffers are full: write no more until `drain`. */
  write(message: Uint8Array): boolean;
  /** Half-closes. */
  end(): void;
  pause(): void;
  resume(): void;
  cancel(): void;
}

export interface ClientStreamHandlers {
  message(message: Uint8Array): void;
  drain(): void;
  /** Exactly once, last. `undefined`: ended with OK. */
  closed(error: MillraceError | RpcFailure | undefined): void;
}

/** One connection to one address; connects when first used and reconnects by itself. */
export interface RpcChannel {
  readonly address: string;
  /** @throws {MillraceError | RpcFailure} */
  unary(path: string, request: Uint8Array, options: CallOptions): Promise<Uint8Array>;
  openStream(path: string, kind: "server-stream" | "bidi", options?: { readonly timeoutMs?: number }): ClientStream;
  close(): void;
}

export interface RpcClient {
  channel(address: string): RpcChannel;
}
