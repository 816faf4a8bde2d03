import type { MillraceError } from "../../base/errors.ts";
import { invariant } from "../../base/invariant.ts";

/** A partition as the coordinator names it. */
export interface GroupPartition {
  readonly topic: string;
  readonly topicId: string;
  readonly partition: number;
}

/** Where a partition stands on its way through this member's hands. */
export type TenureStage =
  /** Granted; what is committed of it is being asked for. */
  | "locating"
  | "running"
  /** To be given back: nothing new is begun, what was begun ends. */
  | "draining"
  /** Nobody works on it; the application is being told. */
  | "telling"
  /** Its last commit is under way. */
  | "settling";

/**
 * The time one partition is in the hands of this member, and how far it came. Records are processed one after the other, so what is
 * done is one number: no offset above `processed` is ever committed, and nothing below it was left out.
 */
export class Tenure implements GroupPartition {
  /** Never used twice in one process: what comes in late for an earlier tenure of the same partition finds nobody. */
  readonly id: number;
  readonly topic: string;
  readonly topicId: string;
  readonly partition: number;
  /** Member epoch at which this member heard that it holds it: with the offset a fencing token that never goes back (ADR 0017). */
  readonly epoch: number;
  stage: TenureStage = "locating";
  /** A handler may be at work on it. */
  busy = false;
  /** It was granted once more while it was being given back. */
  again = false;
  /** Why nothing more of it can be committed, for example because its topic is deleted. */
  frozen: MillraceError | undefined;
  /** Why it is not in the hands of this member any more, where that came unasked. */
  lostBy: MillraceError | undefined;
  /** A commit that the log did not bear out: the broker it was judged by may be behind, or the log may have lost its end. It is tried again. */
  #refused: { readonly offset: number; readonly error: MillraceError } | undefined;
  #processed = -1;
  #committed = -1;
  #wanted = -1;
  /** Highest offset of any commit that was sent. */
  #sent = -1;
  /** Terms of its records, ascending: each from an offset on, up to the next. -1: not known. None above what is committed is left out. */
  #terms: { readonly from: number; readonly term: number }[] = [];

  constructor(id: number, { topic, topicId, partition }: GroupPartition, epoch: number) {
    this.id = id;
    this.topic = topic;
    this.topicId = topicId;
    this.partition = partition;
    this.epoch = epoch;
  }

  get key(): string {
    return keyOf(this);
  }

  /** The next offset to be processed; -1: not located. */
  get processed(): number {
    return this.#processed;
  }

  /** The next offset as the group has it, as far as is known; -1: nothing is committed. */
  get committed(): number {
    return this.#committed;
  }

  /** The offset to commit, or undefined when there is nothing to. */
  get due(): number | undefined {
    return this.frozen !== undefined || this.#wanted <= this.#committed ? undefined : this.#wanted;
  }

  get leaving(): boolean {
    return this.stage === "draining" || this.stage === "telling" || this.stage === "settling";
  }

  /**
   * @param term of the record before `offset`; undefined: not known
   * @param committed whether `offset` is what the group has committed
   * @param keep the place itself is worth a commit: found again, it would be another
   */
  locate(offset: number, term: number | undefined, committed: boolean, keep: boolean): void {
    invariant(this.#processed === -1, () => `${this.key} is located once`);
    this.#processed = offset;
    this.#terms = [{ from: offset - 1, term: term ?? -1 }];
    if (committed) this.#committed = offset;
    if (committed || keep) this.#wanted = offset;
  }

  /** It goes on elsewhere, which may be further back, or the offset that is committed in another term: the log has lost that. The place is worth a commit. */
  move(offset: number, term: number | undefined): void {
    invariant(!this.busy, () => `${this.key} is not being worked on`);
    this.#processed = offset;
    this.#wanted = offset;
    this.#terms = [{ from: offset - 1, term: term ?? -1 }];
    // What was refused, and for good too, was of another place.
    this.frozen = undefined;
    this.#refused = undefined;
    if (offset <= this.#committed) this.#committed = -1;
  }

  /** Its records from `offset` on, which is the next to be processed, are of `term`. */
  enter(offset: number, term: number): void {
    this.#terms.push({ from: offset, term });
  }

  /** Term of the record before `offset`, which is not below what is committed nor behind the record in hand; undefined: not known. */
  termBefore(offset: number): number | undefined {
    const term = this.#terms.findLast(({ from }) => from < offset)?.term ?? -1;
    return term < 0 ? undefined : term;
  }

  /** The record at `offset` is done with. */
  advance(offset: number, commits: boolean): void {
    invariant(this.busy && offset === this.#processed, () => `${this.key} is processed in order: at ${this.#processed}, not ${offset}`);
    this.#processed = offset + 1;
    if (commits) this.#wanted = this.#processed;
  }

  /** The application takes the word for it that everything below `offset` is done with. */
  want(offset: number): void {
    this.#wanted = Math.max(this.#wanted, offset);
  }

  sent(offset: number): void {
    this.#sent = Math.max(this.#sent, offset);
  }

  acknowledged(offset: number): void {
    this.#committed = Math.max(this.#committed, offset);
    // Of what is below nobody asks any more.
    const kept = this.#terms.findLastIndex(({ from }) => from < this.#committed);
    if (kept > 0) this.#terms.splice(0, kept);
  }

  /** Why a commit of `offset` was refused last, that will be made again. */
  refusal(offset: number): MillraceError | undefined {
    return this.#refused !== undefined && offset >= this.#refused.offset ? this.#refused.error : undefined;
  }

  /** The log does not hold what is below `offset`, as far as the coordinator knows. @returns whether that is news */
  beyond(offset: number, error: MillraceError): boolean {
    const known = this.#refused?.offset;
    this.#refused = { offset, error };
    return known !== offset;
  }

  /**
   * A commit was refused because a later offset is committed.
   * @returns whether that is one of ours: a retry came in late, and nothing is wrong
   */
  behind(committed: number): boolean {
    this.acknowledged(committed);
    return committed <= this.#sent;
  }
}

export function keyOf({ topicId, partition }: Pick<GroupPartition, "topicId" | "partition">): string {
  return `${partition} ${topicId}`;
}

/** As the application knows it: two topics that had a name one after the other have the same. */
export function nameOf({ topic, partition }: Pick<GroupPartition, "topic" | "partition">): string {
  return `${partition} ${topic}`;
}
