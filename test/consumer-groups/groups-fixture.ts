import assert from "node:assert/strict";
import { type ErrorCode, MillraceError } from "../../src/base/errors.ts";
import type { LogIndex, TopicId } from "../../src/base/ids.ts";
import type { GroupCommand, Heartbeat, JoinGroup, OffsetToCommit, TopicPartitions } from "../../src/consumer-groups/commands.ts";
import {
  type GroupReply,
  type GroupTopic,
  type MemberState,
  type TopicDirectory,
  UNKNOWN_TIME,
} from "../../src/consumer-groups/decision.ts";
import { decodeFacts, type Fact, type FactOf } from "../../src/consumer-groups/facts.ts";
import type { GroupState } from "../../src/consumer-groups/group-state.ts";
import { GroupsImage } from "../../src/consumer-groups/image.ts";
import { decideGroups, type GroupsDecided, groupFacts } from "../../src/consumer-groups/machine.ts";
import { defaultGroupSettings, type GroupSettings } from "../../src/consumer-groups/settings.ts";
import { GroupTimers } from "../../src/consumer-groups/timers.ts";

export const topicUuid = (n: number): TopicId => `00000000-0000-4000-8000-${String(n).padStart(12, "0")}` as TopicId;

export class Topics implements TopicDirectory {
  readonly #topics = new Map<string, GroupTopic>();
  readonly #deleted = new Set<TopicId>();
  #made = 0;

  make(name: string, partitions: number): TopicId {
    const id = topicUuid(++this.#made);
    this.#topics.set(name, { id, name, partitions });
    return id;
  }
  grow(name: string, partitions: number): void {
    const topic = this.#topics.get(name);
    if (topic !== undefined) this.#topics.set(name, { ...topic, partitions });
  }
  drop(name: string): TopicId | undefined {
    const id = this.#topics.get(name)?.id;
    this.#topics.delete(name);
    if (id !== undefined) this.#deleted.add(id);
    return id;
  }
  /** As a broker whose metadata is older: it has not heard of what is not said to be here. @returns it has by now */
  older(here: readonly GroupTopic[]): () => void {
    const all = [...this.#topics];
    this.#topics.clear();
    for (const topic of here) this.#topics.set(topic.name, topic);
    return () => {
      this.#topics.clear();
      for (const [name, topic] of all) this.#topics.set(name, topic);
    };
  }
  deleted(ids: readonly TopicId[]): void {
    for (const id of ids) this.#deleted.add(id);
  }
  isDeleted(id: TopicId): boolean {
    return this.#deleted.has(id);
  }
  byName(name: string): GroupTopic | undefined {
    return this.#topics.get(name);
  }
  byId(id: TopicId): GroupTopic | undefined {
    return [...this.#topics.values()].find((topic) => topic.id === id);
  }
  /** By the engine of JavaScript: another one than brokers have. */
  matching(pattern: string): readonly GroupTopic[] {
    const whole = new RegExp(`^(?:${pattern})$`);
    return this.all().filter(({ name }) => whole.test(name));
  }
  matches(pattern: string, name: string): boolean {
    return new RegExp(`^(?:${pattern})$`).test(name);
  }
  refusePattern(pattern: string): MillraceError | undefined {
    return pattern === "(" ? new MillraceError("INVALID_REQUEST", "topic_pattern: a ( is not closed at position 1") : undefined;
  }
  async ready(): Promise<void> {}
  all(): readonly GroupTopic[] {
    return [...this.#topics.values()];
  }
}

export const joining = (groupId: string, memberId: string, topics: readonly string[], more: Partial<JoinGroup> = {}): JoinGroup => ({
  kind: "join",
  groupId,
  memberId,
  instanceId: undefined,
  rack: "",
  clientAddress: "127.0.0.1:1",
  topics,
  topicPattern: "",
  assignor: "",
  rebalanceTimeoutMs: 0,
  ...more,
});

export const beating = (groupId: string, memberId: string, memberEpoch: number, more: Partial<Heartbeat> = {}): Heartbeat => ({
  kind: "heartbeat",
  groupId,
  memberId,
  memberEpoch,
  instanceId: undefined,
  subscription: undefined,
  owned: undefined,
  ...more,
});

export const offset = (topic: string, partition: number, at: number, more: Partial<OffsetToCommit> = {}): OffsetToCommit => ({
  topic,
  topicId: undefined,
  partition,
  offset: at,
  term: -1,
  metadata: "",
  highWatermark: undefined,
  ...more,
});

/** `topic:partition`, the topic by the last digits of its id. */
export const flat = (partitions: readonly TopicPartitions[] | undefined): readonly string[] =>
  (partitions ?? []).flatMap(({ topicId, partitions: numbers }) => numbers.map((partition) => `${Number(topicId.slice(-3))}:${partition}`));

/**
 * One coordinator whose facts are committed as soon as they are decided: commands in, facts encoded, decoded and replayed, a frame per
 * command that made any. Every decision is made on a clone, which another writes to: so a clone that leaks is seen.
 */
export class Coordinator {
  readonly topics = new Topics();
  image = GroupsImage.empty();
  settings: GroupSettings = defaultGroupSettings;
  timers = new GroupTimers(defaultGroupSettings);
  monotonic = 0;
  wall = 1_700_000_000_000;
  /** Its wall clock may stamp. */
  trusted = true;
  readonly log: Uint8Array[] = [];
  #index = 0;

  /** Decides and replays; a refusal is returned. */
  step(command: GroupCommand): GroupsDecided {
    const hash = this.image.version % 16 === 0 ? this.image.hash() : undefined;
    const decision = decideGroups(this.image, command, {
      topics: this.topics,
      settings: this.settings,
      wall: this.wall,
      stampMs: this.trusted ? this.wall : UNKNOWN_TIME,
    });
    if (hash !== undefined) assert.equal(this.image.hash(), hash, "a decision changes nothing");
    if ("error" in decision) return decision;
    for (const { groupId, facts } of decision.facts) this.append(groupId, facts);
    if (command.kind === "heartbeat" || command.kind === "join") this.timers.seen(command.groupId, command.memberId, this.monotonic);
    return decision;
  }

  append(groupId: string, facts: readonly Fact[]): void {
    const payload = groupFacts.encode([{ groupId, facts }]);
    assert.equal(groupFacts.records(groupFacts.decode(payload)), facts.length);
    this.log.push(payload);
    this.#index += 1;
    for (const batch of decodeFacts(payload)) this.image.replay(batch, this.#index as LogIndex);
    const group = this.image.group(groupId);
    if (group === undefined) this.timers.forget(groupId);
    else
      this.timers.follow(
        group,
        this.monotonic,
        facts.some(({ kind }) => kind === "memberSubscribed"),
      );
  }

  /** Time passes; whatever runs out is decided. */
  pass(ms: number): void {
    this.monotonic += ms;
    this.wall += ms;
    for (const command of this.timers.due(this.monotonic)) this.ok(command);
  }

  /** Another broker becomes the coordinator, from a snapshot and the tail of the log. */
  failOver(): void {
    this.image = GroupsImage.restore(this.image.snapshot());
    this.timers = new GroupTimers(this.settings);
    for (const group of this.image.groups.values()) this.timers.follow(group, this.monotonic);
  }

  ok(command: GroupCommand): GroupReply {
    const decision = this.step(command);
    if ("error" in decision) throw decision.error;
    return decision.reply;
  }

  /** What a member is told. */
  told(command: JoinGroup | Heartbeat): MemberState {
    const reply = this.ok(command);
    assert.ok(reply.kind === "member");
    return reply.state;
  }

  /** The code of the refusal; nothing was recorded. */
  refused(command: GroupCommand): ErrorCode {
    const before = this.#index;
    const decision = this.step(command);
    assert.ok("error" in decision, `${command.kind} was not refused`);
    assert.equal(this.#index, before);
    return decision.error.code;
  }

  /** Codes of the refused parts of a commit, by place; the others are committed. */
  commit(groupId: string, member: { id: string; epoch: number } | undefined, ...offsets: readonly OffsetToCommit[]): (ErrorCode | "ok")[] {
    const reply = this.ok({ kind: "commitOffsets", groupId, member, offsets });
    assert.ok(reply.kind === "offsets");
    return offsets.map((_, at) => reply.refused.find((refusal) => refusal.at === at)?.error.code ?? "ok");
  }

  group(groupId: string): GroupState {
    const group = this.image.group(groupId);
    assert.ok(group !== undefined, `group ${groupId} is there`);
    return group;
  }

  /** The newest target that was recorded. */
  target(groupId: string): FactOf<"targetAssigned"> {
    for (const payload of [...this.log].reverse())
      for (const batch of decodeFacts(payload))
        for (const fact of batch.facts) if (batch.groupId === groupId && fact.kind === "targetAssigned") return fact;
    return assert.fail(`group ${groupId} has a target`);
  }

  committed(groupId: string, topicId: TopicId, partition: number): number | undefined {
    return this.image.group(groupId)?.offsets.get(topicId, partition)?.offset;
  }
}
