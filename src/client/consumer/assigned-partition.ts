import type { Feed } from "./feed.ts";
import type { Assignment, From, Until } from "./options.ts";

/** One partition a consumer reads: how far it came, and where it is going. */
export class AssignedPartition {
  readonly topic: string;
  readonly partition: number;
  readonly from: From;
  readonly until: Until | undefined;
  /** Of the topic that is read, whatever has its name later; undefined until it was looked up. */
  topicId: string | undefined;
  /** Offset to ask the broker for next; undefined until `from` was looked up. */
  next: number | undefined;
  /** Of the record before `next`, or of the leader that told where that is; undefined: not known. */
  lastTerm: number | undefined;
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
    this.topicId = assignment.topicId;
  }

  get located(): boolean {
    return this.next !== undefined;
  }

  /** It wants a stream and has none. */
  get idle(): boolean {
    return this.feed === undefined && this.located && !this.paused && !this.received && !this.gone;
  }

  /** Takes the places that were looked up. */
  locate(next: number, lastTerm: number | undefined, untilOffset: number | undefined): void {
    this.next = next;
    this.lastTerm = lastTerm;
    this.position = next;
    this.untilOffset = untilOffset;
    this.received = untilOffset !== undefined && next >= untilOffset;
  }
}

/** Together what one stream or one look-up may name. */
export function byTopic(parts: readonly AssignedPartition[]): ReadonlyMap<string, AssignedPartition[]> {
  const groups = new Map<string, AssignedPartition[]>();
  for (const part of parts) {
    const group = groups.get(topicKey(part));
    if (group === undefined) groups.set(topicKey(part), [part]);
    else group.push(part);
  }
  return groups;
}

export function topicKey({ topic, topicId }: AssignedPartition): string {
  return `${topic} ${topicId ?? ""}`;
}
