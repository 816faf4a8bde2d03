import { randomUUID } from "node:crypto";
import type { Argv, CommandModule } from "yargs";
import { type Client, MillraceError } from "../../client/index.ts";
import { createRpcClient } from "../../grpc/rpc-client.ts";
import { ensureTopic, writeCanary } from "../check/canary.ts";
import { readBack } from "../check/read-back.ts";
import { type CheckReport, reportJson, reportText, verdictOf } from "../check/report.ts";
import { ADMIN, withClient } from "../connect.ts";
import { describeError } from "../describe-error.ts";
import { CommandFailed, ExitCode } from "../exit-code.ts";
import { durationFlag, formatOption, wholeFlag } from "../flags.ts";
import type { Terminal } from "../terminal.ts";

interface Check {
  readonly brokers?: string | undefined;
  readonly topic: string;
  readonly records: string;
  readonly timeout: string;
  readonly format: string;
}

/** Partitions of a topic it creates: as many as there are brokers, so that each is likely to lead one. */
const PARTITIONS_MAX = 12;

export function checkCommand(terminal: Terminal): CommandModule<object, Check> {
  return {
    command: "check",
    describe: "Write records at acks=all and read them back through every broker, for monitors",
    builder: (yargs) =>
      yargs
        .option("topic", {
          type: "string",
          default: "millrace-check",
          requiresArg: true,
          describe: "Topic to write to; created when it is not there, its records kept for an hour",
        })
        .option("records", {
          alias: "n",
          type: "string",
          default: "100",
          requiresArg: true,
          describe: "Records to write, one after the other",
        })
        .option("timeout", {
          type: "string",
          default: "10s",
          requiresArg: true,
          describe: "Longest wait for one acknowledgement, and for one broker: 500ms, 60s, 5m",
        })
        .option("format", formatOption)
        .example("$0 check --format json", "")
        .epilogue(
          "Exit codes: 0 every record came back from every broker; 1 an acknowledged record is missing or changed; 3 a record could not be written, or a broker not be read through.",
        ) as Argv<Check>,
    handler: async (args) => {
      const records = wholeFlag("--records", args.records, 1, 100_000) as number;
      const timeoutMs = durationFlag("--timeout", args.timeout);
      const report = await withClient(args.brokers, (client) => checkOrRefuse(client, { topic: args.topic, records, timeoutMs }));
      await terminal.data(args.format === "json" ? reportJson(report) : reportText(report));
      await terminal.flush();
      const { exitCode, line } = verdictOf(report);
      if (exitCode !== ExitCode.ok) throw new CommandFailed(exitCode, line);
    },
  };
}

interface Plan {
  readonly topic: string;
  readonly records: number;
  readonly timeoutMs: number;
}

/** A cluster that cannot be asked is not well: exit 3, as of `cluster health`. */
async function checkOrRefuse(client: Client, plan: Plan): Promise<CheckReport> {
  try {
    return await check(client, plan);
  } catch (error) {
    if (error instanceof MillraceError && error.retriable) throw new CommandFailed(ExitCode.absent, describeError(error).line);
    throw error;
  }
}

async function check(client: Client, { topic, records, timeoutMs }: Plan): Promise<CheckReport> {
  const admin = client.admin(ADMIN);
  const { brokers } = await admin.describeCluster();
  const { topicId, partitions } = await ensureTopic(admin, topic, Math.min(PARTITIONS_MAX, Math.max(1, brokers.length)));
  const writing = await writeCanary(client, { topic, partitions, records, timeoutMs, run: randomUUID() });
  const rpc = createRpcClient();
  const readings: CheckReport["brokers"][number][] = [];
  // One after the other, so that the latencies of one are not those of all.
  for (const { brokerId, address } of brokers) {
    const channel = rpc.channel(address);
    try {
      readings.push({ brokerId, address, ...(await readBack(channel, { topic, topicId }, writing.written, timeoutMs)) });
    } finally {
      channel.close();
    }
  }
  return { topic, partitions, records, writing, brokers: readings };
}
