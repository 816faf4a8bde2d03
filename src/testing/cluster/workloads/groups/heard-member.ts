import {
  CommitOffsetsRequest,
  CommitOffsetsResponse,
  FetchOffsetsRequest,
  FetchOffsetsResponse,
  HeartbeatRequest,
  HeartbeatResponse,
  ListOffsetsRequest,
  ListOffsetsResponse,
  type MemberHeartbeat,
  type MemberState,
} from "../../../../protocol/public.ts";
import type { WorkloadContext } from "../workload.ts";
import type { Ended, Failed } from "./calls.ts";
import type { NamedPlace } from "./changing-topic.ts";
import { noteCommit } from "./commit.ts";
import type { GroupOf } from "./groups.ts";
import type { SentBeat } from "./session-book.ts";

type Said = Ended<Uint8Array>;

/** What is written down of a call when it has ended. */
export type Note = (said: Said) => void;

/** A member of a group as it can be known from outside: what it says, what it hears, what it is done with. All of it is written down. */
export class HeardMember {
  readonly group: GroupOf;
  readonly proc: string;
  readonly #context: WorkloadContext;
  #member = "";
  #epoch = 0;
  /** What it was told to hold last, and what it said that it holds. */
  #told: readonly string[] = [];
  #owned: readonly string[] = [];
  /** What was committed when it asked, and since when; of these no record was begun with yet. */
  readonly #asked = new Map<string, { readonly tInv: number; readonly tRet: number; readonly offset: number | undefined }>();
  /** When it began to ask what it was answered last, of each partition. */
  readonly #answered = new Map<string, number>();
  readonly #starts = new Map<string, number>();
  /** How far each partition that it knows the place of is committed, and since when it knows. */
  readonly #committed = new Map<string, { readonly offset: number; readonly at: number }>();
  /** Of calls that have not ended. */
  readonly #open = new Set<Note>();

  constructor(context: WorkloadContext, group: GroupOf, proc: string) {
    this.#context = context;
    this.group = group;
    this.proc = proc;
  }

  /** @returns to be called with how the call ended; nothing is written down when the member died before */
  awaits(note: Note): Note {
    this.#open.add(note);
    return (said) => {
      if (this.#open.delete(note)) note(said);
    };
  }

  /** Its process died: nobody will ever hear how its open calls end, and each may have been carried out. */
  died(): void {
    const open = [...this.#open];
    this.#open.clear();
    for (const note of open) note({ type: "info", error: "DIED", facts: {} });
  }

  get member(): string {
    return this.#member;
  }

  /** The newest that it was told. */
  get epoch(): number {
    return this.#epoch;
  }

  /** What it takes for its own; undefined: it is no member, as far as it knows. */
  get tenure() {
    if (this.#epoch === 0) return undefined;
    const told = this.#told;
    return {
      places: told.map((name) => ({ name })),
      steady: told.length === this.#owned.length && told.every((name) => this.#owned.includes(name) && this.#committed.has(name)),
      holdOf: (group: string, name: string) => {
        const committed = group === this.group.id && told.includes(name) ? this.#committed.get(name)?.offset : undefined;
        return committed === undefined ? undefined : { committed };
      },
    };
  }

  nameOf(place: NamedPlace): string {
    return this.#context.groups.nameOf(place);
  }

  sends({ memberId, memberEpoch: epoch, owned }: MemberHeartbeat): SentBeat {
    this.#member = memberId;
    const names = owned.flatMap(({ topic, topicId, partitions }) =>
      partitions.map((partition) => this.nameOf({ topic, topicId, partition })),
    );
    if (epoch >= this.#epoch) this.#owned = names;
    return { tInv: this.#context.world.now, epoch, owned: names };
  }

  beats(request: Uint8Array): (said: Said) => void {
    const { heartbeat } = HeartbeatRequest.decode(request);
    if (heartbeat === undefined) return () => {};
    const sent = this.sends(heartbeat);
    return (said) => {
      if (!("answer" in said)) return this.notAnswered(sent, said);
      const { state } = HeartbeatResponse.decode(said.answer);
      if (state !== undefined) this.heard(sent, state, true);
    };
  }

  /** @param whole the row is of the heartbeat: else only the answer is sure */
  heard(sent: SentBeat, state: MemberState, whole: boolean): void {
    const { groups, situations, world } = this.#context;
    if (sent.epoch < 0) {
      this.#epoch = 0;
      return this.#note(sent, "ok", {});
    }
    const assignment = state.assignment.flatMap(({ topic, topicId, partitions }) =>
      partitions.map((partition) => this.nameOf({ topic, topicId, partition })),
    );
    const told = { epoch: state.memberEpoch, ...(state.assignmentChanged ? { assignment } : {}) };
    this.#note(whole ? sent : { ...sent, owned: [] }, "ok", { told }, whole);
    if (groups.coordinates(this.group.id, state.coordinatorId, world.now)) situations.saw("coordinator moved");
    if (sent.epoch === 0 && whole) {
      this.#epoch = 0;
      this.#told = [];
    }
    if (state.memberEpoch < this.#epoch) return;
    this.#epoch = state.memberEpoch;
    if (!state.assignmentChanged) return;
    for (const name of assignment) if (!this.#told.includes(name)) situations.saw("partition given to a member");
    this.#told = assignment;
  }

  notAnswered(sent: SentBeat, { type, error }: Failed): void {
    this.#note(sent, type, error === "" ? {} : { error });
  }

  #note({ tInv, epoch, owned }: SentBeat, type: "ok" | "fail" | "info", more: object, whole = true): void {
    const holds = epoch > 0 && whole ? { owned } : {};
    const row = { f: "beat" as const, proc: this.proc, group: this.group.id, member: this.#member, epoch, ...holds, ...more };
    this.#context.history.group(row, tInv, type);
  }

  commits(request: Uint8Array): (said: Said) => void {
    const tInv = this.#context.world.now;
    const { memberId: id, memberEpoch: epoch, offsets } = CommitOffsetsRequest.decode(request);
    const named = offsets.map((each) => ({ ...each, name: this.nameOf(each) }));
    const commit = { group: this.group.id, proc: this.proc, member: { id, epoch }, offsets: named };
    return (said) => {
      const ended = "answer" in said ? { answer: CommitOffsetsResponse.decode(said.answer) } : said;
      const outcomes = noteCommit(this.#context, commit, tInv, ended);
      const at = this.#context.world.now;
      for (const { name, offset } of named)
        if (outcomes.get(name) === undefined)
          this.#committed.set(name, { offset: Math.max(offset, this.#committed.get(name)?.offset ?? 0), at });
    };
  }

  asks(request: Uint8Array): (said: Said) => void {
    const { world, history } = this.#context;
    const tInv = world.now;
    const { groupId: group } = FetchOffsetsRequest.decode(request);
    return (said) => {
      if (!("answer" in said)) return;
      for (const { topic, topicId, partition, offset } of FetchOffsetsResponse.decode(said.answer).offsets) {
        const name = this.nameOf({ topic, topicId, partition });
        const found = offset === undefined ? {} : { offset };
        history.group({ f: "committed", proc: this.proc, group, partition: name, ...found }, tInv, "ok");
        // A question of when it was a member before may be answered after a newer one: it goes by that no more.
        if (tInv < (this.#answered.get(name) ?? 0)) continue;
        this.#answered.set(name, tInv);
        this.#asked.set(name, { tInv, tRet: world.now, offset });
        // What ended while it asked may be newer than what it is told.
        if ((this.#committed.get(name)?.at ?? 0) <= tInv) this.#committed.set(name, { offset: offset ?? 0, at: world.now });
      }
    };
  }

  asksForEnds(request: Uint8Array): (said: Said) => void {
    const { topic, topicId } = ListOffsetsRequest.decode(request);
    return (said) => {
      if (!("answer" in said)) return;
      for (const { partition, logStartOffset, error } of ListOffsetsResponse.decode(said.answer).partitions)
        if (error === undefined) this.#starts.set(this.nameOf({ topic, topicId, partition }), logStartOffset);
    };
  }

  /** It begins with a record; with the first one of a partition since it asked where the group is, it says where it begins. */
  begins(place: NamedPlace, from: number): void {
    const name = this.nameOf(place);
    const asked = this.#asked.get(name);
    if (asked === undefined) return;
    this.#asked.delete(name);
    const { history, groups, situations } = this.#context;
    const { tInv, tRet, offset: committed } = asked;
    const otherwise = this.#starts.get(name);
    const found = { ...(committed === undefined ? {} : { committed }), ...(otherwise === undefined ? {} : { otherwise }) };
    history.group(
      { f: "resume", proc: this.proc, group: this.group.id, member: this.#member, partition: name, from, ...found },
      tInv,
      "ok",
      tRet,
    );
    const movedAt = groups.takeMove(this.group.id);
    if (movedAt !== undefined && movedAt <= tInv) situations.saw("offsets fetched after fail-over");
  }

  /** It is done with a record that it began with at `tInv`. */
  isDone(place: NamedPlace, offset: number, tInv: number): void {
    const row = { f: "work" as const, proc: this.proc, group: this.group.id, member: this.#member, partition: this.nameOf(place) };
    this.#context.history.group({ ...row, from: offset, end: offset + 1 }, tInv, "ok");
  }
}
