import { MillraceError } from "../../../base/errors.ts";
import { invariant } from "../../../base/invariant.ts";
import { type Until, waitUntil } from "../../../base/until.ts";
import type { GroupCommand } from "../../../consumer-groups/commands.ts";
import type { GroupReply } from "../../../consumer-groups/decision.ts";
import type { GroupsImage } from "../../../consumer-groups/image.ts";
import { notCoordinator } from "../coordinator/groups-machine.ts";
import type { GroupCall, GroupCallParts } from "./group-method.ts";

/** Decides a command and waits until it is committed. @throws {MillraceError} */
export async function decided<K extends GroupReply["kind"]>(
  { shard, until, parts }: GroupCall,
  command: GroupCommand,
  kind: K,
): Promise<Extract<GroupReply, { kind: K }>> {
  const late = (): MillraceError =>
    new MillraceError("REQUEST_TIMED_OUT", "The deadline passed before the call was recorded; it may be yet: send it again");
  const reply = await waitUntil<GroupReply>(parts.clock, until, late, (done) =>
    shard.leader.submit(command, (answer) => done("error" in answer ? answer.error : answer.reply)),
  );
  invariant(reply.kind === kind, () => `${command.kind} is answered ${kind}: got ${reply.kind}`);
  return reply as Extract<GroupReply, { kind: K }>;
}

/** The committed image behind everything that was answered when this was called. @throws {MillraceError} NOT_LEADER, DEADLINE_PASSED */
export function imageNow({ shard, until, parts }: GroupCall): Promise<GroupsImage> {
  const late = (): MillraceError => new MillraceError("DEADLINE_PASSED", "The deadline passed before the coordinator was confirmed");
  return waitUntil<GroupsImage>(parts.clock, until, late, (done) => shard.leader.read(shard, (image) => done(image ?? notCoordinator())));
}

/** Asks behind a read barrier before a name is said to be of nothing. @throws {MillraceError} */
export async function topicsKnown(names: Iterable<string>, parts: GroupCallParts, until: Until): Promise<void> {
  for (const name of names) if (parts.topics.byName(name) === undefined) return parts.barrier(until);
}
