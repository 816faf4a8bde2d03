import { setCrc32c } from "../base/crc32c.ts";
import type { Disk } from "../base/ports/disk.ts";
import { createBroker } from "../broker/broker.ts";
import { crc32cNative } from "../checksum/native.ts";
import { GzipInflate } from "../compression/gzip.ts";
import { explainConfig } from "../config/describe.ts";
import type { ProcessConfig } from "../config/load.ts";
import { nodeVersionWarning } from "../config/node-version.ts";
import { redactedConfig } from "../config/redacted.ts";
import { openDisk } from "../disk/index.ts";
import { createRpcServer } from "../grpc/rpc-server.ts";
import { nodeBackground } from "../host/background.ts";
import { nodeClock } from "../host/clock.ts";
import { collectLessOften } from "../host/heap.ts";
import { nodeRandom } from "../host/random.ts";
import { THREADS, threadPoolSize } from "../host/thread-pool.ts";
import type { SetAside } from "../log/set-aside.ts";
import { re2Patterns } from "../patterns/re2-patterns.ts";
import { createAdminHttp } from "../telemetry/admin-http.ts";
import { brokerMetrics } from "../telemetry/broker-metrics.ts";
import { meteredDisk, meteredRpcServer } from "../telemetry/metered-ports.ts";
import { probesOf } from "../telemetry/probes.ts";
import { createTelemetry } from "../telemetry/telemetry.ts";
import { createTcpTransport } from "../transport/tcp-transport.ts";
import { describeError } from "./describe-error.ts";
import { CommandFailed, ExitCode, UsageError } from "./exit-code.ts";
import { recoverCalls } from "./recover/calls.ts";
import type { Terminal } from "./terminal.ts";
import { packageVersion } from "./version.ts";

function saySetAside(data: string, { found, folder }: SetAside): string {
  if (found === undefined) return `${data} held nothing: this broker joins as a new disk`;
  if (folder !== undefined) return `What ${data} held is set aside in ${data}/${folder}; this broker joins as a new disk`;
  return `${data} is another disk than --new-incarnation names (${found}): it is used as it is`;
}

/** A broker that could not start is gone so soon after it said why, milliseconds. */
const FAILED_EXIT_MS = 250;

/** @throws {UsageError} a directory that no broker may use was named (case 52) */
function dataDirectory(directory: string): Disk {
  try {
    return openDisk(directory);
  } catch (error) {
    throw new UsageError(`--data ${directory}: ${describeError(error).line}`);
  }
}

/**
 * Runs one broker on the real ports until SIGTERM, SIGINT or SIGHUP, then hands leadership over and stops.
 *
 * @param newIncarnation while the data directory has this incarnation, it is set aside, and this broker joins as a new disk
 * @throws {CommandFailed} when it cannot start
 */
export async function runBroker(config: ProcessConfig, terminal: Terminal, newIncarnation?: string): Promise<void> {
  collectLessOften();
  setCrc32c(crc32cNative);
  const clock = nodeClock();
  const telemetry = createTelemetry({ ...config.log, base: { broker: config.broker.brokerId } });
  for (const warning of config.warnings) telemetry.log("warn", "process.listening_openly", { warning });
  const threads = threadPoolSize(process.env);
  if (threads < THREADS) telemetry.log("info", "process.few_threads", { threads, wanted: THREADS });
  const old = nodeVersionWarning(process.versions.node, clock.wall());
  if (old !== undefined) telemetry.log("warn", "process.node_old", { warning: old });

  const die = (what: string, error: unknown): never => {
    // The disk is in an unknown state, or the code is: nothing may be finished neatly.
    telemetry.log("error", "process.dies", { what, error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
    telemetry.flush();
    terminal.say(`millrace: broker ${config.broker.brokerId} dies: ${what}: ${describeError(error).line}`);
    process.exit(ExitCode.failure);
  };
  process.on("uncaughtException", (error) => die("a bug", error));
  process.on("unhandledRejection", (error) => die("a bug", error));

  const disk = dataDirectory(config.data);
  const rpcServer = createRpcServer({ clock, telemetry, limits: config.rpc, reflection: config.rpc.reflection });
  const broker = createBroker(
    {
      clock,
      random: nodeRandom,
      disk: meteredDisk(disk, clock, telemetry.metrics),
      transport: createTcpTransport(),
      rpcServer: meteredRpcServer(rpcServer, clock, telemetry.metrics),
      inflate: new GzipInflate(),
      patterns: re2Patterns,
      background: nodeBackground,
      telemetry,
    },
    config.broker,
    {
      version: packageVersion(),
      fatal: (error) => die("it cannot go on", error),
      ...(newIncarnation === undefined
        ? {}
        : { newIncarnation: { of: newIncarnation, done: (outcome) => terminal.say(saySetAside(config.data, outcome)) } }),
    },
  );

  let started = false;
  const probes = probesOf(() => ({ state: broker.state, started }));
  telemetry.metrics.add(
    brokerMetrics({
      numbers: () => broker.numbers,
      ready: () => probes.ready().ok,
      connections: () => rpcServer.connections,
      openCalls: () => rpcServer.openCalls,
      partitionsMax: config.metricsPartitionsMax,
    }),
  );
  const scrubText = (): string => `${JSON.stringify(broker.scrubStatus ?? null)}\n`;
  const admin = createAdminHttp({
    ...probes,
    metrics: telemetry.metrics,
    pages: new Map([
      ["/debug/log", () => telemetry.recent()],
      ["/debug/scrub", () => scrubText()],
      ["/debug/config", () => redactedConfig(explainConfig(config.values))],
    ]),
    actions: new Map([
      [
        "/debug/scrub",
        () => {
          broker.scrub().catch((error: unknown) => die("a bug", error));
          return scrubText();
        },
      ],
    ]),
    calls: recoverCalls(broker),
  });

  let stopping: Promise<void> | undefined;
  const stopped = new Promise<void>((resolve, reject) => {
    const stop = (): void => {
      stopping ??= broker.stop();
      stopping.then(resolve, reject);
    };
    process.on("SIGTERM", stop);
    process.on("SIGINT", stop);
    // Its terminal was closed.
    process.on("SIGHUP", stop);
  });
  try {
    await admin.listen(config.adminListen);
    // A signal may come before it serves: then `start` never has to resolve.
    await Promise.race([broker.start(), stopped]);
  } catch (error) {
    telemetry.flush();
    // Listeners that were opened before the failure must not keep the process: whoever watches it has to see it end.
    setTimeout(() => process.exit(ExitCode.failure), FAILED_EXIT_MS);
    throw new CommandFailed(ExitCode.failure, `broker ${config.broker.brokerId} cannot start: ${describeError(error).line}`);
  }
  started = true;
  await stopped;
  await admin.close();
  telemetry.flush();
  // Whatever timer is still armed must not keep a stopped broker's process.
  setTimeout(() => process.exit(ExitCode.ok), 1_000).unref();
}
