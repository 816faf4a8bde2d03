import { MillraceError } from "../../base/errors.ts";
import type { Clock } from "../../base/ports/clock.ts";
import type { Transport } from "../../base/ports/transport.ts";
import { type PeerIdentity, shakeHands } from "./hello.ts";
import { PeerCalls } from "./peer-calls.ts";

export const DIAL_TIMEOUT_MS = 1_000;

export interface JoinCall {
  readonly address: string;
  readonly method: string;
  readonly body: Uint8Array;
  readonly timeoutMs: number;
}

/**
 * One call on a short "join" connection to an address, whoever answers there (design §5).
 *
 * @param outdated who answers belongs to a later recovery epoch of this cluster
 */
export async function callOnce(
  { clock, transport }: { readonly clock: Clock; readonly transport: Transport },
  identity: () => PeerIdentity,
  { address, method, body, timeoutMs }: JoinCall,
  outdated: () => void,
): Promise<Uint8Array> {
  const connection = await transport.dial(address, Math.min(timeoutMs, DIAL_TIMEOUT_MS));
  try {
    return await new Promise<Uint8Array>((resolve, reject) => {
      const lost = (reason: string): void => reject(new MillraceError("HOP_LOST", `Lost the connection to ${address}: ${reason}`));
      shakeHands(
        connection,
        clock,
        identity,
        { kind: "join", to: undefined },
        ({ broker }) => {
          const calls = new PeerCalls(connection, clock, broker, (call) =>
            call.fail(new MillraceError("NOT_IMPLEMENTED", "nothing is served on this side")),
          );
          connection.handlers = {
            message: (kind, bytes) => void calls.message(kind, bytes),
            drain() {},
            closed(reason) {
              calls.closed();
              lost(reason);
            },
          };
          calls.call(method, [body], timeoutMs, (outcome) => ("body" in outcome ? resolve(outcome.body) : reject(outcome.error)));
        },
        lost,
        () => [],
        outdated,
      );
    });
  } finally {
    connection.close("answered");
  }
}
