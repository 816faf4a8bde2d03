import type { Argv, CommandModule } from "yargs";
import { counted } from "../../base/plural.ts";
import type { TopicDescription } from "../../client/index.ts";
import { ADMIN, withClient } from "../connect.ts";
import { UsageError } from "../exit-code.ts";
import { eachOnce, formatOption, pairsFlag, wholeFlag } from "../flags.ts";
import { seenTopic } from "../seen-topic.ts";
import { table } from "../table.ts";
import type { Terminal } from "../terminal.ts";
import { alteredText, type ChangeFlags, changeOf, changeOptions, sourceName, topicSettings } from "./altered.ts";
import { addPartitionsCommand } from "./topic-add-partitions.ts";
import { trimCommand } from "./topic-trim.ts";

interface Common {
  readonly brokers?: string | undefined;
  readonly format: string;
}

const NO_TOPICS = "there are no topics; `millrace topic create NAME` makes one";

export function topicCommand(terminal: Terminal): CommandModule {
  return {
    command: "topic",
    describe: "Create, list, describe, alter, grow, trim and delete topics",
    builder: (yargs: Argv) =>
      yargs
        .command(createCommand(terminal))
        .command(listCommand(terminal))
        .command(describeCommand(terminal))
        .command(alterCommand(terminal))
        .command(addPartitionsCommand(terminal))
        .command(trimCommand(terminal))
        .command(deleteCommand(terminal))
        .demandCommand(1, "Say what to do: create, list, describe, alter, add-partitions, trim or delete"),
    handler: () => undefined,
  };
}

interface Create extends Common {
  readonly topic: string;
  readonly partitions?: string | undefined;
  readonly replicas?: string | undefined;
  readonly config?: string[] | undefined;
  readonly validateOnly?: boolean | undefined;
}

function createCommand(terminal: Terminal): CommandModule<object, Create> {
  return {
    command: "create <topic>",
    describe: "Create a topic",
    builder: (yargs) =>
      yargs
        .positional("topic", { type: "string", demandOption: true, describe: "Its name: 1 to 249 of a-z A-Z 0-9 . _ -" })
        .option("partitions", { type: "string", requiresArg: true, describe: "Number of partitions [1]" })
        .option("replicas", {
          type: "string",
          requiresArg: true,
          describe: "Brokers that hold each partition [3, or as many as there are]",
        })
        .option("config", { type: "string", array: true, requiresArg: true, describe: "KEY=VALUE of a setting; may be given again" })
        .option("validate-only", { type: "boolean", default: false, describe: "Check everything, create nothing" })
        .option("format", formatOption)
        .example("$0 topic create flights --partitions 6", "")
        .example("$0 topic create audit --config acks.min=ALL --config retention.ms=-1", "")
        .epilogue(topicSettings) as Argv<Create>,
    handler: async (args) => {
      const topic = {
        name: args.topic,
        partitions: wholeFlag("--partitions", args.partitions, 1, 1_000_000),
        replicas: wholeFlag("--replicas", args.replicas, 1, 1_000),
        configs: pairsFlag("--config", args.config),
        validateOnly: args.validateOnly,
      };
      const made = await withClient(args.brokers, (client) => client.admin(ADMIN).createTopic(topic));
      if (made === undefined) terminal.say(`${args.topic} could be created`);
      else if (args.format === "json") await terminal.data(`${JSON.stringify(topicJson(made))}\n`);
      else
        await terminal.data(
          `created ${made.name}: ${counted(made.partitions.length, "partition")}, ${counted(made.replicas, "replica")}\n`,
        );
    },
  };
}

function listCommand(terminal: Terminal): CommandModule<object, Common> {
  return {
    command: "list",
    describe: "List topics with their numbers of partitions and replicas",
    builder: (yargs) => yargs.option("format", formatOption) as Argv<Common>,
    handler: async (args) => {
      const topics = await withClient(args.brokers, (client) => client.admin(ADMIN).listTopics());
      if (args.format === "json") for (const topic of topics) await terminal.data(`${JSON.stringify(topic)}\n`);
      else if (topics.length === 0) terminal.say(NO_TOPICS);
      else
        await terminal.data(
          table(
            ["TOPIC", "PARTITIONS", "REPLICAS"],
            topics.map((topic) => [topic.name, topic.partitions, topic.replicas]),
          ),
        );
    },
  };
}

interface Describe extends Common {
  readonly topics?: string[] | undefined;
}

function describeCommand(terminal: Terminal): CommandModule<object, Describe> {
  return {
    command: "describe [topics..]",
    describe: "Show partitions, leaders, in-sync replicas, offsets and settings",
    builder: (yargs) =>
      yargs
        .positional("topics", { type: "string", array: true, describe: "Names [all topics]" })
        .option("format", formatOption) as Argv<Describe>,
    handler: (args) =>
      withClient(args.brokers, async (client) => {
        const admin = client.admin(ADMIN);
        const topics = await admin.describeTopics(args.topics ?? []);
        if (topics.length === 0) terminal.say(NO_TOPICS);
        for (const topic of topics) {
          // Ends are asked for apart: a description knows them only of partitions that its broker leads.
          const ends = await admin.listOffsets(topic.name, [], { topicId: topic.topicId, timeoutMs: 5_000 }).catch(() => []);
          const described = topicJson(topic, new Map(ends.map((end) => [end.partition, end])));
          await terminal.data(args.format === "json" ? `${JSON.stringify(described)}\n` : topicText(described));
        }
      }),
  };
}

interface Alter extends Common, ChangeFlags {
  readonly topic: string;
}

function alterCommand(terminal: Terminal): CommandModule<object, Alter> {
  return {
    command: "alter <topic>",
    describe: "Change settings of a topic, all or none, and show them before and after",
    builder: (yargs) =>
      changeOptions(yargs.positional("topic", { type: "string", demandOption: true, describe: "Its name" }))
        .example("$0 topic alter flights --config retention.ms=86400000 --reset acks.min", "")
        .epilogue(topicSettings) as Argv<Alter>,
    handler: async (args) => {
      const { change, named } = changeOf(args);
      if (named.length === 0) throw new UsageError("Say what to change: --config KEY=VALUE or --reset KEY");
      await withClient(args.brokers, async (client) => {
        const admin = client.admin(ADMIN);
        const [topic] = await admin.describeTopics([args.topic], { latest: true });
        // What is shown as the value before is that of the topic that is altered.
        const after = await admin.alterTopic(args.topic, change, await seenTopic(admin, topic));
        if (args.validateOnly) terminal.say(`${args.topic} could be altered so; nothing was changed`);
        else await terminal.data(alteredText(args.format, named, topic?.configs ?? [], after));
      });
    },
  };
}

function deleteCommand(terminal: Terminal): CommandModule<object, { brokers?: string | undefined; topics: string[] }> {
  return {
    command: "delete <topics..>",
    describe: "Delete topics and all their records",
    builder: (yargs) =>
      yargs.positional("topics", { type: "string", array: true, demandOption: true, describe: "Names" }) as Argv<{
        brokers?: string | undefined;
        topics: string[];
      }>,
    handler: (args) =>
      withClient(args.brokers, async (client) => {
        for (const topic of eachOnce("topic delete", args.topics)) {
          await client.admin(ADMIN).deleteTopic(topic);
          await terminal.data(`deleted ${topic}\n`);
        }
      }),
  };
}

interface Ends {
  readonly logStartOffset: number;
  readonly highWatermark: number;
  readonly sizeBytes: number;
}

function topicJson(topic: TopicDescription, ends: ReadonlyMap<number, Ends> = new Map()) {
  return {
    name: topic.name,
    topicId: topic.topicId,
    replicas: topic.replicas,
    configs: Object.fromEntries(
      topic.configs.map(({ key, value, defaultValue, source }) => [key, { value, default: defaultValue, source: sourceName(source) }]),
    ),
    partitions: topic.partitions.map((partition) => ({
      partition: partition.partition,
      leader: partition.leaderId === 0 ? null : partition.leaderId,
      leaderAddress: partition.leaderAddress,
      term: partition.leaderTerm,
      replicas: partition.replicas.map((replica) => replica.brokerId),
      isr: partition.isrBrokerIds,
      logStartOffset: ends.get(partition.partition)?.logStartOffset ?? partition.logStartOffset ?? null,
      highWatermark: ends.get(partition.partition)?.highWatermark ?? partition.highWatermark ?? null,
      sizeBytes: ends.get(partition.partition)?.sizeBytes ?? null,
    })),
  };
}

function topicText(topic: ReturnType<typeof topicJson>): string {
  const head = `${topic.name}  ${counted(topic.partitions.length, "partition")}, ${counted(topic.replicas, "replica")}  ${topic.topicId}\n`;
  const settings = Object.entries(topic.configs).map(([key, { value, default: other, source }]) => [`  ${key}`, value, other, source]);
  const rows = topic.partitions.map((partition) => [
    partition.partition,
    partition.leader ?? "none",
    partition.replicas.join(","),
    partition.isr.join(","),
    partition.term,
    partition.logStartOffset ?? "?",
    partition.highWatermark ?? "?",
    partition.sizeBytes ?? "?",
  ]);
  const partitions = table(["PARTITION", "LEADER", "REPLICAS", "ISR", "TERM", "START", "END", "BYTES"], rows);
  return `${head}${table(["  SETTING", "VALUE", "DEFAULT", "SOURCE"], settings)}${partitions}\n`;
}
