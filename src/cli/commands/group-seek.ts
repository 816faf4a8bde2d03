import type { Argv, CommandModule } from "yargs";
import { counted } from "../../base/plural.ts";
import { MillraceError, type SeekResult, type SeekTo } from "../../client/index.ts";
import { ADMIN, withClient } from "../connect.ts";
import { describeError } from "../describe-error.ts";
import { CommandFailed, UsageError } from "../exit-code.ts";
import { eachOnce, wholeFlag } from "../flags.ts";
import { offsetsFormatOption } from "../group-table.ts";
import { lineOf, type OffsetsFile, offsetsText, readOffsetsFile } from "../offsets-file.ts";
import { parsePosition, TIME_HELP } from "../positions.ts";
import { table } from "../table.ts";
import type { Terminal } from "../terminal.ts";

interface Seek {
  readonly brokers?: string | undefined;
  readonly format: string;
  readonly group: string;
  readonly to?: string | undefined;
  readonly by?: string | undefined;
  readonly toGroup?: string | undefined;
  readonly fromFile?: string | undefined;
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
        .option("to-group", {
          type: "string",
          requiresArg: true,
          describe: "To where this other group is; a group that is new goes on from all of its places",
        })
        .option("from-file", {
          type: "string",
          requiresArg: true,
          describe: "As this file says: topic,partition,offset in each line, of `--format csv` or Kafka's tool",
        })
        .option("topic", { type: "string", array: true, requiresArg: true, describe: "Only this one; may be given again [all it reads]" })
        .option("partition", { type: "string", alias: "p", requiresArg: true, describe: "Only this one, of one --topic [all]" })
        .option("force", { type: "boolean", default: false, describe: "Also while it has members: they join again from there" })
        .option("yes", { type: "boolean", default: false, describe: "Do it; without this, only what would be is shown" })
        .option("format", offsetsFormatOption)
        .example("$0 group seek etl --to @-1h", "")
        .example("$0 group seek etl-copy --to-group etl --yes", "")
        .example("$0 group seek etl --from-file offsets.csv", "")
        .example("$0 group seek etl --to start --topic flights --yes", "")
        .epilogue(TIME_HELP) as Argv<Seek>,
    handler: async (args) => {
      const { to, file } = await destination(args);
      const topics = selected(args);
      const { force } = args;
      await withClient(args.brokers, async (client) => {
        const { groups } = client.admin(ADMIN);
        const steps = await groups
          .seek(args.group, to, { topics, force: force === true, dryRun: args.yes !== true })
          .catch((error: unknown) => refuse(error, file));
        if (args.format === "csv") await terminal.data(offsetsText(steps.map((step) => ({ ...step, offset: step.after }))));
        if (args.yes !== true) {
          terminal.say(stepsText(steps).trimEnd());
          return terminal.say(`nothing was changed. Add --yes to move ${counted(steps.length, "partition")}`);
        }
        if (args.format === "csv") return;
        await terminal.data(
          args.format === "json" ? steps.map((step) => `${JSON.stringify(stepJson(step))}\n`).join("") : stepsText(steps),
        );
      });
    },
  };
}

interface Destination {
  readonly to: SeekTo;
  readonly file?: OffsetsFile;
}

/** @throws {UsageError} */
async function destination(args: Seek): Promise<Destination> {
  const { group, to, by, toGroup, fromFile } = args;
  if ([to, by, toGroup, fromFile].filter((each) => each !== undefined).length !== 1)
    throw new UsageError("Say where to: --to start, end, OFFSET or @TIME, --by RECORDS, --to-group GROUP or --from-file FILE");
  if (toGroup !== undefined) {
    if (toGroup === group) throw new UsageError(`--to-group must be another group than the one that is moved: got "${toGroup}"`);
    return { to: { group: toGroup } };
  }
  if (fromFile !== undefined) {
    if (args.topic !== undefined) throw new UsageError("--topic goes without --from-file: its lines name the topics");
    const file = await readOffsetsFile("--from-file", fromFile, group);
    return { to: { positions: file.positions }, file };
  }
  if (by === undefined) return { to: place(to as string) };
  const shiftBy = /^[+-]?\d{1,15}$/.test(by) ? Number(by) : 0;
  if (shiftBy === 0) throw new UsageError(`--by must be a number of records, such as 100 or -100: got "${by}"`);
  return { to: { shiftBy } };
}

/** @throws {UsageError} */
function place(to: string): SeekTo {
  const position = parsePosition("--to", to, Date.now());
  if (typeof position === "string") return position;
  if ("offset" in position || "timeMs" in position) return position;
  throw new UsageError(`--to must be start, end, an offset or @TIME; --by moves by records: got "${to}"`);
}

/** What the brokers refuse is said with the line it stands in. */
function refuse(error: unknown, file: OffsetsFile | undefined): never {
  if (file === undefined || !(error instanceof MillraceError)) throw error;
  const { topic, partition } = error.metadata;
  const number = topic === undefined ? undefined : lineOf(file, topic, partition === undefined ? undefined : Number(partition));
  if (number === undefined) throw error;
  const { line, exitCode } = describeError(error);
  throw new CommandFailed(exitCode, `${file.name}:${number}: ${line}`);
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
