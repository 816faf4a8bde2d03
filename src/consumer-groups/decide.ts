import { unreachable } from "../base/invariant.ts";
import type { GroupCommand } from "./commands.ts";
import { decideCommit } from "./decide-commit.ts";
import { decideDeleteGroup, decideDeleteOffsets, decideExpireOffsets } from "./decide-deletion.ts";
import { decideExpireMember, decideHeartbeat, decideJoin, decideLeave } from "./decide-members.ts";
import { decideRefreshTopics } from "./decide-refresh.ts";
import { decideSeek } from "./decide-seek.ts";
import type { Decision, GroupWorld } from "./decision.ts";
import type { GroupsImage } from "./image.ts";

/**
 * The machine of consumer groups (design §3, §9): what one command changes, and what to answer once that is committed. Reads the image,
 * changes nothing. The coordinator calls it on its speculative image, replays the facts there when it appends them, and holds every answer,
 * refusals included, until the last index the image had then is committed.
 */
export function decide(image: GroupsImage, command: GroupCommand, world: GroupWorld): Decision {
  switch (command.kind) {
    case "join":
      return decideJoin(image, command, world);
    case "heartbeat":
      return decideHeartbeat(image, command, world);
    case "leave":
      return decideLeave(image, command, world);
    case "expireMember":
      return decideExpireMember(image, command, world);
    case "refreshTopics":
      return decideRefreshTopics(image, command, world);
    case "commitOffsets":
      return decideCommit(image, command, world);
    case "seekGroup":
      return decideSeek(image, command, world);
    case "deleteOffsets":
      return decideDeleteOffsets(image, command, world);
    case "deleteGroup":
      return decideDeleteGroup(image, command);
    case "expireOffsets":
      return decideExpireOffsets(image, command, world);
    default:
      return unreachable(command);
  }
}
