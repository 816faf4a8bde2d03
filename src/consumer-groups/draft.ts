import type { Fact } from "./facts.ts";
import { cloneGroup, type GroupState, newGroup } from "./group-state.ts";
import type { GroupsImage } from "./image.ts";
import { replayFact } from "./replay.ts";

/** A group as it will be once what is being decided is recorded: each fact is replayed on a copy, so that the next rests on it. */
export class Draft {
  readonly group: GroupState;
  readonly facts: Fact[] = [];
  /** Of everything that this decision tells members. */
  readonly epoch: number;

  constructor(image: GroupsImage, groupId: string) {
    const group = image.group(groupId);
    this.group = group === undefined ? newGroup(groupId, image.epochOf(groupId)) : cloneGroup(group);
    this.epoch = image.epochOf(groupId) + 1;
  }

  record(fact: Exclude<Fact, { kind: "groupDeleted" }>): void {
    replayFact(this.group, fact);
    this.facts.push(fact);
  }
}
