import type { MillraceError } from "../base/errors.ts";
import { isAssignor } from "./assignors.ts";
import type { JoinGroup } from "./commands.ts";
import type { GroupWorld } from "./decision.ts";
import type { GroupsImage } from "./image.ts";
import { refuseGroupName, refuseMemberName, refuseTopicNames } from "./names.ts";
import { EPOCH_MAX } from "./recovered.ts";
import { invalid, tooMany } from "./refusals.ts";
import type { GroupSettings } from "./settings.ts";

type Subscription = Pick<JoinGroup, "groupId" | "topics" | "topicPattern" | "assignor" | "rebalanceTimeoutMs">;

/** Characters of what a member says about itself for people to read. */
const TEXT_MAX = 255;

/** Ascending, each once, as they are recorded. */
export function topicNames(topics: readonly string[]): readonly string[] {
  return [...new Set(topics)].sort();
}

/** Judges what a member that wants to join sends, and whether there is room for it. */
export function refuseJoin(
  image: GroupsImage,
  command: JoinGroup,
  world: Pick<GroupWorld, "settings" | "topics">,
): MillraceError | undefined {
  const { groupId, memberId, instanceId, rack, clientAddress } = command;
  return (
    refuseGroupName(groupId) ??
    refuseMemberName("member_id", memberId) ??
    (instanceId === undefined ? undefined : refuseMemberName("instance_id", instanceId)) ??
    (rack.length > TEXT_MAX ? invalid("rack", `it has more than ${TEXT_MAX} characters`) : undefined) ??
    (clientAddress.length > TEXT_MAX ? invalid("client_address", `it has more than ${TEXT_MAX} characters`) : undefined) ??
    refuseSubscription(image, command, world) ??
    refuseMore(image, command, world.settings)
  );
}

/** Topics need not exist yet: a group may be there before they are. */
export function refuseSubscription(
  image: GroupsImage,
  { groupId, topics, topicPattern, assignor, rebalanceTimeoutMs }: Subscription,
  { settings, topics: directory }: Pick<GroupWorld, "settings" | "topics">,
): MillraceError | undefined {
  const { topicsPerMemberMax, rebalanceTimeoutMsMax } = settings;
  if (image.epochOf(groupId) >= EPOCH_MAX) return tooMany(`Group ${groupId} has used up its epochs`, "group.epochs.max");
  if (topics.length === 0 && topicPattern === "") return invalid("topics", "a member subscribes to at least one, or by a topic_pattern");
  if (topics.length > topicsPerMemberMax) {
    return tooMany(`Cannot subscribe to ${topics.length} topics: at most ${topicsPerMemberMax}`, "group.topics.per.member.max");
  }
  const error = refuseTopicNames(topics) ?? (topicPattern === "" ? undefined : directory.refusePattern(topicPattern));
  if (error !== undefined) return error;
  if (assignor !== "" && !isAssignor(assignor))
    return invalid("assignor", `${JSON.stringify(assignor.slice(0, 50))} is none; uniform and range are`);
  if (rebalanceTimeoutMs < 0 || rebalanceTimeoutMs > rebalanceTimeoutMsMax) {
    return invalid("rebalance_timeout_ms", `${rebalanceTimeoutMs} is not 0 to ${rebalanceTimeoutMsMax}`, {
      limit: "group.rebalance.timeout.max.ms",
    });
  }
  return undefined;
}

function refuseMore(image: GroupsImage, { groupId, memberId, instanceId }: JoinGroup, settings: GroupSettings): MillraceError | undefined {
  const group = image.group(groupId);
  if (group === undefined) return refuseAnotherGroup(image, groupId, settings);
  if (group.members.size < settings.membersPerGroupMax || group.members.has(memberId)) return undefined;
  // Who takes another's place adds nothing.
  if (instanceId !== undefined && [...group.members.values()].some((member) => member.instanceId === instanceId)) return undefined;
  return tooMany(`Cannot join group ${groupId}: it has ${group.members.size} members`, "group.members.max");
}

/** Whether a group of this name may be made. */
export function refuseAnotherGroup(image: GroupsImage, groupId: string, { groupsMax }: GroupSettings): MillraceError | undefined {
  if (image.groups.size < groupsMax) return undefined;
  return tooMany(`Cannot make group ${groupId}: this coordinator has ${image.groups.size}`, "groups.per.coordinator.max");
}
