import { MillraceError } from "../../base/errors.ts";
import type { Clock, Timer } from "../../base/ports/clock.ts";
import type { Connection, Transport } from "../../base/ports/transport.ts";
import { type Greeted, type PeerIdentity, shakeHands } from "./hello.ts";
import { type IncomingCall, PeerCalls } from "./peer-calls.ts";

export const DIAL_TIMEOUT_MS = 1_000;
/** A "join" connection on which nobody waits for anything is closed after so long. */
const IDLE_MS = 2_000;

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

/**
 * The side that accepted "join" connections. They bear one call and are not probed, so the one whose dialer died without a word would stay
 * for ever: each ends some time after its call must have.
 */
export class ServedJoins {
  readonly #clock: Clock;
  readonly #open = new Set<Connection>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Sets the handlers of the connection.
   *
   * @param guarded runs what takes a message: bytes that are none end the connection
   */
  serve(
    { connection, broker }: Pick<Greeted, "connection" | "broker">,
    take: (call: IncomingCall) => void,
    guarded: (take: () => boolean) => void,
  ): void {
    const endIn = (ms: number): Timer => this.#clock.after(ms, () => connection.close("nothing is asked on it any more"));
    let timer = endIn(IDLE_MS);
    const calls = new PeerCalls(connection, this.#clock, broker, (call) => {
      timer.cancel();
      timer = endIn(Math.max(0, call.deadline - this.#clock.monotonic()) + IDLE_MS);
      take(call);
    });
    this.#open.add(connection);
    connection.handlers = {
      message: (kind, body) => guarded(() => calls.message(kind, body)),
      drain() {},
      closed: () => {
        timer.cancel();
        this.#open.delete(connection);
        calls.closed();
      },
    };
  }

  close(): void {
    for (const connection of [...this.#open]) connection.close("broker stops");
  }
}
