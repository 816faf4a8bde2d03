import { MillraceError } from "../base/errors.ts";

/** Where consumer groups are kept (design §9). */
export const GROUPS_TOPIC = "__groups";

/**
 * The cluster's own topics. No version has ever let anybody make one of such a name (`refuseTopicName`), so there is none of a user's
 * from before.
 */
export function isInternalTopic(name: string): boolean {
  return name.startsWith("__");
}

/** @param doing what is asked of it: "produce to" */
export function internalTopic(doing: string, name: string): MillraceError {
  const topic = name.slice(0, 250);
  return new MillraceError("INTERNAL_TOPIC", `Cannot ${doing} ${topic}: topics that begin with __ are the cluster's own`, { topic });
}
