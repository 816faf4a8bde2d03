import type { Argv, CommandModule } from "yargs";
import { silentTelemetry, type Telemetry } from "../../base/ports/telemetry.ts";
import { type Assignment, type Client, type From, MillraceError, type Until } from "../../client/index.ts";
import { ADMIN, withClient } from "../connect.ts";
import { ConsumeGroupRun, type GroupPlan } from "../consume-group-run.ts";
import { ConsumeRun } from "../consume-run.ts";
import { UsageError } from "../exit-code.ts";
import { durationFlag, eachOnce, oneOf, wholeFlag } from "../flags.ts";
import { refuseUnknownPartition } from "../partitions.ts";
import { type Position, parsePosition, resolvePosition, TIME_HELP } from "../positions.ts";
import { ReachWatch } from "../reach-watch.ts";
import { type RecordWriter, recordTemplate, TEMPLATE_HELP } from "../record-template.ts";
import { recordJson, recordKcat } from "../record-text.ts";
import type { Terminal } from "../terminal.ts";

interface Consume {
  readonly brokers?: string | undefined;
  readonly topic?: string | undefined;
  readonly topicPattern?: string | undefined;
  readonly from: string;
  readonly to?: string | undefined;
  readonly partition?: string[] | undefined;
  readonly count?: string | undefined;
  readonly follow: boolean;
  readonly format: "text" | "json" | "kcat";
  readonly template?: string | undefined;
  readonly group?: string | undefined;
  readonly handlerDelay?: string | undefined;
}

const NEWLINE = Buffer.from("\n");
const NOTHING = new Uint8Array(0);

export function consumeCommand(terminal: Terminal): CommandModule<object, Consume> {
  return {
    command: "consume [topic]",
    describe: "Print the records of a topic, in order per partition",
    builder: (yargs) =>
      yargs
        .positional("topic", { type: "string", describe: "Name of the topic" })
        .option("from", {
          alias: "o",
          type: "string",
          default: "start",
          requiresArg: true,
          describe: "Begin at: start, end, an offset, +N after the start, -N before the end, @TIME",
        })
        .option("to", {
          type: "string",
          requiresArg: true,
          describe: "Stop before: end, an offset, +N after the start, -N before the end, @TIME [end as of now, unless --follow]",
        })
        .option("follow", { type: "boolean", default: false, describe: "Go on with records as they come" })
        .option("partition", { alias: "p", type: "string", array: true, requiresArg: true, describe: "Only this one; may be given again" })
        .option("count", { alias: "n", type: "string", requiresArg: true, describe: "Stop after so many records" })
        .option("format", {
          ...oneOf("--format", ["text", "json", "kcat"]),
          default: "text" as const,
          describe: "The value and a line feed, or a JSON object per line: ours, or that of `kcat -J`",
        })
        .option("template", {
          alias: "f",
          type: "string",
          requiresArg: true,
          describe: "Print each record as TEMPLATE says, such as '%p %o %k %v\\n'",
        })
        .option("group", {
          alias: "g",
          type: "string",
          requiresArg: true,
          describe: "As a member of this consumer group, until Ctrl-C: members share the partitions, and go on where the group is",
        })
        .option("topic-pattern", {
          alias: "include",
          type: "string",
          requiresArg: true,
          describe: "With --group: all topics whose whole name this regular expression (RE2) matches, also those made later",
        })
        .option("handler-delay", {
          type: "string",
          requiresArg: true,
          describe: "With --group: take so long with each record, such as 50ms",
        })
        .example("$0 consume flights --format json | head -3", "")
        .example("$0 consume flights -f '%t/%p %o %k: %v\\n'", "")
        .example("$0 consume flights -p 0 --from -10 --follow", "")
        .example("$0 consume flights --from @2026-11-01T00:00 --to @-1h", "")
        .example("$0 consume flights -g billing", "")
        .example("$0 consume -g billing --topic-pattern 'flights\\..*'", "")
        .epilogue(`${TIME_HELP}\n\n${TEMPLATE_HELP}`) as Argv<Consume>,
    handler: async (args) => {
      if (args.group !== undefined) return consumeInGroup(args, groupPlanOf(args, args.group), terminal);
      if (args.handlerDelay !== undefined) throw new UsageError("--handler-delay goes with --group");
      if (args.topicPattern !== undefined)
        throw new UsageError("--topic-pattern goes with --group, whose members the topics are shared by");
      const plan = planOf(args);
      let broke = (): void => undefined;
      const telemetry: Telemetry = {
        ...silentTelemetry,
        log: (_level, event) => (event === "consumer.stream_broke" ? broke() : undefined),
      };
      const work = async (client: Client): Promise<void> => {
        const watch = new ReachWatch({ probe: () => isReachable(client), say: (line) => terminal.say(line), wait });
        if (plan.follow) broke = () => watch.broke();
        try {
          const growing = plan.follow && plan.partitions.length === 0 ? plan.topic : undefined;
          const run = new ConsumeRun(client, { ...plan, growing, assignments: () => assignmentsOf(client, plan) }, terminal);
          await run.read();
          await terminal.flush();
          if (run.interrupted || plan.follow) terminal.say(run.summary());
        } finally {
          watch.close();
        }
      };
      await withClient(args.brokers, work, telemetry);
    },
  };
}

async function consumeInGroup(args: Consume, plan: GroupPlan, terminal: Terminal): Promise<void> {
  const telemetry: Telemetry = {
    ...silentTelemetry,
    log: (_level, event, fields) => {
      if (event === "consumer.heartbeat_failed")
        terminal.say(`group ${plan.group} cannot be reached, trying on: ${JSON.stringify(fields)}`);
    },
  };
  const work = async (client: Client): Promise<void> => {
    // A group may wait for its topic; a person who mistyped would wait for ever.
    if (plan.topics.length > 0) await client.admin(ADMIN).describeTopics(plan.topics);
    const run = new ConsumeGroupRun(client, plan, terminal);
    await run.read();
    await terminal.flush();
    terminal.say(run.summary());
  };
  await withClient(args.brokers, work, telemetry);
}

/** @throws {UsageError} */
function groupPlanOf(args: Consume, group: string): GroupPlan {
  const { topic, topicPattern, from } = args;
  if (topic === undefined && topicPattern === undefined) throw new UsageError("Name a TOPIC, or say which with --topic-pattern");
  if (topicPattern === "") throw new UsageError("--topic-pattern is empty: it would match no topic");
  if (args.to !== undefined) throw new UsageError("--to goes without --group: a group goes on");
  if (args.partition !== undefined) throw new UsageError("--partition goes without --group: the group gives each member its partitions");
  if (from !== "start" && from !== "end")
    throw new UsageError(`--from must be start or end with --group, for partitions nothing is committed of: got "${from}"`);
  const handlerDelayMs = args.handlerDelay === undefined ? 0 : durationFlag("--handler-delay", args.handlerDelay);
  const topics = topic === undefined ? [] : [topic];
  return { topics, topicPattern: topicPattern ?? "", group, from, count: countOf(args), handlerDelayMs, write: writerOf(args) };
}

function countOf({ count }: Consume): number {
  return wholeFlag("--count", count, 0, Number.MAX_SAFE_INTEGER) ?? Number.POSITIVE_INFINITY;
}

async function isReachable(client: Client): Promise<boolean> {
  try {
    await client.admin(ADMIN).describeCluster();
    return true;
  } catch (error) {
    // Any other answer is one.
    return !(error instanceof MillraceError && error.code === "BROKERS_UNREACHABLE");
  }
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, ms).unref());
}

interface Plan {
  readonly topic: string;
  readonly from: Position;
  readonly to: Position | undefined;
  readonly partitions: readonly number[];
  readonly count: number;
  readonly follow: boolean;
  readonly write: RecordWriter;
}

/** @throws {UsageError} */
function planOf(args: Consume): Plan {
  if (args.topic === undefined) throw new UsageError("`millrace consume` needs TOPIC: millrace consume <topic>");
  if (args.follow && args.to !== undefined) throw new UsageError("--follow has no end: leave --to out");
  const nowMs = Date.now();
  const to = args.follow ? undefined : parsePosition("--to", args.to ?? "end", nowMs);
  if (to === "start") throw new UsageError("--to start would read nothing");
  return {
    topic: args.topic,
    from: parsePosition("--from", args.from, nowMs),
    to,
    partitions: eachOnce(
      "--partition",
      (args.partition ?? []).map((text) => wholeFlag("--partition", text, 0, 1_000_000) as number),
    ),
    count: countOf(args),
    follow: args.follow,
    write: writerOf(args),
  };
}

/** @throws {UsageError} */
function writerOf({ format, template }: Consume): RecordWriter {
  if (template !== undefined && format !== "text") throw new UsageError(`--template and --format ${format} say two things: leave one out`);
  if (template !== undefined) return recordTemplate("--template", template);
  if (format === "text") return (record) => [record.value ?? NOTHING, NEWLINE];
  return format === "json" ? (record) => [recordJson(record)] : (record) => [recordKcat(record)];
}

async function assignmentsOf(client: Client, plan: Plan): Promise<Assignment[]> {
  const [topic] = await client.admin(ADMIN).describeTopics([plan.topic], { latest: true });
  if (topic !== undefined) for (const partition of plan.partitions) refuseUnknownPartition(topic, partition);
  const known = topic?.partitions.map((partition) => partition.partition) ?? [];
  const wanted = plan.partitions.length > 0 ? plan.partitions : known;
  const topicId = topic?.topicId ?? "";
  const ends = new Map((await client.admin(ADMIN).listOffsets(plan.topic, wanted, { topicId })).map((end) => [end.partition, end]));
  refuseOutOfRange(plan, wanted, ends);
  return wanted.map((partition) => {
    const range = ends.get(partition) ?? { logStartOffset: 0, highWatermark: 0 };
    const from = resolvePosition(plan.from, range) as From;
    // The end is fixed now, so that records which come in meanwhile do not move it.
    const until =
      plan.to === undefined ? undefined : plan.to === "end" ? { offset: range.highWatermark } : (resolvePosition(plan.to, range) as Until);
    return { topic: plan.topic, topicId, partition, from, until };
  });
}

/** An offset that no wanted partition has is a mistake, not an empty answer. @throws {MillraceError} OFFSET_OUT_OF_RANGE with the range */
function refuseOutOfRange(
  plan: Plan,
  wanted: readonly number[],
  ends: ReadonlyMap<number, { readonly logStartOffset: number; readonly highWatermark: number }>,
): void {
  const at = resolvePosition(plan.from, { logStartOffset: 0, highWatermark: 0 });
  const ranges = wanted.flatMap((partition) => ends.get(partition) ?? []);
  if (typeof at !== "object" || !("offset" in at) || at.offset === 0 || ranges.length === 0) return;
  const { offset } = at;
  if (ranges.some(({ logStartOffset, highWatermark }) => offset >= logStartOffset && offset <= highWatermark)) return;
  const lowest = Math.min(...ranges.map(({ logStartOffset }) => logStartOffset));
  const highest = Math.max(...ranges.map(({ highWatermark }) => highWatermark));
  throw new MillraceError("OFFSET_OUT_OF_RANGE", `Cannot read ${plan.topic} from offset ${offset}: it holds ${lowest} to ${highest}`, {
    log_start_offset: String(lowest),
    high_watermark: String(highest),
  });
}
