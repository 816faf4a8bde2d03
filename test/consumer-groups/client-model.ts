import type { TopicId } from "../../src/base/ids.ts";
import type { Heartbeat, TopicPartitions } from "../../src/consumer-groups/commands.ts";
import type { MemberState } from "../../src/consumer-groups/decision.ts";

/** What goes up from a member. */
interface Sent {
  /** Of the member that sent it: whoever it is now hears nothing of the answer. */
  readonly life: number;
}
export interface SentBeat extends Sent {
  readonly beat: Heartbeat;
}
export interface SentCommit extends Sent {
  readonly member: { readonly id: string; readonly epoch: number };
  readonly key: string;
  readonly offset: number;
}

/**
 * A consumer as its own process sees it: it holds what it was told to, gives back when its handlers are done, and knows nothing of what
 * is still on its way. Heartbeats and what it is told are a stream: in order, as late as it pleases. Commits are calls of their own.
 */
export class Client {
  readonly name: string;
  readonly instance: string | undefined;
  memberId: string;
  /** 0: it is no member as far as it knows. */
  epoch = 0;
  /** Epoch of its joining: its life. */
  life = 0;
  /** By `topic id:partition`: the next offset to process. */
  readonly holds = new Map<string, number>();
  /** Told to give back, and still at work. */
  readonly leaving = new Set<string>();
  down: (MemberState | "fenced")[] = [];
  beats: SentBeat[] = [];
  readonly commits: SentCommit[] = [];
  #lives = 0;

  constructor(name: string, instance: string | undefined) {
    this.name = name;
    this.instance = instance;
    this.memberId = `${name}-0`;
  }

  /** The process dies, or was told that it is no member any more: it holds nothing and hears nothing; what it sent may still arrive. */
  forget(): void {
    this.epoch = 0;
    this.life = 0;
    this.holds.clear();
    this.leaving.clear();
    this.down = [];
  }

  /** A new process: another member id. */
  restart(): void {
    this.forget();
    this.#lives += 1;
    this.memberId = `${this.name}-${this.#lives}`;
  }

  /** @param start where a partition begins @returns partitions that came */
  hear({ memberEpoch, assignment }: MemberState, start: (key: string) => number): readonly string[] {
    if (memberEpoch < this.epoch) return [];
    this.epoch = memberEpoch;
    if (assignment === undefined) return [];
    const keys = new Set(keysOf(assignment));
    for (const key of this.holds.keys())
      if (keys.has(key)) this.leaving.delete(key);
      else this.leaving.add(key);
    const came = [...keys].filter((key) => !this.holds.has(key));
    for (const key of came) this.holds.set(key, start(key));
    return came;
  }

  /** Its handlers are done with what it has to give back. */
  finish(): void {
    for (const key of this.leaving) this.holds.delete(key);
    this.leaving.clear();
  }

  beat(groupId: string): void {
    const owned = [...this.holds.keys()].map((key) => ({ topicId: topicOf(key), partitions: [partitionOf(key)] }));
    const { memberId, epoch: memberEpoch, instance: instanceId } = this;
    this.beats.push({
      life: this.life,
      beat: { kind: "heartbeat", groupId, memberId, memberEpoch, instanceId, subscription: undefined, owned },
    });
  }

  /** Processes some records of a partition and sends a commit. */
  work(place: number, records: number): void {
    const key = [...this.holds.keys()][place % Math.max(1, this.holds.size)];
    if (key === undefined) return;
    const offset = (this.holds.get(key) ?? 0) + records;
    this.holds.set(key, offset);
    this.commits.push({ life: this.life, member: { id: this.memberId, epoch: this.epoch }, key, offset });
  }
}

export const keysOf = (partitions: readonly TopicPartitions[]): readonly string[] =>
  partitions.flatMap(({ topicId, partitions: numbers }) => numbers.map((partition) => `${topicId}:${partition}`));
export const topicOf = (key: string): TopicId => key.slice(0, key.indexOf(":")) as TopicId;
export const partitionOf = (key: string): number => Number(key.slice(key.indexOf(":") + 1));
