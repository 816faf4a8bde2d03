import { MillraceError } from "../../base/errors.ts";
import { invariant } from "../../base/invariant.ts";
import type { Timer } from "../../base/ports/clock.ts";
import type { SubscribeResponse } from "../../protocol/public.ts";
import { backoffMs } from "../backoff.ts";
import type { ClientCore } from "../core.ts";
import { OffsetOutOfRange } from "../errors.ts";
import { AssignedPartition, byTopic, topicKey } from "./assigned-partition.ts";
import type { ConsumedBatch } from "./consumed-batch.ts";
import type { ConsumedRecord } from "./consumed-record.ts";
import { Feed, type FeedOwner } from "./feed.ts";
import { Intake } from "./intake.ts";
import { locateAdded, locateWanted, lookUpError } from "./locate.ts";
import {
  type Assignment,
  type ConsumerOptions,
  type ConsumerSettings,
  checkAssignment,
  consumerSettings,
  type From,
  type Until,
} from "./options.ts";
import { refusalOf } from "./refusal.ts";

/** How long finding the partitions of a topic may take. */
const LOAD_MS = 30_000;
/** After so many bytes in one go others get a turn. */
const TURN_BYTES = 1024 * 1024;
/** How often, at least, streams are compared with who leads now, and subscribed topics asked for new partitions. */
const REROUTE_MS = 5_000;

/** What `run` calls; one of the two. A promise it returns is awaited before the next call: that is the back-pressure. */
export interface ConsumerHandlers {
  readonly onBatch?: (batch: ConsumedBatch) => void | Promise<void>;
  readonly onRecord?: (record: ConsumedRecord) => void | Promise<void>;
}

export interface PartitionName {
  readonly topic: string;
  readonly partition: number;
}

/** Hears of partitions that a broker refused for good. @returns whether these are left and the others go on */
export type RefusedPartitions = (names: readonly PartitionName[], error: MillraceError) => boolean;

/**
 * Reads assigned partitions: every record from where it was told to begin, in order per partition, without gap or repetition,
 * over broken connections and changes of leader. Three ways to take records: `for await (const record of consumer)`,
 * `for await (const batch of consumer.batches())`, or `run({ onBatch })`, which is the fastest. Reading ends when every partition
 * reached its `until`, and fails when one cannot go on: `OffsetOutOfRange`, or `TopicDeleted`, also when another topic was made under the
 * name. A partition is of the topic that had the name when reading began.
 */
export class Consumer implements AsyncIterable<ConsumedRecord> {
  readonly #core: ClientCore;
  readonly #settings: ConsumerSettings;
  readonly #parts = new Map<string, AssignedPartition>();
  readonly #feeds = new Set<Feed>();
  /** Topics of which new partitions are read too, and what ends hearing of them. */
  readonly #subscribed = new Map<string, () => void>();
  readonly #intake: Intake;
  readonly #owner: FeedOwner;
  #failure: MillraceError | undefined;
  #closed = false;
  /** There is no room for more. */
  #full = false;
  /** Whoever takes the records wants no more for now. */
  #holdAsked = false;
  #routing = false;
  #watching = false;
  #reroute: Timer | undefined;
  #wake: (() => void) | undefined;

  readonly #gone: () => void;
  readonly #refused: RefusedPartitions | undefined;

  /**
   * @param gone called once it is closed
   * @param refused absent: partitions that are refused for good end everything
   */
  constructor(core: ClientCore, options: ConsumerOptions, gone: () => void = () => undefined, refused?: RefusedPartitions) {
    this.#core = core;
    this.#gone = gone;
    this.#refused = refused;
    this.#settings = consumerSettings(options);
    const wake = (): void => this.#wakeUp();
    this.#intake = new Intake(core.ports.inflate, this.#settings.inflatedBytesMax, wake, (error) => this.#fail(error));
    this.#owner = {
      arrived: (part, message) => this.#arrived(part, message),
      broke: (feed, parts, error) => this.#broke(feed, parts, error),
    };
  }

  /** Adds partitions; one that is assigned already begins anew. @throws {MillraceError} INVALID_REQUEST */
  assign(assignments: readonly Assignment[]): void {
    this.#checkOpen();
    for (const assignment of assignments) checkAssignment(assignment);
    for (const ofTopic of byTopic(this.#replace(assignments)).values()) {
      locateWanted(this.#core, (ofTopic[0] as AssignedPartition).topic, ofTopic).then(
        () => this.#located(),
        (error: unknown) => this.#fail(lookUpError(error)),
      );
    }
    this.#watch();
  }

  /**
   * Assigns every partition of a topic, also those added later: they are read from their start, wherever the others began, because all
   * they hold was written after (or from the same time). With `until: "end"` none is added. @throws {MillraceError} UNKNOWN_TOPIC, or
   * that no broker answered
   */
  async subscribe(topic: string, options: { readonly from?: From; readonly until?: Until } = {}): Promise<void> {
    this.#checkOpen();
    // What is known may be hours old, and partitions added since hold old records: they begin and end as all others.
    const { topicId, partitions } = await this.#core.metadata.loadAnew(topic, LOAD_MS);
    this.assign(Array.from({ length: partitions }, (_, partition) => ({ topic, topicId, partition, ...options })));
    if (options.until === "end") return;
    const from: From = typeof options.from === "object" && "timeMs" in options.from ? options.from : "start";
    this.assignAdded(topic, partitions, { ...options, from, topicId });
  }

  /**
   * Assigns partitions of a topic that has `count` now as soon as they are added, for who assigned the others one by one.
   *
   * @param options where each begins and ends, default: all of it; and the id of the topic, as of `Assignment`
   */
  assignAdded(
    topic: string,
    count: number,
    options: { readonly from?: From; readonly until?: Until; readonly topicId?: string | undefined } = {},
  ): void {
    this.#checkOpen();
    this.#subscribed.get(topic)?.();
    let known = count;
    let topicId = options.topicId;
    const unwatch = this.#core.metadata.watch(topic, (now, id) => {
      topicId ??= [...this.#parts.values()].find((part) => part.topic === topic && part.topicId !== undefined)?.topicId;
      // Another topic's partitions are not added to these; whoever reads these hears of it.
      if (topicId !== id) return;
      const added = Array.from({ length: Math.max(0, now - known) }, (_, i) => ({ ...options, topic, topicId, partition: known + i }));
      known = Math.max(known, now);
      if (added.length === 0) return;
      locateAdded(this.#core, topic, this.#replace(added), {
        over: () => this.#closed || this.#failure !== undefined,
        located: () => this.#located(),
        failed: (error) => this.#fail(error),
      });
      this.#watch();
    });
    this.#subscribed.set(topic, unwatch);
    this.#watch();
  }

  /** Takes partitions away; what of them was received is dropped. */
  unassign(names: readonly PartitionName[]): void {
    const feeds = new Set<Feed>();
    for (const name of names) {
      const part = this.#parts.get(keyOf(name));
      if (part === undefined) continue;
      part.gone = true;
      this.#parts.delete(keyOf(name));
      if (part.feed !== undefined) feeds.add(part.feed);
    }
    for (const feed of feeds) feed.cancel();
  }

  /** Stops fetching these partitions; records that are here already are still handed out. */
  pause(names: readonly PartitionName[]): void {
    this.#setPaused(names, true);
  }

  resume(names: readonly PartitionName[]): void {
    this.#setPaused(names, false);
  }

  /**
   * Stops or goes on reading, of all partitions: the brokers are held by flow control and nothing is asked for anew, as pausing would. What is
   * here, and what is under way, is still handed out.
   */
  hold(held: boolean): void {
    this.#setHeld(this.#full, held);
  }

  /** It was told to stop reading. */
  get isHeld(): boolean {
    return this.#holdAsked;
  }

  /** Offset of the next record to be handed out; undefined until it was looked up. */
  position(name: PartitionName): number | undefined {
    return this.#parts.get(keyOf(name))?.position;
  }

  /** Hands out batches until all partitions reached their end or the consumer is closed. @throws {MillraceError} when reading cannot go on */
  async run(handlers: ConsumerHandlers): Promise<void> {
    const { onBatch, onRecord } = handlers;
    let turnBytes = 0;
    for (let batch = await this.#next(); batch !== undefined; batch = this.#give() ?? (await this.#next())) {
      if (onBatch !== undefined) {
        const handled = onBatch(batch);
        if (handled !== undefined) await handled;
      }
      if (onRecord !== undefined) {
        for (const record of batch) {
          const handled = onRecord(record);
          if (handled !== undefined) await handled;
        }
      }
      turnBytes += batch.bytes;
      if (turnBytes < TURN_BYTES) continue;
      turnBytes = 0;
      await new Promise<void>((resolve) => this.#core.ports.clock.soon(resolve));
    }
  }

  async *batches(): AsyncGenerator<ConsumedBatch> {
    for (let batch = await this.#next(); batch !== undefined; batch = await this.#next()) yield batch;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<ConsumedRecord> {
    for (let batch = await this.#next(); batch !== undefined; batch = await this.#next()) yield* batch;
  }

  /** Ends all streams; whoever iterates comes to the end. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#reroute?.cancel();
    this.#endSubscriptions();
    for (const feed of [...this.#feeds]) feed.cancel();
    this.#wakeUp();
    this.#gone();
  }

  /** The next batch; undefined at the end. One caller at a time. */
  async #next(): Promise<ConsumedBatch | undefined> {
    for (;;) {
      if (this.#closed) return undefined;
      const batch = this.#give();
      if (batch !== undefined) return batch;
      // What came before the failure was handed out first.
      if (this.#failure !== undefined && this.#intake.length === 0) throw this.#failure;
      if (this.#finished) {
        this.#endSubscriptions();
        return undefined;
      }
      invariant(this.#wake === undefined, "a consumer hands out records to one reader at a time");
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #give(): ConsumedBatch | undefined {
    if (this.#closed) return undefined;
    const batch = this.#intake.give();
    if (this.#full && this.#intake.bytes <= this.#settings.bufferBytesMax / 2) this.#setHeld(false, this.#holdAsked);
    return batch;
  }

  get #finished(): boolean {
    if (this.#parts.size === 0 || this.#intake.length > 0) return false;
    for (const part of this.#parts.values()) if (!part.received) return false;
    return true;
  }

  /** No partition is added any more. */
  #endSubscriptions(): void {
    for (const unwatch of this.#subscribed.values()) unwatch();
    this.#subscribed.clear();
  }

  #wakeUp(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  #fail(error: MillraceError): void {
    if (this.#failure !== undefined || this.#closed) return;
    this.#failure = error;
    this.#endSubscriptions();
    for (const feed of [...this.#feeds]) feed.cancel();
    this.#wakeUp();
  }

  #replace(assignments: readonly Assignment[]): AssignedPartition[] {
    this.unassign(assignments);
    const parts = assignments.map((assignment) => new AssignedPartition(assignment));
    for (const part of parts) this.#parts.set(keyOf(part), part);
    return parts;
  }

  #located(): void {
    this.#route();
    this.#wakeUp();
  }

  #setHeld(full: boolean, asked: boolean): void {
    const before = this.#held;
    this.#full = full;
    this.#holdAsked = asked;
    if (this.#held !== before) for (const feed of this.#feeds) feed.hold(!before);
  }

  get #held(): boolean {
    return this.#full || this.#holdAsked;
  }

  #arrived(part: AssignedPartition, message: SubscribeResponse): void {
    try {
      this.#intake.take(part, message);
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error;
      this.#fail(error);
      return;
    }
    if (!this.#full && this.#intake.bytes >= this.#settings.bufferBytesMax) this.#setHeld(true, this.#holdAsked);
    this.#wakeUp();
  }

  #broke(feed: Feed, parts: readonly AssignedPartition[], error: MillraceError | undefined): void {
    this.#feeds.delete(feed);
    if (this.#closed || this.#failure !== undefined) return;
    if (error !== undefined && !error.retriable) {
      const refusal = refusalOf(error, parts);
      const names = refusal instanceof OffsetOutOfRange ? [refusal] : parts;
      if (this.#refused?.(names, refusal) !== true) return this.#fail(refusal);
      // The others of its stream go on with another one.
      this.unassign(names);
      this.#route();
      return;
    }
    if (error !== undefined) this.#learn(feed, parts, error);
    let failures = 0;
    for (const part of parts) failures = Math.max(failures, error === undefined ? 0 : ++part.failures);
    const { clock, random } = this.#core.ports;
    // The first time another broker may answer at once.
    const pause = failures <= 1 ? 0 : backoffMs(failures - 1, random, error?.retryAfterMs);
    clock.after(pause, () => this.#route());
    this.#wakeUp();
  }

  #learn(feed: Feed, parts: readonly AssignedPartition[], error: MillraceError): void {
    const { metadata, ports } = this.#core;
    const leader = error.metadata["leader_address"] ?? "";
    ports.telemetry.log("debug", "consumer.stream_broke", { address: feed.address, topic: feed.topic, code: error.code });
    for (const part of parts) {
      metadata.leaderFailed(part.topic, part.partition, feed.address);
      if (leader !== "" && String(part.partition) === (error.metadata["partition"] ?? String(part.partition)) && parts.length === 1) {
        metadata.hint(part.topic, part.partition, { address: leader, term: Number(error.metadata["term"] ?? 0) });
      }
    }
    metadata.refresh(feed.topic);
  }

  /** Opens streams for partitions that have none, those of one topic at one broker together. Once per turn. */
  #route(): void {
    if (this.#routing) return;
    this.#routing = true;
    this.#core.ports.clock.soon(() => {
      this.#routing = false;
      if (this.#closed || this.#failure !== undefined) return;
      const groups = new Map<string, AssignedPartition[]>();
      for (const part of this.#parts.values()) {
        if (!part.idle) continue;
        const address = this.#core.route(part.topic, part.partition, part.failures > 0 ? undefined : part.address);
        const key = `${address} ${topicKey(part)}`;
        const group = groups.get(key);
        if (group === undefined) groups.set(key, [part]);
        else group.push(part);
      }
      for (const [key, group] of groups) this.#open(key.slice(0, key.indexOf(" ")), group);
    });
  }

  #open(address: string, parts: readonly AssignedPartition[]): void {
    const topic = (parts[0] as AssignedPartition).topic;
    const feed = new Feed(address, topic, parts, this.#core.brokers, this.#owner, this.#core.ports.inflate !== undefined);
    this.#feeds.add(feed);
    if (this.#held) feed.hold(true);
  }

  #setPaused(names: readonly PartitionName[], paused: boolean): void {
    const feeds = new Set<Feed>();
    for (const name of names) {
      const part = this.#parts.get(keyOf(name));
      if (part === undefined || part.paused === paused) continue;
      part.paused = paused;
      if (part.feed !== undefined) feeds.add(part.feed);
    }
    // The other partitions of these streams go on with new ones from where they are.
    for (const feed of feeds) feed.cancel();
    this.#route();
  }

  /** Now and then: streams that go through a broker that only forwards are moved to the leader. */
  #watch(): void {
    if (this.#watching) return;
    this.#watching = true;
    this.#reroute = this.#core.ports.clock.after(Math.min(REROUTE_MS, this.#core.metadata.refreshMs), () => {
      this.#watching = false;
      if (this.#closed || this.#failure !== undefined || this.#finished) return;
      for (const feed of [...this.#feeds]) if (this.#isElsewhere(feed)) feed.cancel();
      const topics = [...[...this.#feeds].map((feed) => feed.topic), ...this.#subscribed.keys()];
      for (const topic of new Set(topics)) this.#core.metadata.refresh(topic);
      this.#watch();
    });
  }

  #isElsewhere(feed: Feed): boolean {
    for (const part of this.#parts.values()) {
      if (part.feed !== feed) continue;
      const leader = this.#core.metadata.leader(part.topic, part.partition);
      if (leader !== undefined && leader !== feed.address && this.#core.brokers.isWorthMoving(leader)) return true;
    }
    return false;
  }

  #checkOpen(): void {
    if (this.#closed) throw new MillraceError("CLIENT_CLOSED", "The consumer is closed");
  }
}

function keyOf({ topic, partition }: PartitionName): string {
  return `${partition} ${topic}`;
}
