import { MillraceError } from "../../../base/errors.ts";
import { RpcFailure } from "../../../base/ports/rpc-client.ts";
import type { Trace } from "../trace.ts";

export type CallKind = "unary" | "server-stream" | "bidi";
export type CallError = MillraceError | RpcFailure;

/** What calls say to each other on a simulated connection; `id` numbers the calls of one connection. */
export type RpcFrame =
  | { readonly kind: "call"; readonly id: number; readonly path: string; readonly call: CallKind; readonly timeoutMs: number | undefined }
  | { readonly kind: "message"; readonly id: number; readonly body: Uint8Array }
  /** The caller sends nothing more. */
  | { readonly kind: "end"; readonly id: number }
  | { readonly kind: "status"; readonly id: number; readonly error: CallError | undefined }
  | { readonly kind: "cancel"; readonly id: number }
  /** So many bytes were read: as many more may be sent. */
  | { readonly kind: "taken"; readonly id: number; readonly bytes: number };

/** What a frame weighs beside its body. */
const FRAME_BYTES = 16;

export function frameBytes(frame: RpcFrame): number {
  return FRAME_BYTES + (frame.kind === "message" ? frame.body.length : 0);
}

/** For the trace: what of the frame the other process gets to see, its bytes as their hash. */
export function frameText(frame: RpcFrame, trace: Trace): string {
  switch (frame.kind) {
    case "call":
      return `gets call ${frame.id} ${frame.path}`;
    case "message":
      return `gets message of call ${frame.id}: ${trace.bytes([frame.body])}`;
    case "status":
      return `gets status of call ${frame.id}: ${frame.error === undefined ? "ok" : frame.error.message}`;
    default:
      return `gets ${frame.kind} of call ${frame.id}`;
  }
}

/** An error of its own for the other process: nothing but what the wire carries. */
export function overTheWire(error: CallError): CallError {
  if (error instanceof MillraceError) return new MillraceError(error.code, error.message, { ...error.metadata }, error.retryAfterMs);
  return new RpcFailure(error.status, error.message, error.neverSent);
}
