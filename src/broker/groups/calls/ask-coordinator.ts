import { MillraceError } from "../../../base/errors.ts";
import { invariant } from "../../../base/invariant.ts";
import { waitUntil } from "../../../base/until.ts";
import type { GroupCommand } from "../../../consumer-groups/commands.ts";
import type { GroupReply } from "../../../consumer-groups/decision.ts";
import type { GroupState } from "../../../consumer-groups/group-state.ts";
import { groupTopics } from "../../../consumer-groups/group-topics.ts";
import type { GroupsImage } from "../../../consumer-groups/image.ts";
import { notCoordinator } from "../coordinator/groups-machine.ts";
import type { GroupCall } from "./group-method.ts";

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

/** A topic of a request, by name; with the numbers of partitions and the id when it says them. */
export interface AskedTopic {
  readonly topic: string;
  readonly topicId?: string | undefined;
  readonly partitions?: readonly number[];
}

/**
 * Asks behind a read barrier before something is said to be of nothing: a name, a partition, an id under a name.
 * @param group what its target holds is there, whether this broker has read of it or not (`groupTopics`)
 * @throws {MillraceError} of the barrier
 */
export async function topicsKnown(
  asked: Iterable<AskedTopic>,
  { parts, until }: Pick<GroupCall, "parts" | "until">,
  group?: GroupState,
): Promise<void> {
  const known = groupTopics(group, parts.topics);
  for (const { topic, topicId = "", partitions = [] } of asked) {
    const found = known.byName(topic);
    if (found !== undefined && (topicId === "" || topicId === found.id) && partitions.every((one) => one < found.partitions)) continue;
    return parts.barrier(until);
  }
}
