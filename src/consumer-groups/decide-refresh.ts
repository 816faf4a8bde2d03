import type { GroupCommandOf } from "./commands.ts";
import { type Decision, done, type GroupWorld } from "./decision.ts";
import { Draft } from "./draft.ts";
import { DroppedBecause } from "./facts.ts";
import type { GroupsImage } from "./image.ts";
import { reconcile } from "./reconcile.ts";
import { retarget } from "./retarget.ts";

/** Partitions may have come or gone; offsets of topics that are gone for good go too: a topic made anew under the name is another one. */
export function decideRefreshTopics(image: GroupsImage, command: GroupCommandOf<"refreshTopics">, world: GroupWorld): Decision {
  const { groupId, deleted } = command;
  if (image.group(groupId) === undefined) return done();
  const draft = new Draft(image, groupId);
  const { offsets } = draft.group;
  const gone = new Set(deleted.filter((id) => world.topics.byId(id) === undefined));
  const topics = [...gone]
    .filter((id) => offsets.of(id).length > 0)
    .map((topicId) => ({
      topicId,
      partitions: [...offsets.of(topicId).entries()].flatMap(([partition, value]) => (value === undefined ? [] : [partition])),
    }));
  if (topics.length > 0) draft.record({ kind: "offsetsDropped", because: DroppedBecause.topicDeleted, topics });
  retarget(draft, world, gone);
  reconcile(draft);
  return done(draft.facts);
}
