import { type Assignment, type AssignorInput, byId, inOrder } from "./assignor.ts";

/**
 * Each topic on its own: its subscribers, in order, get runs of neighbouring partitions, the first ones one more. Topics with equally many
 * partitions and the same subscribers are cut alike, so records with the same key in both meet at one member. Does not look at who had what.
 */
export function range({ members, topics }: AssignorInput): Assignment {
  const ordered = inOrder(members);
  return new Map(
    byId(topics).map(({ id, partitions }) => {
      const subscribers = ordered.filter((member) => member.topics.has(id));
      const owners: (string | undefined)[] = new Array(partitions).fill(undefined);
      const each = Math.floor(partitions / subscribers.length);
      const longer = partitions % subscribers.length;
      let at = 0;
      for (const [place, member] of subscribers.entries()) {
        const end = at + each + (place < longer ? 1 : 0);
        owners.fill(member.id, at, end);
        at = end;
      }
      return [id, owners];
    }),
  );
}
