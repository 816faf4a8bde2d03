import type { Argv, CommandModule } from "yargs";
import { counted } from "../../base/plural.ts";
import type { SeekResult, SeekTo } from "../../client/index.ts";
import { ADMIN, withClient } from "../connect.ts";
import { UsageError } from "../exit-code.ts";
import { eachOnce, formatOption, wholeFlag } from "../flags.ts";
import { parsePosition, TIME_HELP } from "../positions.ts";
import { table } from "../table.ts";
import type { Terminal } from "../terminal.ts";

interface Seek {
  readonly brokers?: string | undefined;
  readonly format: string;
  readonly group: string;
  readonly to?: string | undefined;
  readonly by?: string | undefined;
  readonly topic?: string[] | undefined;
  readonly partition?: string | undefined;
  readonly force?: boolean | undefined;
  readonly yes?: boolean | undefined;
}

export function seekCommand(terminal: Terminal): CommandModule<object, Seek> {
  return {
    command: "seek <group>",
    describe: "Move what a group has committed: it goes on from there",
    builder: (yargs) =>
      yargs
        .positional("group", { type: "string", demandOption: true, describe: "Its name" })
        .option("to", { type: "string", requiresArg: true, describe: "start, end, OFFSET or @TIME" })
        .option("by", { type: "string", requiresArg: true, describe: "So many records on, or back: --by=-100; stops at the ends" })
        .option("topic", { type: "string", array: true, requiresArg: true, describe: "Only this one; may be given again [all it reads]" })
        .option("partition", { type: "string", alias: "p", requiresArg: true, describe: "Only this one, of one --topic [all]" })
        .option("force", { type: "boolean", default: false, describe: "Also while it has members: they join again from there" })
        .option("yes", { type: "boolean", default: false, describe: "Do it; without this, only what would be is shown" })
        .option("format", formatOption)
        .example("$0 group seek etl --to @-1h", "")
        .example("$0 group seek etl --to start --topic flights --yes", "")
        .epilogue(TIME_HELP) as Argv<Seek>,
    handler: async (args) => {
      const to = destination(args);
      const topics = selected(args);
      const { force } = args;
      await withClient(args.brokers, async (client) => {
        const { groups } = client.admin(ADMIN);
        const steps = await groups.seek(args.group, to, { topics, force: force === true, dryRun: args.yes !== true });
        if (args.yes !== true) {
          terminal.say(stepsText(steps).trimEnd());
          return terminal.say(`nothing was changed. Add --yes to move ${counted(steps.length, "partition")}`);
        }
        await terminal.data(
          args.format === "json" ? steps.map((step) => `${JSON.stringify(stepJson(step))}\n`).join("") : stepsText(steps),
        );
      });
    },
  };
}

/** @throws {UsageError} */
function destination({ to, by }: Seek): SeekTo {
  if ((to === undefined) === (by === undefined)) throw new UsageError("Say where to: --to start, end, OFFSET or @TIME, or --by RECORDS");
  if (by !== undefined) {
    const shiftBy = /^[+-]?\d{1,15}$/.test(by) ? Number(by) : 0;
    if (shiftBy === 0) throw new UsageError(`--by must be a number of records, such as 100 or -100: got "${by}"`);
    return { shiftBy };
  }
  const position = parsePosition("--to", to as string, Date.now());
  if (typeof position === "string") return position;
  if ("offset" in position || "timeMs" in position) return position;
  throw new UsageError(`--to must be start, end, an offset or @TIME; --by moves by records: got "${to}"`);
}

/** @throws {UsageError} */
function selected({ topic, partition }: Seek): readonly { readonly topic: string; readonly partitions: readonly number[] }[] {
  const topics = eachOnce("--topic", topic ?? []);
  const only = wholeFlag("--partition", partition, 0, 1_000_000);
  if (only !== undefined && topics.length !== 1) throw new UsageError("--partition goes with one --topic");
  return topics.map((name) => ({ topic: name, partitions: only === undefined ? [] : [only] }));
}

function stepJson({ topic, partition, before, after }: SeekResult) {
  return { topic, partition, before: before ?? null, after };
}

function stepsText(steps: readonly SeekResult[]): string {
  if (steps.length === 0) return "the group reads nothing, and has committed nothing\n";
  return table(
    ["TOPIC", "PARTITION", "BEFORE", "AFTER"],
    steps.map(({ topic, partition, before, after }) => [topic, partition, before ?? "-", after]),
  );
}
