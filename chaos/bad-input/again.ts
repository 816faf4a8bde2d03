import { MillraceError } from "../../src/base/errors.ts";
import type { RpcChannel } from "../../src/base/ports/rpc-client.ts";
import { sleep } from "../report.ts";

/** One call, repeated as a client that behaves does: on a typed error that says "again", until the time is over. */
export async function callAgain(channel: RpcChannel, path: string, request: Uint8Array, timeoutMs = 10_000): Promise<Uint8Array> {
  const deadline = performance.now() + timeoutMs;
  let last: Error | undefined;
  for (;;) {
    try {
      return await channel.unary(path, request, { timeoutMs: Math.max(1, deadline - performance.now()) });
    } catch (error) {
      last = error instanceof MillraceError ? error : (last ?? (error as Error));
      if (!(error instanceof MillraceError) || !error.retriable || performance.now() + 300 > deadline) throw last;
      await sleep(Math.max(20, error.retryAfterMs ?? 0));
    }
  }
}
