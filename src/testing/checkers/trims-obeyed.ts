import { Findings, type Verdict } from "./verdict.ts";

/** What is looked at in one replica. */
export interface Trimmed {
  readonly group: number;
  readonly replica: number;
  readonly commit: number;
  readonly lastIndex: number;
  /** Below this offset nothing can be read. */
  readonly startOffset: number;
  /** Offset that the entry lets go up to; undefined: it is no trim, or is not in memory any more. */
  trimAt(index: number): number | undefined;
}

/** A trim that counts is not far behind what was committed last. */
const ENTRIES_MAX = 500;

/** L15 from the inside: a replica lets go of what an entry says once that is committed, and not before: it may be cut off again. */
export class TrimsObeyed {
  readonly #findings = new Findings();
  readonly #starts = new Map<object, number>();
  /** Highest index that any replica of the group had committed. */
  readonly #commits = new Map<number, number>();
  readonly #asked = new Map<number, number>();

  get verdict(): Verdict {
    return { row: "L15", judged: this.#findings.judged, violations: this.#findings.violations };
  }

  /** By group, the furthest offset that a committed entry was seen to let go up to. It may be gone since, with what it let go of. */
  get asked(): ReadonlyMap<number, number> {
    return this.#asked;
  }

  /** Something has changed in this replica; always with the same object in one life of it. */
  look(replica: Trimmed): void {
    const { group, commit, startOffset, lastIndex } = replica;
    const known = this.#commits.get(group) ?? 0;
    const committed = Math.max(commit, known);
    this.#commits.set(group, committed);
    for (let index = committed; index > Math.max(known, committed - ENTRIES_MAX); index--) {
      const before = replica.trimAt(index) ?? 0;
      if (before > (this.#asked.get(group) ?? 0)) this.#asked.set(group, before);
    }
    const before = this.#starts.get(replica);
    if (before === startOffset) return;
    this.#starts.set(replica, startOffset);
    if (before === undefined || before > startOffset) return;
    let early: number | undefined;
    for (let index = lastIndex; index > committed; index--) if (replica.trimAt(index) === startOffset) early = index;
    let obeyed = false;
    for (let index = committed; index > committed - ENTRIES_MAX && !obeyed; index--) obeyed = (replica.trimAt(index) ?? 0) >= startOffset;
    this.#findings.judge(
      early === undefined || obeyed,
      () =>
        `replica ${replica.replica} of group ${group} lets go of what lies below ${startOffset}, as entry ${early} says, and only ${committed} entries are committed`,
    );
  }
}
