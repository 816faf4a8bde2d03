import { readFileSync } from "node:fs";
import { createInterface } from "node:readline/promises";
import type { Argv, CommandModule } from "yargs";
import { parseAddress } from "../../base/address.ts";
import type { RecoveryOutcome } from "../../broker/recovery/recovery.ts";
import type { RecoveryPlan } from "../../cluster/recovery-plan.ts";
import { adminOf } from "../bundle/collect.ts";
import { parseBrokers } from "../connect.ts";
import { CommandFailed, ExitCode, UsageError } from "../exit-code.ts";
import { writeNew } from "../new-file.ts";
import { askBroker } from "../recover/ask-broker.ts";
import { APPLY_PATH, PLAN_PATH } from "../recover/calls.ts";
import { outcomeOf, reportOf } from "../recover/report.ts";
import type { Terminal } from "../terminal.ts";

interface PlanFlags {
  readonly brokers?: string | undefined;
  readonly admin?: string | undefined;
  readonly out?: string | undefined;
  readonly format: string;
}

interface ApplyFlags {
  readonly brokers?: string | undefined;
  readonly admin?: string | undefined;
  readonly file: string;
  readonly clusterId?: string | undefined;
  readonly yesIGiveUpWhatIsLost?: string | undefined;
}

/** Asks the person who types; undefined when nobody does. */
export type Ask = (question: string) => Promise<string | undefined>;

export function recoverCommand(terminal: Terminal, ask: Ask = askPerson): CommandModule {
  return {
    command: "recover",
    describe: "Go on after a majority of disks is lost for good: a plan first, then its application",
    builder: (yargs: Argv) =>
      yargs.command(planCommand(terminal)).command(applyCommand(terminal, ask)).demandCommand(1, "Say what to do: plan, apply"),
    handler: () => undefined,
  };
}

const withAdmin = <T>(yargs: Argv<T>): Argv<T> =>
  yargs.option("admin", {
    type: "string",
    requiresArg: true,
    describe: "HOST:PORT, admin address of a surviving broker [first client port of --brokers, and two]",
  }) as Argv<T>;

function planCommand(terminal: Terminal): CommandModule<object, PlanFlags> {
  return {
    command: "plan",
    describe: "Show which groups have lost their majority, who is left, what may be lost and what cannot be proved",
    builder: (yargs) =>
      withAdmin(yargs)
        .option("out", { type: "string", requiresArg: true, describe: "Write the plan to this new file, for `recover apply`" })
        .option("format", { choices: ["text", "json"], default: "text", requiresArg: true, describe: "How to print" })
        .epilogue("Changes nothing. Works without a controller.") as Argv<PlanFlags>,
    handler: async ({ admin, brokers, out, format }) => {
      const plan = await askBroker<RecoveryPlan>(adminAddress(admin, brokers), PLAN_PATH, {});
      const json = `${JSON.stringify(plan, undefined, 1)}\n`;
      if (out !== undefined) writeNew(out, json);
      await terminal.data(format === "json" ? json : reportOf(plan));
    },
  };
}

function applyCommand(terminal: Terminal, ask: Ask): CommandModule<object, ApplyFlags> {
  return {
    command: "apply <file>",
    describe: "Give up what the plan says is lost, and go on from its survivors",
    builder: (yargs) =>
      withAdmin(yargs)
        .positional("file", { type: "string", demandOption: true, describe: "The plan, as `recover plan --out` wrote it" })
        .option("cluster-id", { type: "string", requiresArg: true, describe: "Id of the cluster; asked for when left out" })
        .option("yes-i-give-up-what-is-lost", {
          type: "string",
          requiresArg: true,
          describe: "Digest of the plan; asked for when left out",
        })
        .epilogue(
          "Asks twice: for the id of the cluster, and for the digest of the plan. Refused when anything has changed since the plan was made. When the metadata is lost too, apply it on the broker that the plan names.",
        ) as Argv<ApplyFlags>,
    handler: async (args) => {
      const plan = planIn(args.file);
      terminal.say(reportOf(plan).trimEnd());
      await confirmed("id of the cluster", "--cluster-id", plan.clusterId, args.clusterId, ask);
      await confirmed("digest of the plan", "--yes-i-give-up-what-is-lost", plan.digest, args.yesIGiveUpWhatIsLost, ask);
      const { clusterId, digest } = plan;
      await terminal.data(
        outcomeOf(await askBroker<RecoveryOutcome>(adminAddress(args.admin, args.brokers), APPLY_PATH, { clusterId, digest })),
      );
    },
  };
}

/** @throws {CommandFailed} it is not what the plan says */
async function confirmed(what: string, flag: string, wanted: string, given: string | undefined, ask: Ask): Promise<void> {
  const typed = given ?? (await ask(`Type the ${what}: `));
  if (typed === undefined) throw new UsageError(`nobody is there to ask: give the ${what} with ${flag}`);
  if (typed.trim() !== wanted) throw new CommandFailed(ExitCode.failure, `this is not the ${what} in the plan; nothing was changed`);
}

async function askPerson(question: string): Promise<string | undefined> {
  if (process.stdin.isTTY !== true) return undefined;
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return await lines.question(question);
  } finally {
    lines.close();
  }
}

function adminAddress(admin: string | undefined, brokers: string | undefined): string {
  if (admin === undefined) return adminOf(parseBrokers(brokers)[0] as string);
  if (parseAddress(admin) === undefined) throw new UsageError(`--admin must be HOST:PORT, such as 127.0.0.1:7402: got "${admin}"`);
  return admin;
}

/** @throws {UsageError} no plan */
function planIn(file: string): RecoveryPlan {
  let plan: Partial<RecoveryPlan>;
  try {
    plan = JSON.parse(readFileSync(file, "utf8")) as Partial<RecoveryPlan>;
  } catch (error) {
    throw new UsageError(`${file}: ${error instanceof SyntaxError ? "it is no JSON" : (error as Error).message}`);
  }
  if (plan?.format !== 1 || typeof plan.digest !== "string" || typeof plan.clusterId !== "string" || !Array.isArray(plan.partitions))
    throw new UsageError(`${file}: it is no plan of \`millrace recover plan --out\``);
  return plan as RecoveryPlan;
}
