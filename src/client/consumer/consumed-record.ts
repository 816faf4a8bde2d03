import type { LogRecordView, RecordHeader } from "../../records/log-record.ts";

/** A record as it was read. Key, value and headers are views of the batch it came in: keep a copy, not the view, of what is kept for long. */
export class ConsumedRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  /** Milliseconds since 1970: its own, or the append time of its batch. */
  readonly timestampMs: number;
  /** Of the leader that appended it; to be kept with the offset behind it (`OffsetPlace`). */
  readonly term: number;
  readonly #view: LogRecordView;

  constructor(
    batch: {
      readonly topic: string;
      readonly partition: number;
      readonly appendTimeMs: number;
      readonly appendTimed: boolean;
      readonly term: number;
    },
    offset: number,
    view: LogRecordView,
  ) {
    this.topic = batch.topic;
    this.partition = batch.partition;
    this.offset = offset;
    this.timestampMs = batch.appendTimed || view.timestampMs === 0 ? batch.appendTimeMs : view.timestampMs;
    this.term = batch.term;
    this.#view = view;
  }

  /** undefined: keyless. */
  get key(): Uint8Array | undefined {
    return this.#view.key;
  }

  /** undefined: tombstone. */
  get value(): Uint8Array | undefined {
    return this.#view.value;
  }

  /** In the order sent; keys may repeat. */
  get headers(): readonly RecordHeader[] {
    return this.#view.headers;
  }
}
