import type { CommitOffsets, GroupCommand, Heartbeat } from "../../src/consumer-groups/commands.ts";
import type { TopicDirectory } from "../../src/consumer-groups/decision.ts";
import type { GroupState } from "../../src/consumer-groups/group-state.ts";
import type { Topics } from "./groups-fixture.ts";

interface Member {
  readonly id: string;
  readonly instance: string | undefined;
  life: number;
  epoch: number;
  away: boolean;
  readonly topics: readonly string[];
  readonly pattern: string;
}

interface Owner {
  readonly member: string;
  readonly since: number;
  revoking: number;
}

interface Outcome {
  readonly refused: string | undefined;
  /** Of each part of a commit. */
  readonly offsets?: readonly string[];
}

const OK: Outcome = { refused: undefined };
const no = (refused: string): Outcome => ({ refused });

/**
 * One group, a second time: flat lists, everything looked for from the beginning, no facts, no records, no cleverness. Who is to have what it
 * takes from the coordinator (the assignors have their own tests); whether a target was made is the only thing it does not judge.
 */
export class Reference {
  epoch = 0;
  members: Member[] = [];
  /** By `topic id:partition`. */
  owners = new Map<string, Owner>();
  offsets = new Map<string, { readonly offset: number; readonly at: number }>();
  emptySince = 0;

  /** @param after the group as the coordinator has it now: its target, and nothing else of it, is believed */
  step(command: GroupCommand, topics: TopicDirectory, wall: number, retention: number, after: GroupState | undefined): Outcome {
    const before = this.epoch;
    const outcome = this.#change(command, topics, wall, retention);
    if (outcome.refused === undefined && after !== undefined && command.kind !== "commitOffsets") this.#settle(after, before);
    return outcome;
  }

  /** Names of topics that there are and the member wants: the pattern tried on each, by another engine than that of brokers. */
  wanted(id: string, topics: Topics): readonly string[] {
    const member = this.members.find((each) => each.id === id);
    if (member === undefined) return [];
    return topics
      .all()
      .map(({ name }) => name)
      .filter((name) => member.topics.includes(name) || (member.pattern !== "" && new RegExp(`^(?:${member.pattern})$`).test(name)));
  }

  #change(command: GroupCommand, topics: TopicDirectory, wall: number, retention: number): Outcome {
    switch (command.kind) {
      case "join": {
        const had = this.members.find(({ instance }) => instance !== undefined && instance === command.instanceId);
        if (had !== undefined && had.id !== command.memberId && !had.away) return no("INSTANCE_ID_IN_USE");
        for (const id of [had?.id, command.memberId]) if (id !== undefined) this.#remove(id);
        this.epoch += 1;
        const { memberId: id, instanceId: instance, topicPattern: pattern } = command;
        this.members.push({ id, instance, life: this.epoch, epoch: this.epoch, away: false, topics: command.topics, pattern });
        return OK;
      }
      case "heartbeat": {
        const refusal = this.#refuse(command.memberId, command.memberEpoch, command.instanceId);
        if (refusal !== undefined) return no(refusal);
        this.#giveBack(command);
        return OK;
      }
      case "leave": {
        const refusal = this.#refuse(command.memberId, undefined, command.instanceId);
        if (refusal !== undefined) return no(refusal);
        const member = this.members.find(({ id }) => id === command.memberId);
        if (member === undefined) return no("UNKNOWN_MEMBER");
        if (!command.forGood && member.instance !== undefined && command.instanceId !== undefined) member.away = true;
        else this.#remove(member.id, wall);
        return OK;
      }
      case "expireMember": {
        const member = this.members.find(({ id, life }) => id === command.memberId && life === command.joinEpoch);
        if (member === undefined) return OK;
        const late = [...this.owners.values()].some(
          (owner) => owner.member === member.id && owner.revoking > 0 && owner.revoking <= (command.revoking ?? 0),
        );
        if (command.revoking === undefined || late) this.#remove(member.id, wall);
        return OK;
      }
      case "refreshTopics":
        for (const key of [...this.offsets.keys()]) if (command.deleted.some((id) => key.startsWith(`${id}:`))) this.offsets.delete(key);
        return OK;
      case "commitOffsets":
        return this.#commit(command, topics, wall);
      case "seekGroup":
        if (command.positions.some(({ offset, logStartOffset, highWatermark }) => offset < logStartOffset || offset > highWatermark))
          return no("OFFSET_OUT_OF_RANGE");
        if (this.members.length > 0 && !command.force) return no("GROUP_NOT_EMPTY");
        for (const { id } of [...this.members]) this.#remove(id, wall);
        for (const { topicId, partition, offset } of command.positions) this.offsets.set(`${topicId}:${partition}`, { offset, at: wall });
        return OK;
      case "deleteOffsets":
        // The runs only ask it of groups without members.
        for (const { topicId, partitions } of command.topics) for (const each of partitions) this.offsets.delete(`${topicId}:${each}`);
        return OK;
      case "deleteGroup":
        if (this.members.length > 0) return no("GROUP_NOT_EMPTY");
        this.offsets.clear();
        this.emptySince = 0;
        return OK;
      case "expireOffsets": {
        const old = wall - retention;
        if (this.members.length > 0) return OK;
        if (this.emptySince <= old) for (const [key, { at }] of [...this.offsets]) if (at <= old) this.offsets.delete(key);
        if (this.offsets.size === 0) this.emptySince = 0;
        return OK;
      }
    }
  }

  #refuse(id: string, epoch: number | undefined, instance: string | undefined): string | undefined {
    const now = this.members.find((member) => member.instance !== undefined && member.instance === instance);
    if (now !== undefined && now.id !== id) return "INSTANCE_FENCED";
    const member = this.members.find((each) => each.id === id);
    if (member === undefined) return "UNKNOWN_MEMBER";
    if (epoch !== undefined && (member.away || epoch < member.life || epoch > member.epoch)) return "MEMBER_FENCED";
    return undefined;
  }

  #giveBack({ memberId, memberEpoch, owned }: Heartbeat): void {
    if (owned === undefined) return;
    const says = new Set(owned.flatMap(({ topicId, partitions }) => partitions.map((partition) => `${topicId}:${partition}`)));
    for (const [key, { member, revoking }] of [...this.owners])
      if (member === memberId && revoking > 0 && memberEpoch >= revoking && !says.has(key)) this.owners.delete(key);
  }

  #commit({ member, offsets }: CommitOffsets, topics: TopicDirectory, wall: number): Outcome {
    if (member === undefined && this.members.length > 0) return no("GROUP_NOT_EMPTY");
    const refusal = member === undefined ? undefined : this.#refuse(member.id, member.epoch, undefined);
    if (refusal !== undefined) return no(refusal);
    return {
      refused: undefined,
      offsets: offsets.map(({ topic: name, partition, offset }) => {
        const topic = topics.byName(name);
        if (topic === undefined) return "UNKNOWN_TOPIC";
        if (partition >= topic.partitions) return "UNKNOWN_PARTITION";
        const key = `${topic.id}:${partition}`;
        const owner = this.owners.get(key);
        if (member !== undefined && owner?.member !== member.id) return "PARTITION_NOT_OWNED";
        if (member !== undefined && owner !== undefined && member.epoch < owner.since) return "STALE_MEMBER_EPOCH";
        if (offset < (this.offsets.get(key)?.offset ?? 0)) return "COMMIT_BEHIND";
        this.offsets.set(key, { offset, at: wall });
        return "ok";
      }),
    };
  }

  #remove(id: string, wall?: number): void {
    const before = this.members.length;
    this.members = this.members.filter((member) => member.id !== id);
    for (const [key, { member }] of [...this.owners]) if (member === id) this.owners.delete(key);
    if (before > 0 && this.members.length === 0 && wall !== undefined) this.emptySince = wall;
  }

  /** Whoever holds what is meant for another is told so; what nobody holds goes to whom it is meant for. */
  #settle({ target, epoch }: GroupState, before: number): void {
    const next = before + 1;
    const wanted = new Map<string, string | undefined>();
    for (const { topicId, owners } of target.values())
      for (const [partition, owner] of owners.entries()) wanted.set(`${topicId}:${partition}`, owner);
    const told = new Set<string>();
    for (const [key, owner] of this.owners)
      if (owner.revoking === 0 && wanted.get(key) !== owner.member) {
        owner.revoking = next;
        told.add(owner.member);
      }
    for (const [key, member] of wanted)
      if (member !== undefined && !this.owners.has(key) && this.members.some(({ id, away }) => id === member && !away)) {
        this.owners.set(key, { member, since: next, revoking: 0 });
        told.add(member);
      }
    for (const member of this.members) if (told.has(member.id)) member.epoch = next;
    if (told.size > 0) this.epoch = next;
    // A target alone raises the epoch too.
    if (epoch === next) this.epoch = next;
  }
}
