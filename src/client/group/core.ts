import type { ErrorCode, MillraceError } from "../../base/errors.ts";
import { unreachable } from "../../base/invariant.ts";
import type { CommitOutcome, GroupEffect, GroupInput, GroupPosition } from "./steps.ts";
import { type GroupPartition, keyOf, nameOf, Tenure } from "./tenure.ts";

/** Positions in one commit; the coordinator takes as many (`group.offsets.per.commit.max`). */
export const COMMIT_POSITIONS_MAX = 1_000;

/** What this member believes to hold it does not hold: its life is over, and a new one may begin. */
const NOT_OURS: ReadonlySet<ErrorCode> = new Set(["UNKNOWN_MEMBER", "MEMBER_FENCED", "PARTITION_NOT_OWNED", "STALE_MEMBER_EPOCH"]);

interface Commit {
  readonly life: number;
  readonly positions: readonly GroupPosition[];
  readonly tenures: readonly Tenure[];
}

/**
 * What one member of a group knows and decides (design §9, §10): its epoch, the partitions in its hands, how far each is processed
 * and committed. Pure: `step` takes what happened, `drain` says what to do, there is no clock and nothing to wait for.
 *
 * - It names the newest epoch it was told of and lists all it holds. A partition leaves that list only when no handler is at work on it
 *   and what was processed is committed: so the coordinator never grants what somebody here still works on. There is no time limit for
 *   that in here; the coordinator has one, and removes a member that does not keep to it.
 * - A member that is fenced or unknown gives up everything at once and joins again, as another life of the same member. Whatever belongs
 *   to a former life or tenure changes nothing when it comes in.
 * - One commit of a life is under way at a time. One of unknown outcome is sent again with the same offsets or later ones: commits go
 *   forwards only, so a late first one does no harm.
 */
export class GroupCore {
  readonly #autoCommit: boolean;
  readonly #tenures = new Map<string, Tenure>();
  readonly #byId = new Map<number, Tenure>();
  /** Those on their way out: few, of perhaps thousands. */
  readonly #leavers = new Set<Tenure>();
  /** Given to it while one of the same topic name and number is on its way out: the application knows partitions by these. */
  #waiting: readonly GroupPartition[] = [];
  readonly #commits = new Map<number, Commit>();
  #effects: GroupEffect[] = [];
  #phase: "idle" | "member" | "lost" | "closing" | "left" = "idle";
  #life = 0;
  #epoch = 0;
  #nextTenure = 1;
  #nextCommit = 1;
  #beats = false;
  #commitsNow = false;
  /** The last commit came to nothing: the next one waits until it is due. */
  #commitsLater = false;
  /** A partition is given up: the others are given back, and another member begins. */
  #begins = false;

  /** @param autoCommit whether everything that is processed is to be committed, or what the application says */
  constructor(autoCommit = true) {
    this.#autoCommit = autoCommit;
  }

  /** 0: it has not joined, as far as it knows. */
  get memberEpoch(): number {
    return this.#epoch;
  }
  get tenures(): Iterable<Tenure> {
    return this.#tenures.values();
  }
  get isOver(): boolean {
    return this.#phase === "left";
  }

  find(partition: Pick<GroupPartition, "topicId" | "partition">): Tenure | undefined {
    return this.#tenures.get(keyOf(partition));
  }

  step(input: GroupInput): void {
    switch (input.kind) {
      case "join":
        return this.#join();
      case "heard":
        return this.#heard(input.life, input.memberEpoch, input.assignment);
      case "refused":
        if (input.life === this.#life) this.#lose(input.error);
        return;
      case "located":
        return this.#located(input);
      case "moved":
        return this.#moved(input);
      case "took":
      case "idle":
        return this.#setBusy(input.tenure, input.kind === "took");
      case "entered":
        this.#byId.get(input.tenure)?.enter(input.offset, input.term);
        return;
      case "processed":
        this.#byId.get(input.tenure)?.advance(input.offset, this.#autoCommit);
        return;
      case "told":
        return this.#told(input.tenures);
      case "want":
        this.#byId.get(input.tenure)?.want(input.offset);
        return;
      case "commitDue":
        this.#commitsNow = true;
        this.#commitsLater = false;
        return;
      case "commitAnswered":
        return this.#commitAnswered(input.id, input.outcome);
      case "giveUp":
        return this.#giveUp(input.tenure, input.error);
      case "close":
        this.#begins = false;
        return this.#close();
      case "abandon":
        return this.#abandon();
      default:
        return unreachable(input);
    }
  }

  /** @returns what to do, each once, in order */
  drain(): readonly GroupEffect[] {
    this.#moveOn();
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }

  #join(): void {
    if (this.#phase !== "idle" && this.#phase !== "lost") return;
    this.#phase = "member";
    this.#life += 1;
    this.#epoch = 0;
    this.#beats = true;
    this.#waiting = [];
  }

  #heard(life: number, memberEpoch: number, assignment: readonly GroupPartition[] | undefined): void {
    const isMember = this.#phase === "member" || this.#phase === "closing";
    // What is told crosses what is said; older news than what is known says nothing.
    if (life !== this.#life || !isMember || memberEpoch < this.#epoch) return;
    if (memberEpoch > this.#epoch) this.#beats = true;
    this.#epoch = memberEpoch;
    if (assignment !== undefined) this.#hold(assignment);
  }

  #hold(assignment: readonly GroupPartition[]): void {
    const wanted = new Map(assignment.map((partition) => [keyOf(partition), partition]));
    for (const tenure of this.#tenures.values()) {
      if (!wanted.has(tenure.key)) this.#halt(tenure, "revoked");
      // Whoever leaves takes nothing more, and is told of what it holds as before until it has left.
      else if (tenure.leaving && this.#phase !== "closing") tenure.again = true;
    }
    if (this.#phase === "closing") return;
    this.#waiting = [...wanted.values()].filter((partition) => !this.#tenures.has(keyOf(partition)));
    this.#take(this.#free());
  }

  /** Of `#waiting` those that need not wait any more. */
  #free(): readonly GroupPartition[] {
    if (this.#waiting.length === 0 || this.#phase !== "member") return [];
    const former = new Set([...this.#leavers].map(nameOf));
    const waiting = this.#waiting;
    this.#waiting = waiting.filter((partition) => former.has(nameOf(partition)));
    return waiting.filter((partition) => !former.has(nameOf(partition)));
  }

  #take(partitions: readonly GroupPartition[]): void {
    if (partitions.length === 0) return;
    const tenures = partitions.map((partition) => new Tenure(this.#nextTenure++, partition, this.#epoch));
    for (const tenure of tenures) {
      this.#tenures.set(tenure.key, tenure);
      this.#byId.set(tenure.id, tenure);
    }
    this.#beats = true;
    this.#effects.push({ kind: "assigned", tenures });
  }

  #located({ tenure: id, offset, term, committed, keep }: Extract<GroupInput, { kind: "located" }>): void {
    const tenure = this.#byId.get(id);
    if (tenure?.stage !== "locating") return;
    tenure.locate(offset, term, committed, keep);
    tenure.stage = "running";
    if (tenure.due !== undefined) this.#commitsNow = true;
    this.#effects.push({ kind: "begin", tenure, offset, term });
  }

  #moved({ tenure: id, offset, term }: Extract<GroupInput, { kind: "moved" }>): void {
    const tenure = this.#byId.get(id);
    if (tenure?.stage !== "running" || tenure.busy) return;
    tenure.move(offset, term);
    this.#commitsNow = true;
    this.#effects.push({ kind: "begin", tenure, offset, term });
  }

  #setBusy(id: number, busy: boolean): void {
    const tenure = this.#byId.get(id);
    if (tenure !== undefined) tenure.busy = busy;
  }

  #halt(tenure: Tenure, cause: "revoked" | "closed"): void {
    tenure.again = false;
    if (tenure.leaving) return;
    tenure.stage = "draining";
    this.#leavers.add(tenure);
    this.#effects.push({ kind: "halt", tenure, cause, error: undefined });
  }

  #told(ids: readonly number[]): void {
    for (const id of ids) {
      const tenure = this.#byId.get(id);
      if (tenure?.stage === "telling") tenure.stage = "settling";
    }
  }

  /**
   * Everything is gone at once: whoever has it now must not be disturbed, and nothing of it may be said to be ours.
   * @param said that a commit is refused was the news
   */
  #lose(error: MillraceError, said = false): void {
    if (this.#phase === "left" || this.#phase === "lost" || this.#phase === "idle") return;
    const tenures = [...this.#tenures.values()];
    for (const tenure of tenures) if (!tenure.leaving || tenure.busy) this.#effects.push({ kind: "halt", tenure, cause: "lost", error });
    // Somebody else processes these again. One more commit brings the coordinator's own word for that; whatever was under way may take
    // long to come to nothing, and is not waited for.
    for (const [id, { life }] of this.#commits) if (life === this.#life) this.#commits.delete(id);
    if (!said) this.#commit(tenures);
    for (const tenure of tenures) tenure.lostBy = error;
    this.#tenures.clear();
    this.#byId.clear();
    this.#leavers.clear();
    this.#epoch = 0;
    this.#beats = false;
    const closing = this.#phase === "closing" && !this.#begins;
    this.#begins = false;
    this.#phase = "lost";
    // Of those that are on the last of their way out the application was told that it gives them back: they are told of once.
    const untold = tenures.filter(({ stage }) => stage !== "telling" && stage !== "settling");
    this.#effects.push({ kind: "lost", tenures: untold, error });
    if (closing) this.#leave();
    else this.#effects.push(NOT_OURS.has(error.code) ? { kind: "again" } : { kind: "failed", error });
  }

  /** @returns whether something was sent */
  #commit(tenures: Iterable<Tenure>): boolean {
    const positions: GroupPosition[] = [];
    const sent: Tenure[] = [];
    for (const tenure of tenures) {
      const offset = tenure.due;
      if (offset === undefined) continue;
      if (positions.length === COMMIT_POSITIONS_MAX) {
        this.#commitsNow = true;
        break;
      }
      const { topic, topicId, partition } = tenure;
      positions.push({ topic, topicId, partition, offset, term: tenure.termBefore(offset) });
      sent.push(tenure);
      tenure.sent(offset);
    }
    if (positions.length === 0) return false;
    const id = this.#nextCommit++;
    this.#commits.set(id, { life: this.#life, positions, tenures: sent });
    this.#effects.push({ kind: "commit", id, memberEpoch: this.#epoch, positions });
    return true;
  }

  #commitAnswered(id: number, outcome: CommitOutcome): void {
    const commit = this.#commits.get(id);
    if (commit === undefined) return;
    this.#commits.delete(id);
    if (outcome.kind === "unknown") {
      this.#commitsLater = true;
      return;
    }
    if (outcome.kind === "refused") return this.#commitFailed(commit, outcome.error);
    const refused = new Map(outcome.refused.map(({ at, error }) => [at, error]));
    let notOurs: MillraceError | undefined;
    const positions = new Map<MillraceError, GroupPosition[]>();
    for (const [at, tenure] of commit.tenures.entries()) {
      const position = commit.positions[at] as GroupPosition;
      const error = refused.get(at);
      if (error === undefined) {
        tenure.acknowledged(position.offset);
        continue;
      }
      if (error.retriable) this.#commitsLater = true;
      if (error.retriable || (error.code === "COMMIT_BEHIND" && tenure.behind(Number(error.metadata["committed_offset"] ?? 0)))) continue;
      if (NOT_OURS.has(error.code)) notOurs ??= error;
      else if (error.code === "OFFSET_OUT_OF_RANGE") {
        if (!this.#isBeyond(tenure, position.offset, error)) continue;
      } else if (error.code !== "COMMIT_BEHIND") tenure.frozen = error;
      positions.set(error, [position]);
    }
    for (const [error, each] of positions) this.#effects.push({ kind: "commitRefused", error, positions: each });
    if (notOurs !== undefined && commit.life === this.#life) this.#lose(notOurs, true);
  }

  #commitFailed(commit: Commit, error: MillraceError): void {
    if (error.retriable) {
      this.#commitsLater = true;
      return;
    }
    this.#effects.push({ kind: "commitRefused", error, positions: commit.positions });
    if (commit.life !== this.#life) return;
    if (NOT_OURS.has(error.code) || error.code === "INSTANCE_FENCED") return this.#lose(error, true);
    for (const tenure of commit.tenures) tenure.frozen = error;
  }

  /**
   * A new leader may not know yet how far its log is committed, and a log that lost its end is found out by fetching, which moves the tenure:
   * so the commit is made again when it is due. What is on its way out does not wait for that. @returns whether that is news
   */
  #isBeyond(tenure: Tenure, offset: number, error: MillraceError): boolean {
    if (tenure.leaving) tenure.frozen = error;
    else this.#commitsLater = true;
    return tenure.beyond(offset, error);
  }

  #close(): void {
    // A member that was fenced may still be one, at an epoch it never heard of.
    if (this.#phase === "idle" || this.#phase === "lost") return this.#leave();
    if (this.#phase !== "member") return;
    this.#phase = "closing";
    for (const tenure of this.#tenures.values()) this.#halt(tenure, this.#begins ? "revoked" : "closed");
  }

  /** Its handler does not come back. Only by leaving a member lets go of what it was not asked for: so it gives back the others, and leaves. */
  #giveUp(id: number, error: MillraceError): void {
    const tenure = this.#byId.get(id);
    if (tenure === undefined) return;
    this.#effects.push({ kind: "halt", tenure, cause: "lost", error });
    this.#commit([tenure]);
    tenure.lostBy = error;
    this.#forget(tenure);
    this.#effects.push({ kind: "lost", tenures: [tenure], error });
    if (this.#phase !== "member") return;
    this.#begins = true;
    this.#close();
  }

  #abandon(): void {
    if (this.#phase === "left") return;
    this.#begins = false;
    for (const tenure of this.#tenures.values())
      if (!tenure.leaving) this.#effects.push({ kind: "halt", tenure, cause: "closed", error: undefined });
    this.#tenures.clear();
    this.#byId.clear();
    this.#leavers.clear();
    this.#leave();
  }

  #leave(): void {
    this.#beats = false;
    if (this.#life > 0) this.#effects.push({ kind: "leave", life: this.#life, forGood: this.#begins });
    this.#phase = this.#begins ? "lost" : "left";
    this.#epoch = 0;
    this.#effects.push(this.#begins ? { kind: "begins" } : { kind: "left" });
    this.#begins = false;
  }

  /** Takes every partition as far on its way out as it may go, then says what has changed. */
  #moveOn(): void {
    const quiet = [...this.#leavers].filter((tenure) => tenure.stage === "draining" && !tenure.busy);
    for (const tenure of quiet) tenure.stage = "telling";
    if (quiet.length > 0) this.#effects.push({ kind: "revoked", tenures: quiet });
    this.#release();
    this.#maybeCommit();
    if (this.#phase === "closing" && this.#tenures.size === 0) return this.#leave();
    if (!this.#beats) return;
    this.#beats = false;
    const owned = [...this.#tenures.values()].map(({ topic, topicId, partition }) => ({ topic, topicId, partition }));
    this.#effects.push({ kind: "beat", life: this.#life, memberEpoch: this.#epoch, owned });
  }

  #release(): void {
    const again: Tenure[] = [];
    for (const tenure of this.#leavers) {
      if (tenure.stage !== "settling" || tenure.due !== undefined) continue;
      this.#forget(tenure);
      this.#beats = true;
      if (tenure.again) again.push(tenure);
    }
    this.#take([...again, ...this.#free()]);
  }

  #forget(tenure: Tenure): void {
    this.#tenures.delete(tenure.key);
    this.#byId.delete(tenure.id);
    this.#leavers.delete(tenure);
  }

  #maybeCommit(): void {
    if (this.#phase !== "member" && this.#phase !== "closing") return;
    // Before the epoch is known nothing is held.
    if (this.#epoch === 0) return;
    for (const { life } of this.#commits.values()) if (life === this.#life) return;
    const settling = [...this.#leavers].filter(({ stage }) => stage === "settling");
    if (this.#commitsLater || (!this.#commitsNow && settling.length === 0)) return;
    const all = this.#commitsNow;
    this.#commitsNow = false;
    // What is on its way out goes first.
    this.#commit(all ? [...settling, ...[...this.#tenures.values()].filter(({ stage }) => stage !== "settling")] : settling);
  }
}
