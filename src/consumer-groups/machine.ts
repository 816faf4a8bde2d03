import type { MillraceError } from "../base/errors.ts";
import type { GroupCommand } from "./commands.ts";
import { decide } from "./decide.ts";
import type { GroupReply, GroupWorld } from "./decision.ts";
import { decodeFacts, encodeFacts, type GroupFacts } from "./facts.ts";
import type { GroupsImage } from "./image.ts";

/** The machine as a loop of replicated machines takes it: what one command records is one `GroupFacts`, one frame. */

export type GroupsDecided = { readonly facts: readonly GroupFacts[]; readonly reply: GroupReply } | { readonly error: MillraceError };

export function decideGroups(image: GroupsImage, command: GroupCommand, world: GroupWorld): GroupsDecided {
  const decision = decide(image, command, world);
  if ("error" in decision) return decision;
  const { facts, reply } = decision;
  return { facts: facts.length === 0 ? [] : [{ groupId: command.groupId, facts }], reply };
}

/** How facts lie in the log. */
export const groupFacts = {
  encode: encodeFacts,
  decode: decodeFacts,
  /** Each fact counts as one record (design §4). */
  records: (batches: readonly GroupFacts[]): number => batches.reduce((sum, { facts }) => sum + facts.length, 0),
};
