import { MillraceError } from "../../../base/errors.ts";
import type { GroupCommand } from "../../../consumer-groups/commands.ts";
import { type GroupReply, type TopicDirectory, UNKNOWN_TIME } from "../../../consumer-groups/decision.ts";
import type { GroupFacts } from "../../../consumer-groups/facts.ts";
import type { GroupsImage } from "../../../consumer-groups/image.ts";
import { decideGroups, groupFacts } from "../../../consumer-groups/machine.ts";
import type { GroupSettings } from "../../../consumer-groups/settings.ts";
import type { LeaderRefusals, Machine } from "../../machine/machine.ts";

export function notCoordinator(): MillraceError {
  return new MillraceError("NOT_LEADER", "This broker does not coordinate the group; nothing was written");
}

const refusals: LeaderRefusals = {
  notLeading: notCoordinator,
  steppingDown: () => new MillraceError("LEADER_UNKNOWN", "The coordinator of the group is stepping down; nothing was written", {}, 100),
  outcomeUnknown: () =>
    new MillraceError(
      "LEADERSHIP_LOST",
      "The coordinator of the group lost its leadership while the call was being recorded: it may be recorded or not; send it again",
    ),
};

/**
 * The answer to a heartbeat that changes nothing is what most calls of groups get, and it needs no round of its own. It says what was
 * committed: that the member is there, and what it holds as of its epoch. If a later coordinator has asked back some of that since, or removed
 * the member for its silence, the member hears so as soon as its heartbeats go there, and until then its commits do: they are judged by facts.
 * No longer than an election timeout passes until the old one has noticed that nobody hears it, and the later one gave every member a full
 * session. The member knows better itself: an epoch that it was told by the later one is refused here, and a refusal is confirmed.
 * Not so one that says what the member wants from now on: answered, the member does not say it again.
 *
 * What the coordinator's timers ask is answered to nobody.
 */
function bearsStale(command: GroupCommand): boolean {
  switch (command.kind) {
    case "heartbeat":
      return command.subscription === undefined;
    case "expireMember":
    case "expireOffsets":
    case "refreshTopics":
      return true;
    default:
      return false;
  }
}

/**
 * Consumer groups as a machine of the loop (ADR 0018).
 * @param trusted the wall clock may say how old something is, so it may stamp too
 * @param heard a member sent this, on the monotonic clock, and it was not refused
 */
export function groupsMachine(
  topics: TopicDirectory,
  settings: GroupSettings,
  trusted: () => boolean,
  heard: (groupId: string, memberId: string, now: number) => void,
): Machine<GroupsImage, GroupCommand, GroupFacts, GroupReply> {
  return {
    facts: groupFacts,
    refusals,
    bearsStale,
    decide(image, command, { monotonic, wall }) {
      const decided = decideGroups(image, command, { topics, settings, wall, stampMs: trusted() ? wall : UNKNOWN_TIME });
      if ("error" in decided) return decided;
      if (command.kind === "heartbeat") heard(command.groupId, command.memberId, monotonic);
      else if (command.kind === "commitOffsets" && command.member !== undefined) heard(command.groupId, command.member.id, monotonic);
      return decided;
    },
  };
}
