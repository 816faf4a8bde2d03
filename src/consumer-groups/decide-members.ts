import type { MillraceError } from "../base/errors.ts";
import { invariant } from "../base/invariant.ts";
import type { ExpireMember, Heartbeat, JoinGroup, LeaveGroup, TopicPartitions } from "./commands.ts";
import { type Decision, done, type GroupWorld, refuse } from "./decision.ts";
import { Draft } from "./draft.ts";
import { RemovedBecause } from "./facts.ts";
import { type GroupState, type MemberImage, memberOfInstance } from "./group-state.ts";
import type { GroupsImage } from "./image.ts";
import { memberState } from "./member-state.ts";
import { reconcile } from "./reconcile.ts";
import { instanceFenced, instanceInUse, memberAway, memberFenced, unknownMember } from "./refusals.ts";
import { retarget } from "./retarget.ts";
import { refuseJoin, refuseSubscription, topicNames } from "./subscription.ts";

/**
 * A member joins. One that is there begins anew: whatever it held is released, since it says by joining that it holds nothing, and what it
 * sent before is of a former life (MEMBER_FENCED). A static member whose instance said that it would be back takes over at once what was
 * meant for it.
 */
export function decideJoin(image: GroupsImage, command: JoinGroup, world: GroupWorld): Decision {
  const { groupId, memberId, instanceId } = command;
  const group = image.group(groupId);
  const had = group === undefined ? undefined : memberOfInstance(group, instanceId);
  const error = refuseJoin(image, command, world) ?? refuseInstance(command, had);
  if (error !== undefined) return refuse(error);

  const draft = new Draft(image, groupId);
  draft.record({
    kind: "memberJoined",
    memberId,
    instanceId,
    rack: command.rack,
    clientAddress: command.clientAddress,
    topics: topicNames(command.topics),
    topicPattern: command.topicPattern,
    assignor: command.assignor,
    rebalanceTimeoutMs: command.rebalanceTimeoutMs === 0 ? world.settings.rebalanceTimeoutMs : command.rebalanceTimeoutMs,
    epoch: draft.epoch,
    replaces: had === undefined || had.id === memberId ? undefined : had.id,
  });
  retarget(draft, world);
  reconcile(draft);
  return answer(draft, memberId, 0);
}

function refuseInstance({ groupId, memberId, instanceId }: JoinGroup, had: MemberImage | undefined): MillraceError | undefined {
  if (had === undefined || instanceId === undefined || had.id === memberId || had.away) return undefined;
  return instanceInUse(groupId, instanceId, had.id);
}

/**
 * A member is there, has perhaps given partitions back, and perhaps wants other topics from now on. Any epoch of its present life will do:
 * what it is told crosses what it sends. But only what was to be given back as of that epoch is given back: a member that does not know yet
 * that it holds a partition does not say by silence that it holds it no more.
 */
export function decideHeartbeat(image: GroupsImage, command: Heartbeat, world: GroupWorld): Decision {
  const { groupId, memberId, memberEpoch, subscription, owned } = command;
  const group = image.group(groupId);
  const member = group?.members.get(memberId);
  const error = refuseMember(command, group, member, memberEpoch);
  if (error !== undefined) return refuse(error);
  if (group === undefined || member === undefined) return refuse(unknownMember(groupId, memberId));

  const topics = topicNames(subscription?.topics ?? member.topics);
  const wish = { ...member, ...subscription, topics };
  const rebalanceTimeoutMs = wish.rebalanceTimeoutMs === 0 ? world.settings.rebalanceTimeoutMs : wish.rebalanceTimeoutMs;
  const subscribed =
    topics.join() !== member.topics.join() ||
    wish.topicPattern !== member.topicPattern ||
    wish.assignor !== member.assignor ||
    rebalanceTimeoutMs !== member.rebalanceTimeoutMs;
  const released = owned === undefined || group.revoking === 0 ? [] : givenBack(group, member, memberEpoch, owned);
  const known = owned !== undefined && !ownsRightly(group, memberId, owned) ? 0 : memberEpoch;
  if (!subscribed && released.length === 0) return { facts: [], reply: { kind: "member", state: memberState(group, member, known) } };

  const refused = subscribed ? refuseSubscription(image, { ...wish, groupId, topics }, world) : undefined;
  if (refused !== undefined) return refuse(refused);
  const draft = new Draft(image, groupId);
  if (released.length > 0) draft.record({ kind: "released", topics: released });
  if (subscribed) {
    const { topicPattern, assignor } = wish;
    draft.record({ kind: "memberSubscribed", memberId, topics, topicPattern, assignor, rebalanceTimeoutMs });
    retarget(draft, world);
  }
  reconcile(draft);
  return answer(draft, memberId, known);
}

/** What the member was told to give back, at an epoch it knows of, and holds no more. */
function givenBack(group: GroupState, { id }: MemberImage, memberEpoch: number, owned: readonly TopicPartitions[]): TopicPartitions[] {
  const kept = new Map<string, Set<number>>();
  // A topic may be named once per partition.
  for (const { topicId, partitions } of owned) {
    const numbers = kept.get(topicId) ?? new Set();
    for (const partition of partitions) numbers.add(partition);
    kept.set(topicId, numbers);
  }
  const released = new Map<TopicPartitions["topicId"], number[]>();
  group.held.forEach(({ member, revoking }, topicId, partition) => {
    if (member !== id || revoking === 0 || revoking > memberEpoch || kept.get(topicId)?.has(partition) === true) return;
    const partitions = released.get(topicId);
    if (partitions === undefined) released.set(topicId, [partition]);
    else partitions.push(partition);
  });
  return [...released].map(([topicId, partitions]) => ({ topicId, partitions }));
}

/** Whether all that it says it holds is in its hands; if not it is told once more what is. */
function ownsRightly(group: GroupState, memberId: string, owned: readonly TopicPartitions[]): boolean {
  return owned.every(({ topicId, partitions }) => partitions.every((partition) => group.held.get(topicId, partition)?.member === memberId));
}

/** @param memberEpoch undefined: the call does not name one */
export function refuseMember(
  { groupId, memberId, instanceId }: Pick<Heartbeat, "groupId" | "memberId" | "instanceId">,
  group: GroupState | undefined,
  member: MemberImage | undefined,
  memberEpoch: number | undefined,
): MillraceError | undefined {
  const now = group === undefined ? undefined : memberOfInstance(group, instanceId);
  if (now !== undefined && now.id !== memberId && instanceId !== undefined) return instanceFenced(groupId, instanceId, now.id);
  if (member === undefined) return unknownMember(groupId, memberId);
  if (memberEpoch === undefined) return undefined;
  if (memberEpoch < member.joinEpoch || memberEpoch > member.epoch)
    return memberFenced(groupId, memberId, memberEpoch, [member.joinEpoch, member.epoch]);
  return member.away ? memberAway(groupId, memberId) : undefined;
}

/** For good, or, by a static member, for a while. */
export function decideLeave(image: GroupsImage, command: LeaveGroup, world: GroupWorld): Decision {
  const { groupId, memberId, instanceId, forGood } = command;
  const group = image.group(groupId);
  const member = group?.members.get(memberId);
  const error = refuseMember(command, group, member, undefined);
  if (error !== undefined) return refuse(error);
  if (forGood) return remove(image, command, world, RemovedBecause.left);
  // Without an instance id nobody could ever come back as it.
  if (member?.instanceId === undefined || instanceId === undefined) return remove(image, command, world, RemovedBecause.left);
  return done(member.away ? [] : [{ kind: "memberAway", memberId }]);
}

/** A timer of the coordinator ran out. If the member has joined again since, or has given back what it was to, nothing happens. */
export function decideExpireMember(image: GroupsImage, command: ExpireMember, world: GroupWorld): Decision {
  const { groupId, memberId, joinEpoch, revoking } = command;
  const group = image.group(groupId);
  const member = group?.members.get(memberId);
  if (group === undefined || member?.joinEpoch !== joinEpoch) return done();
  if (revoking === undefined) return remove(image, command, world, RemovedBecause.session);
  let late = false;
  group.held.forEach((holding) => {
    late ||= holding.member === memberId && holding.revoking > 0 && holding.revoking <= revoking;
  });
  return late ? remove(image, command, world, RemovedBecause.rebalance) : done();
}

function remove(
  image: GroupsImage,
  { groupId, memberId }: Pick<LeaveGroup, "groupId" | "memberId">,
  world: GroupWorld,
  because: RemovedBecause,
): Decision {
  const draft = new Draft(image, groupId);
  draft.record({ kind: "memberRemoved", memberId, because, atMs: world.stampMs });
  retarget(draft, world);
  reconcile(draft);
  return done(draft.facts);
}

function answer(draft: Draft, memberId: string, known: number): Decision {
  const member = draft.group.members.get(memberId);
  invariant(member !== undefined, () => `${memberId} is a member of group ${draft.group.id}`);
  return { facts: draft.facts, reply: { kind: "member", state: memberState(draft.group, member, known) } };
}
