import type { LogIndex } from "../base/ids.ts";
import { invariant } from "../base/invariant.ts";
import type { Fact, GroupFacts } from "./facts.ts";
import { cloneGroup, type GroupState, newGroup } from "./group-state.ts";
import { emptied, epochAfterRecovery } from "./recovered.ts";
import { replayFact } from "./replay.ts";
import { decodeImage, encodeImage, type ImageParts, imageSlices } from "./snapshot.ts";

/** Facts that a group can begin with. */
const FIRST: ReadonlySet<Fact["kind"]> = new Set(["memberJoined", "offsetsCommitted", "offsetsMoved"]);

/**
 * The groups of one partition of `__groups` as its log tells them (design §9): equal facts in equal order give equal images, with equal
 * `hash()`, on every broker (C6). Changed only by `replay`.
 *
 * Every replica keeps one of *committed* facts. The coordinator keeps a second, speculative one: it replays facts when it appends them,
 * so that the next command is decided on them, and holds every answer, also a refusal, until what it rests on is committed. There is no
 * rollback: when an append is refused or leadership is lost, the speculative image is thrown away and made anew by `clone()` of the
 * committed one. A clone costs an entry per group; a group itself is copied when one of the two writes to it.
 */
export class GroupsImage {
  #groups: Map<string, GroupState>;
  /** Groups no clone can see; undefined: all of them. */
  #own: Set<string> | undefined;
  #epochFloor: number;
  #version: LogIndex;
  /** Number of the newest recovery of the log that it was told of; 0: none. */
  #recovery: number;

  private constructor(parts: ImageParts, own?: Set<string>) {
    this.#recovery = parts.recovery;
    this.#groups = parts.groups;
    this.#epochFloor = parts.epochFloor;
    this.#version = parts.version;
    this.#own = own;
  }

  static empty(): GroupsImage {
    return new GroupsImage({ groups: new Map(), epochFloor: 0, version: 0 as LogIndex, recovery: 0 });
  }

  /** @throws {GroupsMalformed} when the bytes are no image */
  static restore(snapshot: Uint8Array): GroupsImage {
    return new GroupsImage(decodeImage(snapshot));
  }

  /** Index of the last fact replayed. */
  get version(): LogIndex {
    return this.#version;
  }

  get groups(): ReadonlyMap<string, GroupState> {
    return this.#groups;
  }

  group(id: string): GroupState | undefined {
    return this.#groups.get(id);
  }

  /** The epoch that the next thing told in the group must exceed; a group that was deleted and made again goes on above its old one. */
  epochOf(id: string): number {
    return this.#groups.get(id)?.epoch ?? this.#epochFloor;
  }

  /** @param index of the frame the facts lie in; decisions of one frame share it */
  replay({ groupId, facts }: GroupFacts, index: LogIndex): void {
    invariant(index >= this.#version, () => `facts at index ${index} come after ${this.#version}`);
    this.#version = index;
    for (const fact of facts) {
      if (fact.kind !== "groupDeleted") {
        replayFact(this.#writable(groupId, fact), fact);
        continue;
      }
      const group = this.#groups.get(groupId);
      invariant(group?.members.size === 0, () => `group ${groupId} is there and has no members`);
      this.#epochFloor = Math.max(this.#epochFloor, group.epoch);
      this.#groups.delete(groupId);
    }
  }

  /** The log has lost its end (`epochAfterRecovery`). @param atMs as its log says, for replay has no clock */
  recovered(recovery: number, atMs: number, index: LogIndex): void {
    if (recovery <= this.#recovery) return;
    this.#recovery = recovery;
    this.#version = index;
    this.#epochFloor = epochAfterRecovery(this.#groups.values(), this.#epochFloor);
    for (const [id, group] of this.#groups) {
      this.#groups.set(id, emptied(group, this.#epochFloor, atMs));
      this.#own?.add(id);
    }
  }

  clone(): GroupsImage {
    this.#own = new Set();
    return new GroupsImage({ ...this.#parts, groups: new Map(this.#groups) }, new Set());
  }

  /** Whoever holds this image sees another state from now on: that of a snapshot. @throws {GroupsMalformed} when the bytes are none */
  become(snapshot: Uint8Array): void {
    const { groups, epochFloor, version, recovery } = decodeImage(snapshot);
    this.#recovery = recovery;
    this.#groups = groups;
    this.#epochFloor = epochFloor;
    this.#version = version;
    this.#own = undefined;
  }

  snapshot(): Uint8Array {
    return encodeImage(this.#parts);
  }

  /** The snapshot in slices of about a millisecond; what is replayed meanwhile is not in it. */
  slices(): Generator<Uint8Array> {
    return imageSlices(this.clone().#parts);
  }

  /** 16 hex digits over all that facts made; equal on all brokers at equal `version`. Walks everything. */
  hash(): string {
    let high = 0x811c9dc5;
    let low = 0x01234567;
    for (const byte of this.snapshot()) {
      high = Math.imul(high ^ byte, 0x01000193);
      low = Math.imul(low ^ byte, 0x01000193) + 1;
    }
    return `${(high >>> 0).toString(16).padStart(8, "0")}${(low >>> 0).toString(16).padStart(8, "0")}`;
  }

  get #parts(): ImageParts {
    return { groups: this.#groups, epochFloor: this.#epochFloor, version: this.#version, recovery: this.#recovery };
  }

  #writable(groupId: string, { kind }: Fact): GroupState {
    let group = this.#groups.get(groupId);
    if (group !== undefined && (this.#own === undefined || this.#own.has(groupId))) return group;
    invariant(group !== undefined || FIRST.has(kind), () => `group ${groupId} does not begin with ${kind}`);
    group = group === undefined ? newGroup(groupId, this.#epochFloor) : cloneGroup(group);
    this.#groups.set(groupId, group);
    this.#own?.add(groupId);
    return group;
  }
}
