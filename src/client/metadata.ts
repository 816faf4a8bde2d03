import type { Clock } from "../base/ports/clock.ts";
import { AdminService } from "../protocol/methods.ts";
import { DescribeClusterRequest, DescribeClusterResponse, type TopicDescription } from "../protocol/public.ts";
import type { Brokers } from "./brokers.ts";
import type { Calls } from "./calls.ts";
import { describeTopics } from "./describe-topics.ts";

/** A topic is asked for again at most this often because of failures, milliseconds. */
export const REFRESH_MS_MIN = 100;
/** What is known of a topic in use may be so old, unless `ClientOptions.metadataRefreshMs` says otherwise, milliseconds. */
export const METADATA_REFRESH_MS = 30_000;
/** Time allowed for one refresh, over all brokers. */
const REFRESH_TIMEOUT_MS = 10_000;

/** Who leads one partition, as far as the client knows. */
interface Route {
  /** Empty: unknown. */
  address: string;
  term: number;
}

interface Topic {
  readonly id: string;
  readonly routes: readonly Route[];
  /** `max.message.bytes`, when the broker said it. */
  readonly recordSetBytesMax: number | undefined;
  loadedAt: number;
}

/** Where an answer came from: replies and refusals name the leader, so the cache mends itself on the way. */
export interface LeaderHint {
  readonly address: string;
  /** 0 when the hint carries none. */
  readonly term: number;
}

/** What the client remembers of topics: how many partitions, and who leads them. Never the truth, always good enough to try. */
export class Metadata {
  readonly #calls: Calls;
  readonly #brokers: Brokers;
  readonly #clock: Clock;
  readonly #topics = new Map<string, Topic>();
  readonly #loading = new Map<string, { readonly topic: Promise<Topic>; readonly latest: boolean }>();
  readonly #watchers = new Map<string, Set<(partitions: number, topicId: string) => void>>();
  /** What is known of a topic in use may be so old, milliseconds. */
  readonly refreshMs: number;
  #brokersLoading = false;

  constructor(calls: Calls, brokers: Brokers, clock: Clock, refreshMs = METADATA_REFRESH_MS) {
    this.#calls = calls;
    this.#brokers = brokers;
    this.#clock = clock;
    this.refreshMs = refreshMs;
  }

  /** Hears how many partitions the topic has that has this name, each time that was asked: topics grow. @returns ends it */
  watch(topic: string, told: (partitions: number, topicId: string) => void): () => void {
    const watchers = this.#watchers.get(topic) ?? new Set();
    this.#watchers.set(topic, watchers);
    watchers.add(told);
    return () => {
      watchers.delete(told);
      if (watchers.size === 0 && this.#watchers.get(topic) === watchers) this.#watchers.delete(topic);
    };
  }

  /** Number of partitions, or undefined when the topic was not loaded yet. */
  partitionCount(topic: string): number | undefined {
    return this.#topics.get(topic)?.routes.length;
  }

  /** Of the topic that had this name when it was loaded. */
  topicId(topic: string): string | undefined {
    return this.#topics.get(topic)?.id;
  }

  /** Address of the leader, or undefined when none is known. */
  leader(topic: string, partition: number): string | undefined {
    const address = this.#topics.get(topic)?.routes[partition]?.address;
    return address === "" ? undefined : address;
  }

  /** Largest record set the topic takes, or undefined when that is not known. */
  recordSetBytesMax(topic: string): number | undefined {
    return this.#topics.get(topic)?.recordSetBytesMax;
  }

  /** Loads the topic unless it is known. @throws {MillraceError} UNKNOWN_TOPIC, or that no broker answered */
  async load(topic: string, timeoutMs: number): Promise<number> {
    const known = this.#topics.get(topic) ?? (await this.#fetch(topic, timeoutMs));
    return known.routes.length;
  }

  /**
   * Asks now, whatever is known, and not by an answer that was under way: for who goes by it that there is no other partition, or that this is
   * the topic that has the name. The controller is asked, as `describeTopics` does.
   * @throws {MillraceError} UNKNOWN_TOPIC, or that no broker answered
   */
  async loadAnew(topic: string, timeoutMs: number): Promise<{ readonly topicId: string; readonly partitions: number }> {
    await this.#loading.get(topic)?.topic.catch(() => undefined);
    const { id, routes } = await this.#fetch(topic, timeoutMs, true);
    return { topicId: id, partitions: routes.length };
  }

  /** Asks again in the background, unless that was done a moment ago. Failures are silent: the next failed call asks again. */
  refresh(topic: string): void {
    const known = this.#topics.get(topic);
    if (known !== undefined && this.#clock.monotonic() - known.loadedAt < REFRESH_MS_MIN) return;
    this.#fetch(topic, REFRESH_TIMEOUT_MS).catch(() => undefined);
  }

  /** Asks again in the background when what is known is older than `refreshMs`. For topics in use, now and then. */
  refreshIfOld(topic: string): void {
    const known = this.#topics.get(topic);
    if (known !== undefined && this.#clock.monotonic() - known.loadedAt >= this.refreshMs) this.refresh(topic);
  }

  /** Takes over what a reply said of the leader, unless a later term is known. */
  hint(topic: string, partition: number, hint: LeaderHint): void {
    const route = this.#topics.get(topic)?.routes[partition];
    if (route === undefined || hint.address === "" || (hint.term !== 0 && hint.term < route.term)) return;
    route.address = hint.address;
    route.term = Math.max(route.term, hint.term);
  }

  /** The leader did not answer: until something names it again, any other broker is asked. */
  leaderFailed(topic: string, partition: number, address: string): void {
    const route = this.#topics.get(topic)?.routes[partition];
    if (route?.address === address) route.address = "";
  }

  forget(topic: string): void {
    this.#topics.delete(topic);
  }

  #fetch(name: string, timeoutMs: number, latest = false): Promise<Topic> {
    const loading = this.#loading.get(name);
    if (loading !== undefined && (loading.latest || !latest)) return loading.topic;
    const topic = this.#describe(name, timeoutMs, latest).finally(() => {
      if (this.#loading.get(name)?.topic === topic) this.#loading.delete(name);
    });
    this.#loading.set(name, { topic, latest });
    return topic;
  }

  async #describe(name: string, timeoutMs: number, latest: boolean): Promise<Topic> {
    const [described] = await describeTopics(this.#calls, [name], { timeoutMs, latest });
    const topic = this.#merge(name, described as TopicDescription);
    this.#topics.set(name, topic);
    for (const told of this.#watchers.get(name) ?? []) told(topic.routes.length, topic.id);
    this.#loadBrokers();
    return topic;
  }

  #merge(name: string, described: TopicDescription): Topic {
    const before = this.#topics.get(name);
    const routes = described.partitions.map((partition): Route => {
      const old = before?.id === described.topicId ? before.routes[partition.partition] : undefined;
      // A reply of a later term may have come in while this answer was under way.
      if (old !== undefined && old.term > partition.leaderTerm && old.address !== "") return old;
      return { address: partition.leaderAddress, term: partition.leaderTerm };
    });
    const limit = Number(described.configs.find((entry) => entry.key === "max.message.bytes")?.value);
    return { id: described.topicId, routes, recordSetBytesMax: limit > 0 ? limit : undefined, loadedAt: this.#clock.monotonic() };
  }

  /** Keeps the list of brokers fresh, so that the bootstrap list may die. */
  #loadBrokers(): void {
    if (this.#brokersLoading) return;
    this.#brokersLoading = true;
    this.#calls
      .unary(AdminService.DescribeCluster.path, DescribeClusterRequest.encode({}), { timeoutMs: REFRESH_TIMEOUT_MS, repeatable: true })
      .then((reply) =>
        this.#brokers.learn(
          DescribeClusterResponse.decode(reply)
            .brokers.map((broker) => broker.address)
            .filter((address) => address !== ""),
        ),
      )
      .catch(() => undefined)
      .finally(() => {
        this.#brokersLoading = false;
      });
  }
}
