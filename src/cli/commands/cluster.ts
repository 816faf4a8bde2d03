import type { Argv, CommandModule } from "yargs";
import { counted } from "../../base/plural.ts";
import { BrokerState, type Client, MillraceError } from "../../client/index.ts";
import { ADMIN, parseBrokers, withClient } from "../connect.ts";
import { describeError } from "../describe-error.ts";
import { CommandFailed, ExitCode } from "../exit-code.ts";
import { durationFlag, formatOption } from "../flags.ts";
import { table } from "../table.ts";
import type { Terminal } from "../terminal.ts";
import { configCommand } from "./cluster-config.ts";

interface Common {
  readonly brokers?: string | undefined;
  readonly format: string;
}

/** Between two looks of `health --wait`, milliseconds. */
const LOOK_EVERY_MS = 250;
/** One look may take so long, and no look is begun with less than the least left. */
const LOOK_MS = 3_000;
const LOOK_MS_MIN = 100;

export function clusterCommand(terminal: Terminal): CommandModule {
  return {
    command: "cluster",
    describe: "Show the brokers, whether all is well, and the settings of the cluster",
    builder: (yargs: Argv) =>
      yargs
        .command(infoCommand(terminal))
        .command(healthCommand(terminal))
        .command(configCommand(terminal))
        .demandCommand(1, "Say what to show: info, health or config"),
    handler: () => undefined,
  };
}

const stateNames = new Map<number, string>(Object.entries(BrokerState).map(([name, state]) => [state, name]));

function infoCommand(terminal: Terminal): CommandModule<object, Common> {
  return {
    command: "info",
    describe: "List the brokers: address, state, who is controller",
    builder: (yargs) => yargs.option("format", formatOption) as Argv<Common>,
    handler: async (args) => {
      const cluster = await withClient(args.brokers, (client) => client.admin(ADMIN).describeCluster());
      const brokers = cluster.brokers.map((broker) => ({ ...broker, state: stateNames.get(broker.state) ?? "unknown" }));
      if (args.format === "json") {
        await terminal.data(`${JSON.stringify({ ...cluster, brokers })}\n`);
        return;
      }
      const rows = brokers.map((broker) => [
        broker.brokerId,
        broker.address,
        broker.state,
        broker.version || "-",
        broker.featureLevel || "-",
        broker.rack || "-",
        [broker.brokerId === cluster.controllerId ? "controller" : "", broker.seed ? "seed" : ""].filter((role) => role !== "").join(","),
      ]);
      const head = `cluster ${cluster.clusterId}, feature level ${cluster.featureLevel || "-"}`;
      await terminal.data(`${head}\n${table(["BROKER", "ADDRESS", "STATE", "VERSION", "LEVEL", "RACK", "ROLE"], rows)}`);
    },
  };
}

interface Health extends Common {
  readonly wait: boolean;
  readonly timeout: string;
}

function healthCommand(terminal: Terminal): CommandModule<object, Health> {
  return {
    command: "health",
    describe: "Say whether every partition has its leader and all its replicas; exit 3 when not",
    builder: (yargs) =>
      yargs
        .option("wait", { type: "boolean", default: false, describe: "Wait until the cluster is healthy" })
        .option("timeout", { type: "string", default: "60s", requiresArg: true, describe: "Longest wait: 500ms, 60s, 5m" })
        .option("format", formatOption) as Argv<Health>,
    handler: async (args) => {
      const waitMs = args.wait ? durationFlag("--timeout", args.timeout) : 0;
      parseBrokers(args.brokers);
      const health = await withClient(args.brokers, (client) => lookUntilHealthy(client, waitMs, terminal));
      if (args.format === "json") await terminal.data(`${JSON.stringify(health)}\n`);
      else await terminal.data(healthText(health));
      await terminal.flush();
      if (!health.healthy) throw new CommandFailed(ExitCode.absent, "the cluster is not healthy");
    },
  };
}

type HealthReply = Awaited<ReturnType<ReturnType<Client["admin"]>["clusterHealth"]>>;

async function lookUntilHealthy(client: Client, waitMs: number, terminal: Terminal): Promise<HealthReply> {
  const deadline = performance.now() + waitMs;
  let said = "";
  for (;;) {
    const left = deadline - performance.now();
    const look = await lookOnce(client, waitMs === 0 ? LOOK_MS : Math.max(LOOK_MS_MIN, Math.min(LOOK_MS, left)));
    const pause = Math.min(LOOK_EVERY_MS, deadline - performance.now());
    if (!(look instanceof MillraceError) && look.healthy) return look;
    if (pause < LOOK_MS_MIN) {
      if (look instanceof MillraceError) throw new CommandFailed(ExitCode.absent, describeError(look).line);
      return look;
    }
    const why = look instanceof MillraceError ? look.message : (look.reasons[0]?.text ?? "not healthy");
    if (why !== said) terminal.say(`waiting: ${why}`);
    said = why;
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

/** @returns an error that may pass by itself */
async function lookOnce(client: Client, timeoutMs: number): Promise<HealthReply | MillraceError> {
  try {
    return await client.admin(ADMIN).clusterHealth({ timeoutMs });
  } catch (error) {
    if (error instanceof MillraceError && error.retriable) return error;
    throw error;
  }
}

function healthText(health: HealthReply): string {
  const head = `${health.healthy ? "healthy" : "NOT healthy"}: ${health.brokersLive} of ${counted(health.brokersKnown, "broker")} live, ${counted(health.partitions, "partition")}${own(health)}, ${health.leaderlessCount} without leader, ${health.underReplicatedCount} under-replicated, ${health.underMinIsrCount} below min.insync.replicas\n`;
  return head + health.reasons.map((reason) => `  ${reason.code}: ${reason.text}\n`).join("");
}

/** Those of consumer groups, once there are any. */
function own({ internalPartitions }: HealthReply): string {
  return internalPartitions === 0 ? "" : ` and ${internalPartitions} of consumer groups`;
}
