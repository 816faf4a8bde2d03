/** One entry as some replica held it. */
interface KnownEntry {
  readonly prevTerm: number;
  hash: string | undefined;
}

/** All that is known of one group: every entry any replica ever held, what was chosen, and who led. */
export class GroupBook {
  /** Entries by term and index. */
  readonly #entries = new Map<number, Map<number, KnownEntry>>();
  /** Index → term of the entry that was committed there, and the term of who first knew it. */
  readonly #chosen = new Map<number, { readonly term: number; readonly knownIn: number }>();
  readonly leaders = new Map<number, number>();
  #highestChosen = 0;

  /**
   * Notes an entry a replica holds.
   * @returns what is wrong when another replica holds another entry of that index and term
   */
  entry(index: number, term: number, prevTerm: number, hash: string | undefined): string | undefined {
    let ofTerm = this.#entries.get(term);
    if (ofTerm === undefined) {
      ofTerm = new Map();
      this.#entries.set(term, ofTerm);
    }
    const known = ofTerm.get(index);
    if (known === undefined) {
      ofTerm.set(index, { prevTerm, hash });
      return undefined;
    }
    if (known.prevTerm !== prevTerm) return `follows term ${prevTerm} here and term ${known.prevTerm} elsewhere`;
    if (known.hash !== undefined && hash !== undefined && known.hash !== hash) return `is ${hash} here and ${known.hash} elsewhere`;
    known.hash ??= hash;
    return undefined;
  }

  chosenTerm(index: number): number | undefined {
    return this.#chosen.get(index)?.term;
  }

  /** The highest entry known to be committed in a term before this one; 0: none. */
  highestChosenBefore(term: number): number {
    let index = this.#highestChosen;
    while (index > 0 && (this.#chosen.get(index)?.knownIn ?? 0) >= term) index--;
    return index;
  }

  /** @param knownIn term of the replica that knows it committed: it was in that term, or before */
  choose(index: number, term: number, knownIn: number): void {
    this.#chosen.set(index, { term, knownIn });
    this.#highestChosen = Math.max(this.#highestChosen, index);
  }
}
