import type { RpcFrame } from "../rpc/frames.ts";

/** What travels on a simulated connection: messages between brokers, or the frames of calls. `bytes` is what it would weigh on a wire. */
export type WireMessage =
  | { readonly type: "peer"; readonly kind: number; readonly chunks: readonly Uint8Array[]; readonly bytes: number }
  | { readonly type: "rpc"; readonly frame: RpcFrame; readonly bytes: number };

/**
 * The message as the receiver gets it: a body of its own in one piece. It is copied when it arrives, so a sender that changes its bytes
 * too early sends what it wrote over them.
 */
export function arrived(message: WireMessage): WireMessage {
  if (message.type === "rpc") return message;
  let length = 0;
  for (const chunk of message.chunks) length += chunk.length;
  // A piece of a larger buffer, as on a real socket.
  const body = Buffer.allocUnsafe(length);
  let at = 0;
  for (const chunk of message.chunks) {
    body.set(chunk, at);
    at += chunk.length;
  }
  return { type: message.type, kind: message.kind, chunks: [body], bytes: message.bytes };
}
