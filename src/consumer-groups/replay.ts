import type { TopicId } from "../base/ids.ts";
import { invariant } from "../base/invariant.ts";
import { isAssignor } from "./assignors.ts";
import type { Fact, FactOf, Positions } from "./facts.ts";
import { type GroupState, type Holding, type MemberImage, memberOfInstance, type TargetTopic } from "./group-state.ts";

type Replay<K extends Fact["kind"]> = (group: GroupState, fact: FactOf<K>) => void;
type TopicPartitions = { readonly topicId: TopicId; readonly partitions: readonly number[] };

/** What each fact changes. Never refuses: what does not fit is a bug, and stops the process (D9). */
const replays: { readonly [K in Exclude<Fact["kind"], "groupDeleted">]: Replay<K> } = {
  memberJoined(group, fact) {
    invariant(fact.epoch > group.epoch, () => `group ${group.id} is at epoch ${group.epoch}: nobody joins at ${fact.epoch}`);
    const { memberId, replaces } = fact;
    const before = memberOfInstance(group, fact.instanceId);
    invariant(before === undefined || before.id === memberId || before.id === replaces, () => `instance ${fact.instanceId} is one member`);
    releaseAll(group, memberId);
    if (replaces !== undefined) {
      invariant(before?.id === replaces, () => `member ${replaces} has instance ${fact.instanceId}`);
      releaseAll(group, replaces);
      group.members.delete(replaces);
      group.target = renamed(group.target, replaces, memberId);
    }
    const { instanceId, rack, clientAddress, topics, topicPattern, assignor, rebalanceTimeoutMs, epoch } = fact;
    group.members.set(memberId, {
      id: memberId,
      instanceId,
      rack,
      clientAddress,
      topics,
      topicPattern,
      assignor,
      rebalanceTimeoutMs,
      joinEpoch: epoch,
      epoch,
      away: false,
    });
    group.epoch = epoch;
  },

  memberSubscribed(group, { memberId, topics, topicPattern, assignor, rebalanceTimeoutMs }) {
    group.members.set(memberId, { ...memberOf(group, memberId), topics, topicPattern, assignor, rebalanceTimeoutMs });
  },

  memberAway(group, { memberId }) {
    const member = memberOf(group, memberId);
    invariant(member.instanceId !== undefined, () => `member ${memberId} is static`);
    group.members.set(memberId, { ...member, away: true });
  },

  memberRemoved(group, { memberId, atMs }) {
    memberOf(group, memberId);
    releaseAll(group, memberId);
    group.members.delete(memberId);
    if (group.members.size === 0) group.emptySinceMs = atMs;
  },

  targetAssigned(group, { epoch, assignor, members, topics }) {
    invariant(epoch >= group.epoch && epoch > group.targetEpoch, () => `targets of group ${group.id} rise: ${group.epoch}, ${epoch}`);
    invariant(isAssignor(assignor), () => `assignor ${assignor}`);
    for (const member of members) memberOf(group, member);
    group.target = new Map(
      topics.map(({ topicId, name, owners }) => [
        topicId,
        { topicId, name, owners: owners.map((owner) => (owner === 0 ? undefined : nth(members, owner))) },
      ]),
    );
    group.assignor = assignor;
    group.targetEpoch = epoch;
    group.epoch = epoch;
  },

  revocationBegun(group, { epoch, topics }) {
    invariant(epoch >= group.epoch, () => `group ${group.id} is at epoch ${group.epoch}: nothing is revoked at ${epoch}`);
    const told = new Set<string>();
    each(topics, (topicId, partition) => {
      const holding = holdingOf(group, topicId, partition);
      invariant(holding.revoking === 0, () => `partition ${partition} of ${topicId} is not being revoked yet`);
      group.held.set(topicId, partition, { ...holding, revoking: epoch });
      group.revoking += 1;
      told.add(holding.member);
    });
    tell(group, told, epoch);
  },

  released(group, { topics }) {
    each(topics, (topicId, partition) => {
      invariant(holdingOf(group, topicId, partition).revoking > 0, () => `partition ${partition} of ${topicId} is being revoked`);
      group.held.delete(topicId, partition);
      group.revoking -= 1;
    });
  },

  granted(group, { epoch, members, topics }) {
    invariant(epoch >= group.epoch, () => `group ${group.id} is at epoch ${group.epoch}: nothing is granted at ${epoch}`);
    for (const { topicId, partitions, owners } of topics) {
      invariant(owners.length === partitions.length, "each granted partition has its owner");
      for (const [place, partition] of partitions.entries()) {
        const member = nth(members, owners[place] ?? 0);
        // Revoke before grant: the one line that C2 and C3 rest on.
        invariant(group.held.get(topicId, partition) === undefined, () => `partition ${partition} of ${topicId} is in nobody's hands`);
        invariant(group.target.get(topicId)?.owners[partition] === member, () => `partition ${partition} of ${topicId} is for ${member}`);
        group.held.set(topicId, partition, { member, since: epoch, revoking: 0 });
      }
    }
    tell(group, members, epoch);
  },

  offsetsCommitted(group, { atMs, topics }) {
    place(group, topics, atMs);
  },

  offsetsMoved(group, { atMs, topics }) {
    place(group, topics, atMs);
  },

  offsetsDropped(group, { topics }) {
    each(topics, (topicId, partition) => group.offsets.delete(topicId, partition));
  },
};

/** A group's part of a fact; `groupDeleted` is the business of whoever has the groups. */
export function replayFact(group: GroupState, fact: Exclude<Fact, { kind: "groupDeleted" }>): void {
  // The table pairs each kind with the function for it; that the pair belongs together cannot be said to the compiler.
  (replays[fact.kind] as Replay<Fact["kind"]>)(group, fact as never);
}

/** These are told something new: their epochs rise. */
function tell(group: GroupState, members: Iterable<string>, epoch: number): void {
  for (const id of members) {
    const member = memberOf(group, id);
    invariant(epoch >= member.epoch, () => `member ${id} is at epoch ${member.epoch}, not told ${epoch}`);
    group.members.set(id, { ...member, epoch });
  }
  group.epoch = epoch;
}

function place(group: GroupState, topics: readonly Positions[], committedAtMs: number): void {
  for (const { topicId, positions } of topics)
    for (const { partition, offset, term, metadata } of positions)
      group.offsets.set(topicId, partition, { offset, term, metadata, committedAtMs });
}

function releaseAll(group: GroupState, memberId: string): void {
  group.held.forEach((holding, topicId, partition) => {
    if (holding.member !== memberId) return;
    group.held.delete(topicId, partition);
    if (holding.revoking > 0) group.revoking -= 1;
  });
}

function renamed(target: GroupState["target"], from: string, to: string): ReadonlyMap<TopicId, TargetTopic> {
  return new Map([...target].map(([id, topic]) => [id, { ...topic, owners: topic.owners.map((owner) => (owner === from ? to : owner)) }]));
}

function each(topics: readonly TopicPartitions[], visit: (topicId: TopicId, partition: number) => void): void {
  for (const { topicId, partitions } of topics) for (const partition of partitions) visit(topicId, partition);
}

function nth(members: readonly string[], place: number): string {
  const member = members[place - 1];
  invariant(member !== undefined, () => `a ${place}th of ${members.length} members`);
  return member;
}

function memberOf(group: GroupState, id: string): MemberImage {
  const member = group.members.get(id);
  invariant(member !== undefined, () => `${id} is a member of group ${group.id}`);
  return member;
}

function holdingOf(group: GroupState, topicId: TopicId, partition: number): Holding {
  const holding = group.held.get(topicId, partition);
  invariant(holding !== undefined, () => `partition ${partition} of ${topicId} is in somebody's hands`);
  return holding;
}
