import { MillraceError } from "../../base/errors.ts";
import type { ConsumedBatch } from "../consumer/consumed-batch.ts";
import type { ConsumedRecord } from "../consumer/consumed-record.ts";
import type { Tenure } from "./tenure.ts";

/** Records of one partition that were fetched and wait for their handler, one after the other. */
export class Lane {
  readonly tenure: Tenure;
  readonly #abort = new AbortController();
  #batches: ConsumedBatch[] = [];
  #records: Iterator<ConsumedRecord> | undefined;
  #waiting = 0;
  /** A handler is at work. */
  working = false;
  /** In the list of those whose turn comes. */
  queued = false;
  paused = false;
  /** Of the record that was taken last; -1: none was. */
  term = -1;
  /** Taken away: nothing of it begins any more. */
  halted = false;
  /** Its handler does not come back: nobody waits for it. */
  stuck = false;
  /** Called once when everything that was fetched has been handled. */
  atEnd: (() => void) | undefined;

  constructor(tenure: Tenure) {
    this.tenure = tenure;
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Of the batches whose last record was not taken yet. */
  get bytes(): number {
    return this.#waiting;
  }

  get empty(): boolean {
    return this.#batches.length === 0;
  }

  get ready(): boolean {
    return !this.halted && !this.paused && !this.working && !this.empty;
  }

  add(batch: ConsumedBatch): void {
    this.#batches.push(batch);
    this.#waiting += batch.bytes;
  }

  /** The next record; undefined when there is none. */
  next(): ConsumedRecord | undefined {
    for (;;) {
      const batch = this.#batches[0];
      if (batch === undefined) return undefined;
      this.#records ??= batch[Symbol.iterator]();
      const { value, done } = this.#records.next();
      if (done !== true) return value;
      this.#records = undefined;
      this.#batches.shift();
      this.#waiting -= batch.bytes;
    }
  }

  halt(reason: MillraceError): void {
    this.halted = true;
    this.#batches = [];
    this.#records = undefined;
    this.#waiting = 0;
    this.atEnd = undefined;
    this.#abort.abort(reason);
  }
}

/** Why a signal fires. */
export function takenAway(
  { topic, partition }: Tenure,
  cause: "revoked" | "lost" | "closed",
  error: MillraceError | undefined,
): MillraceError {
  if (cause === "closed") return new MillraceError("CLIENT_CLOSED", "The consumer is closed");
  if (error !== undefined) return error;
  return new MillraceError("PARTITION_NOT_OWNED", `Partition ${partition} of ${topic} is asked back`, {
    topic,
    partition: String(partition),
  });
}
