import { counted } from "../base/plural.ts";
import type {
  Client,
  CommitPosition,
  ConsumedRecord,
  GroupConsumer,
  HandlerContext,
  MillraceError,
  PartitionName,
} from "../client/index.ts";
import type { RecordWriter } from "./record-template.ts";
import type { Terminal } from "./terminal.ts";

export interface GroupPlan {
  /** Both, or one of them. */
  readonly topics: readonly string[];
  /** RE2 syntax; empty: none. */
  readonly topicPattern: string;
  readonly group: string;
  /** Where partitions begin of which nothing is committed. */
  readonly from: "start" | "end";
  readonly count: number;
  /** Each record takes so long, besides being printed. */
  readonly handlerDelayMs: number;
  readonly write: RecordWriter;
}

/** Partitions worked on at the same time: what takes long is not the printing. */
const CONCURRENCY = 64;
/** To finish what was begun, once interrupted. */
const CLOSE_MS = 10_000;
/** Partitions named one by one in a line. */
const PARTITIONS_MAX = 30;

/** One run of `consume --group`: a member that prints what it is given. A record is done with when it was printed. */
export class ConsumeGroupRun {
  readonly #plan: GroupPlan;
  readonly #terminal: Terminal;
  readonly #consumer: GroupConsumer;
  #taken = 0;
  #records = 0;
  #interrupted = false;
  /** What was put out before it began is on its way. */
  #flushing: Promise<void> = Promise.resolve();
  #nextFlush: Promise<void> | undefined;

  constructor(client: Client, plan: GroupPlan, terminal: Terminal) {
    this.#plan = plan;
    this.#terminal = terminal;
    const say = (what: string, names: readonly PartitionName[], why = ""): void => {
      if (names.length > 0) terminal.say(`${what} ${placesOf(names, ({ partition }) => `${partition}`)}${why}`);
    };
    this.#consumer = client.consumer({
      group: plan.group,
      startWithoutCommit: plan.from,
      onAssigned: (names) => say("assigned", names),
      onRevoked: (names) => say("gave back", names),
      onLost: (names, error) => {
        say("lost", names);
        terminal.say(`not a member of group ${plan.group} any more: ${error.code}: ${error.message}; joining again`);
      },
      onCommitRefused: (positions, error) => terminal.say(refusal(positions, error)),
    });
  }

  /** Until the count, or Ctrl-C; a second Ctrl-C ends the process as always. */
  async read(): Promise<void> {
    const { count, topics, topicPattern } = this.#plan;
    if (count === 0) return;
    const signals = ["SIGINT", "SIGTERM"] as const;
    const interrupt = (): void => {
      for (const signal of signals) process.off(signal, interrupt);
      this.#interrupted = true;
      this.#close();
    };
    for (const signal of signals) process.on(signal, interrupt);
    try {
      const handler = (record: ConsumedRecord, context: HandlerContext): Promise<void> => this.#handle(record, context);
      // What cannot be printed now cannot be later: the reader has gone.
      await this.#consumer.run({ topics, topicPattern, concurrency: CONCURRENCY, onError: "stop", handler });
    } finally {
      for (const signal of signals) process.off(signal, interrupt);
    }
  }

  /** One line for people. */
  summary(): string {
    const { group } = this.#plan;
    return `consumed ${counted(this.#records, "record")} in group ${group}${this.#interrupted ? " (interrupted)" : ""}`;
  }

  #close(): void {
    this.#consumer.close({ timeoutMs: CLOSE_MS }).catch(() => undefined);
  }

  async #handle(record: ConsumedRecord, { signal }: HandlerContext): Promise<void> {
    // One more than asked for is another member's, or the next run's.
    if (this.#taken >= this.#plan.count) return never(signal);
    if (++this.#taken === this.#plan.count) this.#close();
    for (const piece of this.#plan.write(record)) {
      const full = this.#terminal.data(piece);
      if (full !== undefined) await full;
    }
    await this.#flush();
    if (this.#plan.handlerDelayMs > 0) await new Promise<void>((resolve) => void setTimeout(resolve, this.#plan.handlerDelayMs));
    this.#records++;
  }

  /** What many handlers put out leaves together: one flush at a time, and the next for all that came meanwhile. */
  #flush(): Promise<void> {
    this.#nextFlush ??= this.#flushing.then(() => {
      this.#nextFlush = undefined;
      this.#flushing = this.#terminal.flush();
      return this.#flushing;
    });
    return this.#nextFlush;
  }
}

/** Not done with the record before the partition is taken away. */
function never(signal: AbortSignal): Promise<void> {
  return new Promise((_, reject) => {
    const end = (): void => reject(signal.reason);
    if (signal.aborted) end();
    else signal.addEventListener("abort", end);
  });
}

/** `flights 0 1 2 orders 4`: by topic, each with what is said of its partitions. */
function placesOf<Name extends PartitionName>(names: readonly Name[], say: (name: Name) => string): string {
  const shown = [...names]
    .sort((a, b) => (a.topic === b.topic ? a.partition - b.partition : a.topic < b.topic ? -1 : 1))
    .slice(0, PARTITIONS_MAX);
  const words = shown.flatMap((name, at) => (shown[at - 1]?.topic === name.topic ? [say(name)] : [name.topic, say(name)]));
  return `${words.join(" ")}${names.length > PARTITIONS_MAX ? ` and ${names.length - PARTITIONS_MAX} more` : ""}`;
}

function refusal(positions: readonly CommitPosition[], error: MillraceError): string {
  return `commit of ${placesOf(positions, ({ partition, offset }) => `${partition}:${offset}`)} refused: ${error.code}: ${error.message}`;
}
