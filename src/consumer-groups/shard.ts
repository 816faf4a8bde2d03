import { utf8Length, writeUtf8 } from "../base/utf8.ts";
import { partitionOf } from "../records/murmur2.ts";

/** Partitions of `__groups`, for ever: a group stays where its name says (design §9). */
export const GROUPS_PARTITIONS = 16;

/** The partition of `__groups` that has the group; whoever leads it is the group's coordinator. */
export function shardOf(groupId: string): number {
  const bytes = new Uint8Array(utf8Length(groupId));
  writeUtf8(groupId, bytes, 0);
  return partitionOf(bytes, GROUPS_PARTITIONS);
}
