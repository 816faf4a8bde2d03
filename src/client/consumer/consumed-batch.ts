import { records } from "../../records/log-record.ts";
import type { AssignedPartition } from "./assigned-partition.ts";
import { ConsumedRecord } from "./consumed-record.ts";

/** Records of one batch as they came, in order of offset; decoded one by one as they are asked for. */
export class ConsumedBatch implements Iterable<ConsumedRecord> {
  readonly topic: string;
  /** To be kept with its offsets: they are none of another topic of that name (`Assignment.topicId`). */
  readonly topicId: string;
  readonly partition: number;
  /** Offset of its first record. */
  readonly baseOffset: number;
  /** Offset after its last one. */
  readonly endOffset: number;
  /** The leader's clock when it was appended. */
  readonly appendTimeMs: number;
  /** That is the time of all its records, whatever they say (`message.timestamp.type=append`). */
  readonly appendTimed: boolean;
  /** Of the leader that appended it; with `endOffset` it names a place in this log and no other (`OffsetPlace`). */
  readonly term: number;
  /** Offset after the last committed record of the partition, when the broker sent this. */
  readonly highWatermark: number;
  readonly #records: Uint8Array;
  /** Records at the front that are not part of it. */
  readonly #skip: number;

  constructor(
    part: AssignedPartition,
    place: Pick<ConsumedBatch, "baseOffset" | "endOffset" | "appendTimeMs" | "appendTimed" | "term" | "highWatermark">,
    recordSet: Uint8Array,
    skip: number,
  ) {
    this.topic = part.topic;
    this.topicId = part.topicId ?? "";
    this.partition = part.partition;
    this.baseOffset = place.baseOffset;
    this.endOffset = place.endOffset;
    this.appendTimeMs = place.appendTimeMs;
    this.appendTimed = place.appendTimed;
    this.term = place.term;
    this.highWatermark = place.highWatermark;
    this.#records = recordSet;
    this.#skip = skip;
  }

  get count(): number {
    return this.endOffset - this.baseOffset;
  }

  get bytes(): number {
    return this.#records.length;
  }

  *[Symbol.iterator](): Iterator<ConsumedRecord> {
    let offset = this.baseOffset - this.#skip;
    for (const view of records(this.#records)) {
      if (offset >= this.endOffset) return;
      if (offset >= this.baseOffset) yield new ConsumedRecord(this, offset, view);
      offset++;
    }
  }
}
