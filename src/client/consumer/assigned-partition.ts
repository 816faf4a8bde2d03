import type { Feed } from "./feed.ts";
import type { Assignment, From, Until } from "./options.ts";

/** One partition a consumer reads: how far it came, and where it is going. */
export class AssignedPartition {
  readonly topic: string;
  readonly partition: number;
  readonly from: From;
  readonly until: Until | undefined;
  /** Offset to ask the broker for next; undefined until `from` was looked up. */
  next: number | undefined;
  /** Offset of the next record to be handed out. */
  position: number | undefined;
  /** Reading stops before it; undefined: never (or not looked up yet). */
  untilOffset: number | undefined;
  /** Offset after the last committed record, as the last answer said. */
  highWatermark = 0;
  feed: Feed | undefined;
  paused = false;
  /** Everything up to the end was received. */
  received = false;
  /** It was taken from the consumer: whatever comes in late is dropped. */
  gone = false;
  failures = 0;
  /** Where its stream goes or went. */
  address: string | undefined;

  constructor(assignment: Assignment) {
    this.topic = assignment.topic;
    this.partition = assignment.partition;
    this.from = assignment.from ?? "start";
    this.until = assignment.until;
  }

  get located(): boolean {
    return this.next !== undefined;
  }

  /** It wants a stream and has none. */
  get idle(): boolean {
    return this.feed === undefined && this.located && !this.paused && !this.received && !this.gone;
  }

  /** Takes the places that were looked up. */
  locate(next: number, untilOffset: number | undefined): void {
    this.next = next;
    this.position = next;
    this.untilOffset = untilOffset;
    this.received = untilOffset !== undefined && next >= untilOffset;
  }
}
