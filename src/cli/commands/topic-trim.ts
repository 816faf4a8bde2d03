import type { Argv, CommandModule } from "yargs";
import { counted } from "../../base/plural.ts";
import { type Admin, MillraceError, type TopicDescription, type TrimmedPartition } from "../../client/index.ts";
import { ADMIN, withClient } from "../connect.ts";
import { UsageError } from "../exit-code.ts";
import { formatOption, wholeFlag } from "../flags.ts";
import { refuseUnknownPartition } from "../partitions.ts";
import { parsePosition, TIME_HELP } from "../positions.ts";
import { table } from "../table.ts";
import type { Terminal } from "../terminal.ts";

interface Trim {
  readonly brokers?: string | undefined;
  readonly format: string;
  readonly topic: string;
  readonly before?: string | undefined;
  readonly partition?: string | undefined;
  readonly yes?: boolean | undefined;
}

/** What is to go of one partition. */
interface Planned {
  readonly partition: number;
  readonly start: number;
  readonly before: number;
  readonly end: number;
  /** That go. */
  readonly records: number;
}

export function trimCommand(terminal: Terminal): CommandModule<object, Trim> {
  return {
    command: "trim <topic>",
    describe: "Delete the oldest records of a topic: those before an offset or a time",
    builder: (yargs) =>
      yargs
        .positional("topic", { type: "string", demandOption: true, describe: "Its name" })
        .option("before", {
          type: "string",
          requiresArg: true,
          describe: "Records before this go: OFFSET, end (all there are now) or @TIME",
        })
        .option("partition", { type: "string", alias: "p", requiresArg: true, describe: "Only this one [all]" })
        .option("yes", { type: "boolean", default: false, describe: "Do it; without this, only what would go is shown" })
        .option("format", formatOption)
        .example("$0 topic trim flights --before @-7d", "")
        .example("$0 topic trim flights --before end --yes", "")
        .epilogue(`${TIME_HELP}\n\nWhat is deleted is gone on every replica. Disk space comes back as whole segments.`) as Argv<Trim>,
    handler: async (args) => {
      if (args.before === undefined) throw new UsageError("Say what is to go: --before OFFSET, --before end or --before @TIME");
      const only = wholeFlag("--partition", args.partition, 0, 1_000_000);
      const before = args.before;
      await withClient(args.brokers, async (client) => {
        const admin = client.admin(ADMIN);
        const [topic] = await admin.describeTopics([args.topic], { latest: true });
        if (topic === undefined) throw new MillraceError("UNKNOWN_TOPIC", `No topic is named ${args.topic}`);
        if (only !== undefined) refuseUnknownPartition(topic, only);
        const plan = await planned(admin, topic, only, before);
        terminal.say(
          table(
            ["PARTITION", "START", "BEFORE", "END", "RECORDS"],
            plan.map((one) => [one.partition, one.start, one.before, one.end, one.records]),
          ).trimEnd(),
        );
        refuseBeyondEnd(args.topic, plan);
        const records = plan.reduce((sum, one) => sum + one.records, 0);
        if (records === 0) return terminal.say(`${args.topic} holds no records before that; nothing was changed`);
        if (args.yes !== true) return terminal.say(`${counted(records, "record")} would go; nothing was changed. Add --yes to delete them`);
        const going = plan.filter((one) => one.records > 0);
        // What was read of this topic is no place in another one that was made under its name meanwhile.
        const done = await admin.trimTopic(args.topic, going, { topicId: topic.topicId });
        await terminal.data(done.map((one) => line(args, one)).join(""));
        const failed = done.find(({ error }) => error !== undefined)?.error;
        if (failed === undefined) return;
        // A command that fails leaves what is buffered behind.
        await terminal.flush();
        throw failed;
      });
    },
  };
}

/** Where each partition is to begin: exactly what is shown is asked for, whatever is appended meanwhile. */
async function planned(
  admin: Admin,
  { name, topicId, partitions }: TopicDescription,
  only: number | undefined,
  before: string,
): Promise<readonly Planned[]> {
  const position = parsePosition("--before", before, Date.now());
  if (position === "start" || (typeof position === "object" && ("afterStart" in position || "beforeEnd" in position)))
    throw new UsageError(`--before must be an offset, end or @TIME: got "${before}"`);
  const timeMs = typeof position === "object" && "timeMs" in position ? position.timeMs : undefined;
  // By number: one that has no leader is waited for, and not left out without a word.
  const numbers = only === undefined ? partitions.map(({ partition }) => partition) : [only];
  const offsets = await admin.listOffsets(name, numbers, { topicId, ...(timeMs === undefined ? {} : { timeMs }) });
  return offsets.map(({ partition, logStartOffset: start, highWatermark: end, offset }) => {
    const wanted = typeof position === "object" && "offset" in position ? position.offset : timeMs === undefined ? end : (offset ?? end);
    return { partition, start, before: wanted, end, records: Math.max(0, Math.min(wanted, end) - start) };
  });
}

/** All or nothing: what can be seen to be refused is refused before anything goes. An empty partition has nothing that could. */
function refuseBeyondEnd(topic: string, plan: readonly Planned[]): void {
  const beyond = plan.filter(({ start, before, end }) => before > end && end > start);
  const [first] = beyond;
  if (first === undefined) return;
  const others = beyond.length === 1 ? "" : `, and ${counted(beyond.length - 1, "partition")} more`;
  throw new MillraceError(
    "OFFSET_OUT_OF_RANGE",
    `Cannot trim ${topic}-${first.partition} to offset ${first.before}: it holds ${first.start} to ${first.end}${others}; nothing was changed`,
  );
}

function line({ topic, format }: Trim, { partition, logStartOffset, error }: TrimmedPartition): string {
  if (format === "json")
    return `${JSON.stringify({ topic, partition, ...(error === undefined ? { logStartOffset } : { error: error.code, message: error.message }) })}\n`;
  if (error !== undefined) return `${topic}/${partition} was not trimmed: ${error.message}\n`;
  return `${topic}/${partition} begins at offset ${logStartOffset} now\n`;
}
