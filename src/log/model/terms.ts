import type { LogIndex, Term } from "../../base/ids.ts";
import { invariant } from "../../base/invariant.ts";
import { type ByteReader, type ByteWriter, Malformed } from "./bytes.ts";

export interface TermStart {
  readonly term: Term;
  readonly firstIndex: LogIndex;
}

/** Which term each index of one log has, kept as where terms begin. Terms and indexes both ascend. */
export class TermTable {
  #starts: TermStart[];

  constructor(starts: readonly TermStart[] = []) {
    this.#starts = [...starts];
  }

  get starts(): readonly TermStart[] {
    return this.#starts;
  }

  /** Says that `index`, just above everything known, has `term`. Terms never fall along a log (Raft §5.3). */
  append(index: LogIndex, term: Term): void {
    const last = this.#starts.at(-1);
    if (last?.term === term) return;
    invariant(last === undefined || (term > last.term && index > last.firstIndex), () => `term ${term} at ${index} after ${last?.term}`);
    this.#starts.push({ term, firstIndex: index });
  }

  /** Forgets `from` and everything above it. */
  truncate(from: LogIndex): void {
    while ((this.#starts.at(-1)?.firstIndex ?? -1) >= from) this.#starts.pop();
  }

  /** Forgets `index` and everything below it; what is left begins with `index + 1`, which is present. */
  trim(index: LogIndex): void {
    const term = this.termAt((index + 1) as LogIndex);
    const above = this.#starts.filter((start) => start.firstIndex > index + 1);
    this.#starts = term === undefined ? above : [{ term, firstIndex: (index + 1) as LogIndex }, ...above];
  }

  /** Term of an entry that is present; undefined below the first start. */
  termAt(index: LogIndex): Term | undefined {
    let low = 0;
    let high = this.#starts.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#starts[middle] as TermStart).firstIndex <= index) low = middle + 1;
      else high = middle;
    }
    return this.#starts[low - 1]?.term;
  }

  /** Starts of terms in (after, upTo], the term of `after + 1` first even when it began earlier. */
  between(after: LogIndex, upTo: LogIndex): TermStart[] {
    return this.#starts.filter((start) => start.firstIndex > after && start.firstIndex <= upTo);
  }
}

export function writeTerms(out: ByteWriter, starts: readonly TermStart[]): void {
  out.u32(starts.length);
  for (const { term, firstIndex } of starts) out.i53(term).i53(firstIndex);
}

export function readTerms(from: ByteReader): TermStart[] {
  const count = from.u32();
  if (count * 16 > from.left) throw new Malformed(`a term table of ${count} does not fit`);
  const starts: TermStart[] = [];
  for (let i = 0; i < count; i += 1) starts.push({ term: from.i53() as Term, firstIndex: from.i53() as LogIndex });
  return starts;
}
