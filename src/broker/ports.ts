import type { Background } from "../base/ports/background.ts";
import type { Clock } from "../base/ports/clock.ts";
import type { Disk } from "../base/ports/disk.ts";
import type { Inflate } from "../base/ports/inflate.ts";
import type { Patterns } from "../base/ports/patterns.ts";
import type { Random } from "../base/ports/random.ts";
import type { RpcServer } from "../base/ports/rpc-server.ts";
import type { Telemetry } from "../base/ports/telemetry.ts";
import type { Transport } from "../base/ports/transport.ts";

/** The world, as a broker sees it. The same interface in production, tests and simulation (design §3). */
export interface BrokerPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly disk: Disk;
  readonly transport: Transport;
  readonly rpcServer: RpcServer;
  readonly inflate: Inflate;
  readonly patterns: Patterns;
  readonly background: Background;
  readonly telemetry: Telemetry;
}
