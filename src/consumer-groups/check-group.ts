import { type AssignorName, isAssignor } from "./assignors.ts";
import { malformed } from "./malformed.ts";

/** Numbers of partitions are below this; whatever names a higher one is damaged, and no array is made for it. */
export const PARTITIONS_MAX = 100_000;

type Column = readonly unknown[];

interface Topic {
  readonly topicId: string;
  readonly partitions: readonly number[];
}

/** A group as a snapshot has it. */
export interface StoredGroup {
  readonly id: string;
  readonly epoch: number;
  readonly targetEpoch: number;
  readonly assignor: string;
  readonly members: readonly { readonly id: string; readonly joinEpoch: number; readonly epoch: number }[];
  readonly target: readonly { readonly topicId: string; readonly owners: readonly number[] }[];
  readonly held: readonly (Topic & {
    readonly members: Column;
    readonly since: readonly number[];
    readonly revoking: readonly number[];
  })[];
  readonly offsets: readonly (Topic & {
    readonly offsets: readonly number[];
    readonly terms: Column;
    readonly committedAtMs: Column;
    readonly metadata: Column;
  })[];
}

/**
 * Judges what no checksum can: that the lists of a stored group belong together and no number in it is one that no fact can make.
 * @returns its assignor
 * @throws {GroupsMalformed}
 */
export function checkGroup(group: StoredGroup): AssignorName {
  const expect = (holds: boolean, what: string): void => {
    if (!holds) malformed(`group ${JSON.stringify(group.id)}: ${what}`);
  };
  const { epoch, assignor } = group;
  const told = (at: number): boolean => at >= 1 && at <= epoch;
  expect(group.id !== "", "it has no name");
  expect(epoch >= 0 && group.targetEpoch >= 0 && group.targetEpoch <= epoch, `epochs ${epoch}, ${group.targetEpoch}`);
  expect(ascending(group.members.map(({ id }) => id)), "members out of order");
  for (const { id, joinEpoch, epoch: at } of group.members)
    expect(told(joinEpoch) && told(at) && joinEpoch <= at, `epochs of member ${id}`);
  for (const topics of [group.target, group.held, group.offsets])
    expect(ascending(topics.map(({ topicId }) => topicId)), "topics out of order");
  for (const { owners } of group.target) expect(owners.length <= PARTITIONS_MAX, `${owners.length} partitions`);
  for (const topic of group.held) {
    const { partitions, members, since, revoking } = topic;
    expect(columns(topic, [members, since, revoking]), `what is held of ${topic.topicId}`);
    for (const [row, at] of since.entries())
      expect(told(at) && revokedSince(revoking[row] ?? 0, at, epoch), `partition ${partitions[row]}`);
  }
  for (const topic of group.offsets) {
    const { offsets, terms, committedAtMs, metadata } = topic;
    expect(columns(topic, [offsets, terms, committedAtMs, metadata]), `offsets of ${topic.topicId}`);
    expect(
      offsets.every((offset) => offset >= 0),
      `an offset of ${topic.topicId} below 0`,
    );
  }
  return isAssignor(assignor) ? assignor : malformed(`assignor ${assignor}`);
}

const revokedSince = (at: number, since: number, epoch: number): boolean => at === 0 || (at > since && at <= epoch);

function columns({ partitions }: Topic, lists: readonly Column[]): boolean {
  return (
    ascending(partitions) &&
    partitions.length > 0 &&
    (partitions[0] ?? 0) >= 0 &&
    (partitions.at(-1) ?? 0) < PARTITIONS_MAX &&
    lists.every(({ length }) => length === partitions.length)
  );
}

function ascending<T extends string | number>(keys: readonly T[]): boolean {
  return keys.every((key, place) => place === 0 || (keys[place - 1] as T) < key);
}
