import type { BrokerConfig } from "../../base/broker-config.ts";
import { MillraceError } from "../../base/errors.ts";
import type { BrokerId, GroupId, Offset, Term } from "../../base/ids.ts";
import type { Clock } from "../../base/ports/clock.ts";
import { PEER_MESSAGE_BYTES_MAX } from "../../base/ports/transport.ts";
import { type Until, waitUntil } from "../../base/until.ts";
import type { MetadataImage } from "../../cluster/image.ts";
import type { TopicImage } from "../../cluster/image-state.ts";
import { internalTopic, isInternalTopic } from "../../cluster/internal-topics.ts";
import { namedTopic, unknownPartition } from "../../cluster/named-topics.ts";
import { type FetchRequest, FetchResponse } from "../../protocol/public.ts";
import { ForwardedFetch, ForwardedTrim, ForwardedTrimmed } from "../../protocol/routing.ts";
import type { HostedPartition } from "../hosted-partition.ts";
import type { MetadataGroup } from "../metadata/metadata-group.ts";
import { agesFrom } from "../partition/lag-ages.ts";
import type { AppendBatch, Appended } from "../partition/partition.ts";
import { TimeSearches } from "../partition/time-searches.ts";
import { type Trimmed, trimPartition } from "../partition/trim-partition.ts";
import type { PartitionSet } from "../partition-set.ts";
import type { PeerLinks } from "../peers/peer-links.ts";
import { fetchResponse, readRequestOf } from "../services/fetch-codec.ts";
import type { LogBackend, OffsetsOf, OffsetsOptions, RouteOptions, Target } from "../services/log-service.ts";
import { callThere, carry, type Outcome } from "./carry.ts";
import { decodeForwardedAppended, decodeForwardedOffsets, encodeForwardedAppend, forwardedOffsets } from "./forwarded.ts";
import type { Router } from "./router.ts";

export const APPEND_METHOD = "log.append";
export const FETCH_METHOD = "log.fetch";
export const OFFSETS_METHOD = "log.offsets";
export const TRIM_METHOD = "log.trim";

/** An answer that is handed on must fit one message between brokers, with what stands around its batches. */
const FORWARDED_BYTES_MAX = PEER_MESSAGE_BYTES_MAX - 4 * 1024 * 1024;

/**
 * What the log services ask of the broker: names are looked up in the image (behind a read barrier before "not found" is said, design
 * §7), calls go to the leader here or there. A call that was handed on is executed by the same code, marked so that it is not handed
 * on again.
 */
export class RoutedLog implements LogBackend {
  readonly #clock: Clock;
  readonly #config: BrokerConfig;
  readonly #image: MetadataImage;
  readonly #group: MetadataGroup;
  readonly #partitions: PartitionSet;
  readonly #links: PeerLinks;
  readonly #router: Router;
  readonly #searches: TimeSearches;

  constructor(
    clock: Clock,
    config: BrokerConfig,
    image: MetadataImage,
    group: MetadataGroup,
    partitions: PartitionSet,
    links: PeerLinks,
    router: Router,
  ) {
    this.#clock = clock;
    this.#config = config;
    this.#image = image;
    this.#group = group;
    this.#partitions = partitions;
    this.#links = links;
    this.#router = router;
    this.#searches = new TimeSearches(config.limits.timeSearchesMax);
  }

  resolve(topic: string, partition: number, until: Until, topicId = ""): Target | Promise<Target> {
    const found = this.#lookUp(topic, partition, topicId);
    if (!(found instanceof MillraceError)) return found;
    // Whatever the controller knows.
    if (found.code === "INTERNAL_TOPIC") return Promise.reject(found);
    return this.#group.barrier(until).then(() => {
      const again = this.#lookUp(topic, partition, topicId);
      if (again instanceof MillraceError) throw again;
      return again;
    });
  }

  async topicOf(topic: string, until: Until, topicId = ""): Promise<{ readonly topicId: string; readonly partitions: number }> {
    if (!isInternalTopic(topic) && this.#named(topic, topicId) instanceof MillraceError) await this.#group.barrier(until);
    const known = this.#named(topic, topicId);
    if (known instanceof MillraceError) throw known;
    return { topicId: known.id, partitions: known.groups.length };
  }

  async latestOf(topic: string, until: Until): Promise<{ readonly topicId: string }> {
    await this.#group.barrier(until);
    return this.topicOf(topic, until);
  }

  leadsHere(target: Target): boolean {
    return this.#partitions.get(target.groupId as GroupId)?.partition.accepts === true;
  }

  clientAddress(broker: BrokerId): string {
    return this.#image.brokers.get(broker)?.clientAddress ?? (broker === this.#config.brokerId ? this.#config.advertise : "");
  }

  append(
    target: Target,
    batch: AppendBatch,
    options: RouteOptions,
    done: (outcome: Outcome<Appended & { readonly leaderId: BrokerId }>) => void,
  ): () => void {
    return this.#route<Appended & { readonly leaderId: BrokerId }>(
      target.groupId as GroupId,
      batch.draft.payload.byteLength,
      options,
      done,
      {
        here: (finish) =>
          this.appendHere(target.groupId as GroupId, batch, (outcome) =>
            finish(outcome instanceof MillraceError ? outcome : { ...outcome, leaderId: this.#config.brokerId }),
          ),
        there: (broker, finish) =>
          this.#call(
            broker,
            APPEND_METHOD,
            encodeForwardedAppend(target.groupId, batch),
            options.deadline,
            (body) => ({ ...decodeForwardedAppended(body), leaderId: broker }),
            finish,
          ),
      },
    );
  }

  read(target: Target, request: FetchRequest, options: RouteOptions, done: (outcome: Outcome<FetchResponse>) => void): () => void {
    return this.#route<FetchResponse>(target.groupId as GroupId, 0, options, done, {
      here: (finish) => this.readHere(target.groupId as GroupId, request, options.deadline, finish),
      there: (broker, finish) =>
        this.#call(
          broker,
          FETCH_METHOD,
          [ForwardedFetch.encode({ groupId: target.groupId, request: forwarded(request) })],
          options.deadline,
          (body) => FetchResponse.decode(body),
          finish,
        ),
    });
  }

  offsets(target: Target, timeMs: number | undefined, options: OffsetsOptions, done: (outcome: Outcome<OffsetsOf>) => void): () => void {
    return this.#route<OffsetsOf>(target.groupId as GroupId, 0, options, done, {
      here: (finish) => this.offsetsHere(target.groupId as GroupId, timeMs, options, finish),
      there: (broker, finish) =>
        this.#call(
          broker,
          OFFSETS_METHOD,
          [forwardedOffsets(target, timeMs, options)],
          options.deadline,
          (body) => decodeForwardedOffsets(body, broker),
          finish,
        ),
    });
  }

  /** @param before undefined: all that are committed */
  trim(groupId: GroupId, before: Offset | undefined, until: Until): Promise<Trimmed> {
    const { deadline } = until;
    const late = (): MillraceError =>
      new MillraceError("REQUEST_TIMED_OUT", "The deadline passed before the trim was committed; it may be yet");
    return waitUntil<Trimmed>(this.#clock, until, late, (done) =>
      this.#route<Trimmed>(groupId, 0, { deadline, direct: false }, done, {
        here: (finish) => this.trimHere(groupId, before, finish),
        there: (broker, finish) =>
          this.#call(
            broker,
            TRIM_METHOD,
            [ForwardedTrim.encode({ groupId, beforeOffset: before ?? -1 })],
            deadline,
            (body) => {
              const { logStartOffset, highWatermark, moved } = ForwardedTrimmed.decode(body);
              return { logStartOffset: logStartOffset as Offset, highWatermark: highWatermark as Offset, moved };
            },
            finish,
          ),
      }),
    );
  }

  async allocateProducer(until: Until): Promise<number> {
    const { reply } = await this.#group.submit({ kind: "allocateProducerIds", count: 1 }, until);
    if (reply.kind !== "producerIds") throw new MillraceError("INTERNAL", "The controller answered another question");
    return reply.first;
  }

  // What a leader does, for callers here and for calls handed on by others.

  appendHere(groupId: GroupId, batch: AppendBatch, done: (outcome: Outcome<Appended>) => void): () => void {
    const hosted = this.#hosted(groupId);
    if (hosted instanceof MillraceError) {
      done(hosted);
      return () => {};
    }
    return hosted.partition.append(batch, done);
  }

  /** For a caller at another broker. */
  readFor(groupId: GroupId, request: FetchRequest, deadline: number, done: (outcome: Outcome<FetchResponse>) => void): () => void {
    return this.readHere(groupId, forwarded(request), deadline, done);
  }

  readHere(groupId: GroupId, request: FetchRequest, deadline: number, done: (outcome: Outcome<FetchResponse>) => void): () => void {
    const hosted = this.#hosted(groupId);
    if (hosted instanceof MillraceError) {
      done(hosted);
      return () => {};
    }
    const { limits, timings, brokerId, advertise } = this.#config;
    const read = readRequestOf(request, limits, this.#clock.monotonic(), deadline, timings.fetchWaitMaxMs);
    return hosted.reader.read(read, (outcome) => {
      if (outcome instanceof MillraceError) return done(outcome);
      done(fetchResponse(outcome, brokerId, advertise));
    });
  }

  offsetsHere(
    groupId: GroupId,
    timeMs: number | undefined,
    { agesFrom: from, place }: Pick<OffsetsOptions, "agesFrom" | "place">,
    done: (outcome: Outcome<OffsetsOf>) => void,
  ): () => void {
    const hosted = this.#hosted(groupId);
    if (hosted instanceof MillraceError) {
      done(hosted);
      return () => {};
    }
    let over = false;
    let giveUp = (): void => {};
    const { partition, reader } = hosted;
    this.#partitions.readIndex(hosted, (index) => {
      if (over) return;
      if (index === undefined || !partition.replica.serves) return done(partition.notLeader());
      const ends = { ...this.#endsOf(hosted), found: undefined };
      if (from !== undefined) {
        giveUp = agesFrom(this.#searches, partition, from, (ages) => done({ ...ends, ages }));
        return;
      }
      if (place !== undefined) {
        reader.has(place.offset as Offset, place.term as Term).then(
          (has) => {
            if (!over) done({ ...ends, truncated: !has });
          },
          // What cannot be compared is not known to be cut off.
          () => {
            if (!over) done(ends);
          },
        );
        return;
      }
      if (timeMs === undefined) return done(ends);
      const search = this.#searches.run((stopped) => this.#search(hosted, timeMs, stopped, done));
      if (search instanceof MillraceError) done(search);
      else giveUp = search;
    });
    return () => {
      over = true;
      giveUp();
    };
  }

  /** Its turn may have come long after the leader was confirmed. Never rejects. */
  async #search(
    hosted: HostedPartition,
    timeMs: number,
    stopped: () => boolean,
    done: (outcome: Outcome<OffsetsOf>) => void,
  ): Promise<void> {
    const { partition, reader } = hosted;
    if (!partition.replica.serves) return done(partition.notLeader());
    // As they are when the search begins: what is committed meanwhile was not searched, and "not found" must not stand before it.
    const ends = this.#endsOf(hosted);
    try {
      const found = await reader.findTime(timeMs, stopped);
      if (!stopped()) done({ ...ends, found });
    } catch (error) {
      if (stopped()) return;
      // What the log could not read it says itself, by name.
      if (error instanceof MillraceError) return done(error);
      const what = error instanceof Error ? error.message : String(error);
      done(new MillraceError("DATA_LOSS", `Cannot search ${partition.name} by time: ${what}`));
    }
  }

  #endsOf({ partition }: HostedPartition): Omit<OffsetsOf, "found"> {
    const { logStartOffset, highWatermark, sizeBytes, replica } = partition;
    return { logStartOffset, highWatermark, sizeBytes, leaderId: this.#config.brokerId, term: replica.core.term };
  }

  trimHere(groupId: GroupId, before: Offset | undefined, done: (outcome: Outcome<Trimmed>) => void): () => void {
    const hosted = this.#hosted(groupId);
    if (hosted instanceof MillraceError) {
      done(hosted);
      return () => {};
    }
    return trimPartition(hosted.partition, before, (confirmed) => this.#partitions.readIndex(hosted, confirmed), done);
  }

  /** What a machine keeps in its log is nobody's to read or write, also not for a broker of another version that hands the call on. */
  #hosted(groupId: GroupId): HostedPartition | MillraceError {
    const hosted = this.#partitions.get(groupId);
    if (hosted?.partition.machine !== undefined) return internalTopic("use", hosted.partition.options.topic);
    return hosted ?? new MillraceError("NOT_LEADER", "This broker holds no replica of the partition");
  }

  #named(topic: string, topicId: string): TopicImage | MillraceError {
    if (isInternalTopic(topic)) return internalTopic("use", topic);
    return namedTopic(this.#image, topic, topicId);
  }

  #lookUp(topic: string, partition: number, topicId: string): Target | MillraceError {
    const known = this.#named(topic, topicId);
    if (known instanceof MillraceError) return known;
    const groupId = known.groups[partition];
    if (groupId === undefined) return unknownPartition(topic, known.groups.length, partition);
    const maxMessageBytes = Math.min(this.#image.configOf(known).maxMessageBytes, this.#config.limits.maxMessageBytes);
    return { topic, partition, groupId, maxMessageBytes };
  }

  #route<T>(
    groupId: GroupId,
    bytes: number,
    options: RouteOptions,
    done: (outcome: Outcome<T>) => void,
    run: {
      here(finish: (outcome: Outcome<T>) => void): () => void;
      there(broker: BrokerId, finish: (outcome: Outcome<T>) => void): () => void;
    },
  ): () => void {
    return carry(this.#router, { groupId, bytes, deadline: options.deadline, direct: options.direct, ...run }, done);
  }

  #call<T>(
    broker: BrokerId,
    method: string,
    body: readonly Uint8Array[],
    deadline: number,
    decode: (body: Uint8Array) => T,
    finish: (outcome: Outcome<T>) => void,
  ): () => void {
    return callThere(this.#links, this.#clock, { broker, method, body, deadline, decode }, finish);
  }
}

function forwarded(request: FetchRequest): FetchRequest {
  return { ...request, maxBytes: Math.min(request.maxBytes, FORWARDED_BYTES_MAX) };
}
