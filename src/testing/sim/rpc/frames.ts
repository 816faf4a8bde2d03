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

const NO_BYTES: readonly Uint8Array[] = [];

/** Puts into the trace what of the frame the other process gets to see, its bytes as their hash. */
export function noteFrame(frame: RpcFrame, trace: Trace, now: number, who: string): void {
  const { id } = frame;
  switch (frame.kind) {
    case "call":
      return trace.note(now, `gets call ${id} ${frame.path}`, who);
    case "message":
      return trace.noteBytes(now, `${who} gets message of call`, [frame.body], id);
    case "status":
      return trace.note(now, `gets status of call ${id}: ${frame.error === undefined ? "ok" : frame.error.message}`, who);
    default:
      return trace.noteBytes(now, `${who} gets ${frame.kind} of call`, NO_BYTES, id);
  }
}

/** An error of its own for the other process: nothing but what the wire carries. */
export function overTheWire(error: CallError): CallError {
  if (error instanceof MillraceError) return new MillraceError(error.code, error.message, { ...error.metadata }, error.retryAfterMs);
  return new RpcFailure(error.status, error.message, error.neverSent);
}
