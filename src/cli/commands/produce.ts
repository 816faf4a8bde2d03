import type { Argv, CommandModule } from "yargs";
import { counted } from "../../base/plural.ts";
import { type AcksName, type CompressionName, MillraceError, type Producer } from "../../client/index.ts";
import { ADMIN, withClient } from "../connect.ts";
import { adviceOn } from "../describe-error.ts";
import { CommandFailed, ExitCode } from "../exit-code.ts";
import { oneOf, wholeFlag } from "../flags.ts";
import { openInputFile, openStdin } from "../input-file.ts";
import { type Line, LineSplitter } from "../line-splitter.ts";
import { headersFlag, type LineFormat, lineFormat, type Outgoing } from "../outgoing.ts";
import { Pace } from "../pace.ts";
import { refuseUnknownPartition } from "../partitions.ts";
import { StallWatch } from "../stall-watch.ts";
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

/** Failures told one by one; the rest is only counted. */
const FAILURES_SAID_MAX = 10;
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
        }
      });
    },
  };
}

/** One run of `produce`: what was sent, and what became of it. */
class ProduceRun {
  readonly #producer: Producer;
  readonly #topic: string;
  readonly #lines: LineFormat;
  readonly #terminal: Terminal;
  readonly #startedAt = performance.now();
  readonly #stall = new StallWatch(performance.now());
  #interrupted = false;
  #sent = 0;
  #acknowledged = 0;
  #bytes = 0;
  #failed = 0;
  #keyless = 0;
  /** What to do, said once each. */
  readonly #advised = new Set<string>();

  constructor(producer: Producer, topic: string, lines: LineFormat, terminal: Terminal) {
    this.#producer = producer;
    this.#topic = topic;
    this.#lines = lines;
    this.#terminal = terminal;
  }

  async send(input: AsyncIterable<Buffer | string> & { destroy(): unknown }, rate: number | undefined): Promise<void> {
    const interrupt = (): void => {
      this.#interrupted = true;
      input.destroy();
      const waiting = this.#sent - this.#acknowledged - this.#failed;
      if (waiting > 0) this.#terminal.say(`interrupted: waiting for ${counted(waiting, "acknowledgement")}; Ctrl-C again gives them up`);
    };
    process.once("SIGINT", interrupt);
    const splitter = new LineSplitter(this.#lines.lineBytesMax);
    const pace = rate === undefined ? undefined : new Pace(rate);
    try {
      for await (const chunk of input) {
        for (const line of splitter.push(typeof chunk === "string" ? Buffer.from(chunk) : chunk)) {
          if (this.#interrupted) return;
          await pace?.turn();
          await this.#take(line);
        }
      }
      const last = splitter.end();
      if (last !== undefined && !this.#interrupted) await this.#take(last);
    } catch (error) {
      // A destroyed stdin ends its iteration with an error of its own.
      if (!this.#interrupted) throw error;
    } finally {
      process.off("SIGINT", interrupt);
    }
  }

  /** To be called now and then. */
  look(): void {
    const line = this.#stall.look(performance.now(), this.#sent, this.#acknowledged + this.#failed);
    if (line !== undefined) this.#terminal.say(line);
  }

  #take(line: Line): Promise<void> | undefined {
    this.#sent++;
    const record = this.#recordOf(line);
    if (record === undefined) return undefined;
    if (record.key === undefined) this.#keyless++;
    this.#producer.send({ ...record, topic: this.#topic }).then(
      () => {
        this.#acknowledged++;
        this.#bytes += record.value?.length ?? 0;
      },
      (error: unknown) => this.#fail(line.number, error),
    );
    return this.#producer.isFull ? this.#producer.ready() : undefined;
  }

  /** @returns undefined when there is none in it, which is said and counted */
  #recordOf(line: Line): Outgoing | undefined {
    try {
      if (line.cut) throw new MillraceError("RECORD_SET_TOO_LARGE", `the line is longer than ${this.#lines.lineBytesMax} bytes`);
      return this.#lines.read(line.bytes);
    } catch (error) {
      this.#fail(line.number, error);
      return undefined;
    }
  }

  #fail(number: number, error: unknown): void {
    if (!(error instanceof MillraceError)) throw error;
    this.#failed++;
    if (this.#failed <= FAILURES_SAID_MAX) {
      const outcome = error.outcomeKnown ? "nothing was written" : "it may have been written";
      this.#terminal.say(`line ${number}: ${error.code}: ${error.message} (${outcome})`);
    }
    const advice = adviceOn(error);
    if (advice !== undefined && !this.#advised.has(advice)) this.#terminal.say(`  ${advice}`);
    if (advice !== undefined) this.#advised.add(advice);
    if (this.#failed === FAILURES_SAID_MAX) this.#terminal.say("further failures are only counted");
  }

  async finish(keyField: string | undefined): Promise<void> {
    await this.#producer.flush();
    const seconds = (performance.now() - this.#startedAt) / 1000;
    const rate = seconds > 0 ? Math.round(this.#acknowledged / seconds) : 0;
    const { retries } = this.#producer.stats;
    const what = `${this.#interrupted ? "interrupted: " : ""}${counted(this.#acknowledged, "record")}, ${counted(this.#bytes, "byte")} in ${seconds.toFixed(2)} s (${rate}/s)`;
    this.#terminal.say(`produced ${what}; ${this.#failed} failed, ${counted(retries, "batch", "batches")} sent again`);
    if (keyField !== undefined && this.#keyless > 0)
      this.#terminal.say(
        `${counted(this.#keyless, "line")} without a field "${keyField}" ${this.#keyless === 1 ? "was" : "were"} sent without a key`,
      );
    if (this.#failed > 0) throw new CommandFailed(ExitCode.failure, `${this.#failed} of ${counted(this.#sent, "record")} failed`);
  }
}
