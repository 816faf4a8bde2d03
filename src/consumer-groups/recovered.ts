import { type GroupState, newGroup } from "./group-state.ts";

/**
 * Epochs are i32 on the wire and in the log. Nobody joins or asks for other topics above this; what is left is for those that leave, and
 * takes two thousand million joins to reach.
 */
export const EPOCH_MAX = 2 ** 31 - 2 ** 24;
/** No log has ever lost so many entries at its end, and each entry takes one epoch of a group at most. */
const EPOCH_JUMP = 2 ** 24;

/**
 * The log of these groups has lost its end (ADR 0014): what was told to members there is told to nobody, yet they know of it, and a database may
 * have compared fencing tokens of it. So no epoch that could have been given out is given out again: the next one of any group is above
 * all of them, also that of a group that was deleted there and made again, above what any other had. Nobody is a member any more, for
 * who is to say which of the two histories a member has read; everybody joins again. Committed offsets stay.
 *
 * @returns below every epoch that is told from now on
 */
export function epochAfterRecovery(groups: Iterable<GroupState>, epochFloor: number): number {
  let highest = epochFloor;
  for (const { epoch } of groups) highest = Math.max(highest, epoch);
  // At the end nobody may join at all any more, which repeats nothing either.
  return Math.min(EPOCH_MAX, highest + EPOCH_JUMP);
}

/** The group without its members. @param atMs when it says that it lost them */
export function emptied({ id, assignor, members, offsets, emptySinceMs }: GroupState, epoch: number, atMs: number): GroupState {
  return { ...newGroup(id, epoch), assignor, offsets: offsets.clone(), emptySinceMs: members.size > 0 ? atMs : emptySinceMs };
}
