import { MillraceError } from "../../../../base/errors.ts";
import { type RpcChannel, RpcFailure } from "../../../../base/ports/rpc-client.ts";

/** How a call ended: with an answer, or not; then it was refused (`fail`), or nobody knows. */
export type Ended<T> = { readonly answer: T } | Failed;

export interface Failed {
  readonly type: "fail" | "info";
  readonly error: string;
  /** What was said beside it. */
  readonly facts: Readonly<Record<string, string>>;
}

/** One call, and no more. */
export async function callOnce<T>(
  channel: RpcChannel,
  path: string,
  request: Uint8Array,
  reply: { decode(bytes: Uint8Array): T },
  timeoutMs: number,
): Promise<Ended<T>> {
  try {
    return { answer: reply.decode(await channel.unary(path, request, { timeoutMs })) };
  } catch (error) {
    return failureOf(error);
  }
}

export function failureOf(error: unknown): Failed {
  if (error instanceof RpcFailure) return { type: error.neverSent ? "fail" : "info", error: error.status, facts: {} };
  if (!(error instanceof MillraceError)) throw error;
  return { type: error.outcomeKnown ? "fail" : "info", error: error.code, facts: error.metadata };
}
