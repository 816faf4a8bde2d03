import type { LogIndex, Term } from "../base/ids.ts";
import { invariant } from "../base/invariant.ts";

/**
 * Which term each entry of the log has, kept as runs: one (term, first index) per term, so a log of millions of entries costs
 * one pair per election. Terms never fall along the log (Raft §5.3), which is what makes the runs and the binary searches valid.
 */
export class TermTable {
  #startIndex: number;
  #startTerm: number;
  #terms: number[] = [];
  #firsts: number[] = [];
  #last: number;

  /**
   * @param start the entry before the first one present; its term is known too
   * @param runs ascending in both fields, the first at `start.index + 1` unless the log is empty
   */
  constructor(
    start: { readonly index: LogIndex; readonly term: Term },
    runs: readonly { readonly term: Term; readonly firstIndex: LogIndex }[],
    lastIndex: LogIndex,
  ) {
    this.#startIndex = start.index;
    this.#startTerm = start.term;
    this.#last = lastIndex;
    invariant(lastIndex >= start.index, () => `the log ends at ${lastIndex}, before its start ${start.index}`);
    invariant(runs.length > 0 === lastIndex > start.index, () => `${runs.length} terms for entries ${start.index + 1}..${lastIndex}`);
    let term: number = start.term;
    let next = start.index + 1;
    for (const [position, run] of runs.entries()) {
      invariant(run.term >= term, () => `term ${run.term} follows term ${term} in the log`);
      invariant(
        position === 0 ? run.firstIndex === next : run.firstIndex >= next,
        () => `term ${run.term} starts at ${run.firstIndex}, expected ${next}`,
      );
      invariant(run.firstIndex <= lastIndex, () => `term ${run.term} starts at ${run.firstIndex}, behind the end ${lastIndex}`);
      this.#terms.push(run.term);
      this.#firsts.push(run.firstIndex);
      term = run.term;
      next = run.firstIndex + 1;
    }
  }

  get startIndex(): LogIndex {
    return this.#startIndex as LogIndex;
  }

  get startTerm(): Term {
    return this.#startTerm as Term;
  }

  get lastIndex(): LogIndex {
    return this.#last as LogIndex;
  }

  get lastTerm(): Term {
    return (this.#terms.at(-1) ?? this.#startTerm) as Term;
  }

  /** @returns undefined below the start and above the end */
  termAt(index: number): Term | undefined {
    if (index < this.#startIndex || index > this.#last) return undefined;
    if (index === this.#startIndex) return this.#startTerm as Term;
    return this.#terms[this.#runOf(index)] as Term;
  }

  /** @returns the index the entry got */
  append(term: number): LogIndex {
    const lastTerm = this.lastTerm;
    invariant(term >= lastTerm, () => `an entry of term ${term} cannot follow one of term ${lastTerm}`);
    this.#last += 1;
    if (term > lastTerm || this.#terms.length === 0) {
      this.#terms.push(term);
      this.#firsts.push(this.#last);
    }
    return this.#last as LogIndex;
  }

  /** Entries from `index` on are gone. */
  truncateFrom(index: number): void {
    invariant(
      index > this.#startIndex && index <= this.#last,
      () => `cannot cut at ${index}: the log holds ${this.#startIndex + 1}..${this.#last}`,
    );
    this.#last = index - 1;
    while (this.#firsts.length > 0 && (this.#firsts.at(-1) as number) >= index) {
      this.#firsts.pop();
      this.#terms.pop();
    }
  }

  /** The log now begins behind `start`, an entry it holds. */
  startAt(start: { readonly index: LogIndex; readonly term: Term }): void {
    const term = this.termAt(start.index);
    invariant(term === start.term, () => `the log cannot start behind ${start.index} of term ${start.term}: it has term ${term} there`);
    let dropped = 0;
    while (dropped + 1 < this.#firsts.length && (this.#firsts[dropped + 1] as number) <= start.index + 1) dropped += 1;
    this.#terms = this.#terms.slice(dropped);
    this.#firsts = this.#firsts.slice(dropped);
    if (start.index === this.#last) {
      this.#terms = [];
      this.#firsts = [];
    } else this.#firsts[0] = Math.max(this.#firsts[0] as number, start.index + 1);
    this.#startIndex = start.index;
    this.#startTerm = start.term;
  }

  /**
   * Fast backtracking (Raft §5.3, last paragraphs): the last position at or below `index` whose term is at most `term`. All that
   * lies between cannot match a log whose entry there has `term`, so one round trip skips a whole run of terms.
   *
   * @returns never below the start
   */
  lastAtMost(index: number, term: number): LogIndex {
    const from = Math.min(index, this.#last);
    if (from <= this.#startIndex) return this.#startIndex as LogIndex;
    // Runs ascend in term: find the last one of at most `term`.
    let low = 0;
    let high = this.#terms.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#terms[middle] as number) <= term) low = middle + 1;
      else high = middle;
    }
    if (low === this.#terms.length) return from as LogIndex;
    return Math.max(this.#startIndex, Math.min(from, (this.#firsts[low] as number) - 1)) as LogIndex;
  }

  /** Position of the run that holds `index`; the caller checked the range. */
  #runOf(index: number): number {
    // Almost every question is about the newest term.
    const newest = this.#firsts.length - 1;
    if ((this.#firsts[newest] as number) <= index) return newest;
    let low = 0;
    let high = newest;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#firsts[middle] as number) <= index) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}
