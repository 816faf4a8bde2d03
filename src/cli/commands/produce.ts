import type { Argv, CommandModule } from "yargs";
import type { AcksName, CompressionName } from "../../client/index.ts";
import { ADMIN, withClient } from "../connect.ts";
import { oneOf, wholeFlag } from "../flags.ts";
import { openInputFile, openStdin } from "../input-file.ts";
import { headersFlag, lineFormat } from "../outgoing.ts";
import { refuseUnknownPartition } from "../partitions.ts";
import { ProduceRun } from "../produce-run.ts";
import type { Terminal } from "../terminal.ts";

interface Produce {
  readonly brokers?: string | undefined;
  readonly topic: string;
  readonly file?: string | undefined;
  readonly keyField?: string | undefined;
  readonly key?: string | undefined;
  readonly header?: string[] | undefined;
  readonly partition?: string | undefined;
  readonly format: "text" | "json";
  readonly acks: AcksName;
  readonly compression: CompressionName;
  readonly rate?: string | undefined;
}

/** How often it is looked whether acknowledgements come in. */
const LOOK_EVERY_MS = 500;

export function produceCommand(terminal: Terminal): CommandModule<object, Produce> {
  return {
    command: "produce <topic>",
    describe: "Send each line of stdin or of a file as a record: byte for byte, or as JSON says",
    builder: (yargs) =>
      yargs
        .positional("topic", { type: "string", demandOption: true, describe: "Name of the topic" })
        .option("file", { type: "string", requiresArg: true, describe: "Read this file instead of stdin" })
        .option("key", { alias: "k", type: "string", requiresArg: true, describe: "Key of every record" })
        .option("key-field", { type: "string", requiresArg: true, describe: "Key of a record: this field of the JSON object in its line" })
        .option("header", {
          alias: "H",
          type: "string",
          array: true,
          requiresArg: true,
          describe: "NAME:VALUE, a header of every record; may be given again",
        })
        .option("partition", { alias: "p", type: "string", requiresArg: true, describe: "Send to this partition, whatever the key" })
        .option("acks", {
          ...oneOf("--acks", ["all", "quorum", "leader", "none"]),
          default: "all" as const,
          describe: "Who must have a record on disk: all in-sync replicas, a majority, the leader, or nobody",
        })
        .option("compression", {
          alias: "z",
          ...oneOf("--compression", ["none", "gzip"]),
          default: "none" as const,
          describe: "How batches are compressed",
        })
        .option("format", {
          ...oneOf("--format", ["text", "json"]),
          default: "text" as const,
          describe: "A line is the value, or JSON as `consume --format json` prints it",
        })
        .option("rate", { type: "string", requiresArg: true, describe: "Records per second [as fast as they are taken]" })
        .conflicts("key", "key-field")
        .example("$0 produce flights --file flights.jsonl --key-field origin", "")
        .example("seq 100 | $0 produce numbers --acks quorum --rate 10", "")
        .example("echo hello | $0 produce greetings -k world -H lang:en -p 0", "")
        .example("$0 consume flights --format json | $0 produce copy --format json", "")
        .epilogue(
          'A line of JSON is {"key":…,"value":…,"headers":{…},"partition":…,"timestamp":…}; all but value may be left out. Texts are strings, other bytes {"base64":"…"}, null is no key or, as a value, a tombstone. Headers may also be a list of name and value in turn, as kcat writes them; its names payload and ts are known, and what says where a record came from is not read.',
        ) as Argv<Produce>,
    handler: async (args) => {
      const partition = wholeFlag("--partition", args.partition, 0, 1_000_000);
      const rate = wholeFlag("--rate", args.rate, 1, 100_000_000);
      const { format, key, keyField } = args;
      const lines = lineFormat({ format, key, keyField, headers: headersFlag(args.header), partition });
      const input = args.file === undefined ? openStdin(terminal) : await openInputFile("--file", args.file);
      await withClient(args.brokers, async (client) => {
        // An unknown topic is said before anything is read.
        const [topic] = await client.admin(ADMIN).describeTopics([args.topic]);
        if (topic !== undefined && partition !== undefined) refuseUnknownPartition(topic, partition);
        const producer = client.producer({ acks: args.acks, compression: args.compression });
        const run = new ProduceRun(producer, args.topic, lines, terminal);
        const watch = setInterval(() => run.look(), LOOK_EVERY_MS);
        try {
          await run.send(input, rate);
          await run.finish(args.keyField);
        } finally {
          clearInterval(watch);
          run.over();
        }
      });
    },
  };
}
