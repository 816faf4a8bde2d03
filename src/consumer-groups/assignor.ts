import type { TopicId } from "../base/ids.ts";

/** A member as an assignor sees it. */
export interface AssignorMember {
  readonly id: string;
  /** Decides between equals: the instance id of a static member, so that its restart under another member id moves nothing. */
  readonly order: string;
  /** Those of its topics that exist. */
  readonly topics: ReadonlySet<TopicId>;
}

export interface AssignorTopic {
  readonly id: TopicId;
  readonly partitions: number;
}

/** Owner of each partition of each topic, by number; undefined: nobody subscribes to the topic. */
export type Assignment = ReadonlyMap<TopicId, readonly (string | undefined)[]>;

export interface AssignorInput {
  readonly members: readonly AssignorMember[];
  /** All that some member subscribes to; others get no owner. */
  readonly topics: readonly AssignorTopic[];
  /** What the group wanted so far: may name members and topics that are gone. */
  readonly previous: Assignment;
}

/**
 * Who is to have which partition. A pure function of what is in the input, not of its order: every coordinator comes to the same.
 * Every partition of a topic somebody subscribes to has exactly one owner, and that one subscribes to it.
 */
export type Assignor = (input: AssignorInput) => Assignment;

/** By order, then by id, in code units. */
export function inOrder(members: readonly AssignorMember[]): readonly AssignorMember[] {
  return [...members].sort((a, b) => compare(a.order, b.order) || compare(a.id, b.id));
}

export function byId(topics: readonly AssignorTopic[]): readonly AssignorTopic[] {
  return [...topics].sort((a, b) => compare(a.id, b.id));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
