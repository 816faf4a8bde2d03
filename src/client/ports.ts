import type { CallScopes } from "../base/ports/call-scope.ts";
import type { Clock } from "../base/ports/clock.ts";
import type { Deflate } from "../base/ports/deflate.ts";
import type { Inflate } from "../base/ports/inflate.ts";
import type { Random } from "../base/ports/random.ts";
import type { RpcClient } from "../base/ports/rpc-client.ts";
import type { SideThreads } from "../base/ports/side-thread.ts";
import type { Telemetry } from "../base/ports/telemetry.ts";

/** The outside world as the client sees it; `millrace/client` puts the real one in, tests and the simulator their own. */
export interface ClientPorts {
  readonly rpc: RpcClient;
  readonly clock: Clock;
  readonly random: Random;
  readonly telemetry: Telemetry;
  /** Without it only uncompressed records can be read. */
  readonly inflate?: Inflate;
  /** Without it a producer cannot compress. */
  readonly deflate?: Deflate;
  /** Without it heartbeats of group consumers leave from this thread, when it has time. */
  readonly threads?: SideThreads;
  /** Without it a handler that waits for the close of its own group consumer waits until that gives it up. */
  readonly scopes?: CallScopes;
}
