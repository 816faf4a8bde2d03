import type { MillraceError } from "../../../base/errors.ts";
import type { MemberState } from "../../../consumer-groups/decision.ts";
import type { GroupsImage } from "../../../consumer-groups/image.ts";
import { memberState } from "../../../consumer-groups/member-state.ts";
import { memberAway, memberFenced, unknownMember } from "../../../consumer-groups/refusals.ts";

/** What a member is to be told, or why it is none any more. */
export type MemberNews = MemberState | MillraceError;

interface Watch {
  /** Epoch of what the member was told last. */
  readonly known: number;
  readonly done: (news: MemberNews) => void;
}

/**
 * Who waits to hear of changes of a member: the sessions of this broker and, by a held call, those of others. They hear in the turn in
 * which a change is replayed, which is when it is committed, and nothing that is not.
 */
export class MemberWatches {
  /** By group, then member. */
  readonly #groups = new Map<string, Map<string, Set<Watch>>>();

  /** @param image committed @returns forgets who asked */
  watch(image: GroupsImage, groupId: string, memberId: string, known: number, done: (news: MemberNews) => void): () => void {
    const news = newsOf(image, groupId, memberId, known);
    if (news !== undefined) {
      done(news);
      return () => {};
    }
    const watch: Watch = { known, done };
    const members = this.#groups.get(groupId) ?? new Map<string, Set<Watch>>();
    this.#groups.set(groupId, members);
    const watches = members.get(memberId) ?? new Set<Watch>();
    members.set(memberId, watches);
    watches.add(watch);
    return () => this.#forget(groupId, memberId, watch);
  }

  get size(): number {
    let size = 0;
    for (const members of this.#groups.values()) for (const watches of members.values()) size += watches.size;
    return size;
  }

  /** Facts of the group were replayed. */
  changed(image: GroupsImage, groupId: string): void {
    const members = this.#groups.get(groupId);
    if (members === undefined) return;
    for (const [memberId, watches] of [...members])
      for (const watch of [...watches]) {
        const news = newsOf(image, groupId, memberId, watch.known);
        if (news === undefined) continue;
        this.#forget(groupId, memberId, watch);
        watch.done(news);
      }
  }

  changedAll(image: GroupsImage): void {
    for (const groupId of [...this.#groups.keys()]) this.changed(image, groupId);
  }

  /** Nobody is told anything here any more. */
  end(why: MillraceError): void {
    const groups = [...this.#groups.values()];
    this.#groups.clear();
    for (const members of groups) for (const watches of members.values()) for (const { done } of watches) done(why);
  }

  #forget(groupId: string, memberId: string, watch: Watch): void {
    const members = this.#groups.get(groupId);
    const watches = members?.get(memberId);
    if (members === undefined || watches?.delete(watch) !== true || watches.size > 0) return;
    members.delete(memberId);
    if (members.size === 0) this.#groups.delete(groupId);
  }
}

function newsOf(image: GroupsImage, groupId: string, memberId: string, known: number): MemberNews | undefined {
  const group = image.group(groupId);
  const member = group?.members.get(memberId);
  if (group === undefined || member === undefined) return unknownMember(groupId, memberId);
  if (known < member.joinEpoch || known > member.epoch) return memberFenced(groupId, memberId, known, [member.joinEpoch, member.epoch]);
  if (member.away) return memberAway(groupId, memberId);
  return member.epoch > known ? memberState(group, member, known) : undefined;
}
