import { counted } from "../base/plural.ts";
import type { Assignment, Client } from "../client/index.ts";
import type { RecordWriter } from "./record-template.ts";
import type { Terminal } from "./terminal.ts";

export interface ConsumePlan {
  readonly assignments: () => Promise<readonly Assignment[]>;
  readonly count: number;
  readonly follow: boolean;
  /** A topic of which partitions that are added meanwhile are read too. */
  readonly growing: string | undefined;
  readonly write: RecordWriter;
}

/** How often progress is shown. */
const PROGRESS_MS = 250;
/** Last offsets named one by one in a summary. */
const OFFSETS_MAX = 20;

/** One run of `consume`: what was read, and how far it came in each partition. */
export class ConsumeRun {
  readonly #client: Client;
  readonly #plan: ConsumePlan;
  readonly #terminal: Terminal;
  readonly #lastOffsets = new Map<number, number>();
  #records = 0;
  #interrupted = false;
  #progressAt = performance.now();

  constructor(client: Client, plan: ConsumePlan, terminal: Terminal) {
    this.#client = client;
    this.#plan = plan;
    this.#terminal = terminal;
  }

  get interrupted(): boolean {
    return this.#interrupted;
  }

  /** Until the end, the count, or Ctrl-C; a second Ctrl-C ends the process as always. */
  async read(): Promise<void> {
    const { assignments, count, follow, growing, write } = this.#plan;
    if (count === 0) return;
    const consumer = this.#client.consumer();
    const interrupt = (): void => {
      this.#interrupted = true;
      consumer.close();
    };
    process.once("SIGINT", interrupt);
    try {
      const assigned = await assignments();
      consumer.assign(assigned);
      if (growing !== undefined) consumer.assignAdded(growing, assigned.length, { topicId: assigned[0]?.topicId });
      for await (const batch of consumer.batches()) {
        for (const record of batch) {
          for (const piece of write(record)) {
            const full = this.#terminal.data(piece);
            if (full !== undefined) await full;
          }
          this.#lastOffsets.set(record.partition, record.offset);
          if (++this.#records >= count) return;
        }
        this.#showProgress();
        // A reader of a live stream sees each batch at once.
        if (follow) await this.#terminal.flush();
      }
    } finally {
      process.off("SIGINT", interrupt);
      consumer.close();
      this.#terminal.progress?.(undefined);
    }
  }

  /** One line for people. */
  summary(): string {
    const offsets = [...this.#lastOffsets].sort(([a], [b]) => a - b).map(([partition, offset]) => `${partition}:${offset}`);
    const more = offsets.length > OFFSETS_MAX ? ` and ${offsets.length - OFFSETS_MAX} more` : "";
    const last = offsets.length === 0 ? "" : `; last offset by partition ${offsets.slice(0, OFFSETS_MAX).join(" ")}${more}`;
    return `consumed ${counted(this.#records, "record")}${this.#interrupted ? " (interrupted)" : ""}${last}`;
  }

  #showProgress(): void {
    if (this.#terminal.showsData === true || performance.now() - this.#progressAt < PROGRESS_MS) return;
    this.#progressAt = performance.now();
    this.#terminal.progress?.(counted(this.#records, "record"));
  }
}
