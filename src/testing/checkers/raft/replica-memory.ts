import type { ReplicaView } from "./replica-view.ts";

/** What was last seen of one replica. */
export class ReplicaMemory {
  readonly replica: number;
  life = 0;
  role = "";
  term = 0;
  votedFor: number | undefined;
  commit = 0;
  lastIndex = 0;
  /** Of the entry at `lastIndex`, also where that is the start of the log. */
  lastTerm: number | undefined;
  /** Entries up to here were once durable here and have not been truncated since, whatever a restarted process knows of it yet. */
  proven = 0;
  /** Entries up to here were compared with what the group chose. */
  compared = 0;
  /** Terms in which this disk certainly holds a vote, and for whom. */
  readonly votes = new Map<number, number>();
  /** The newest vote that was durable here, whatever became of the disk since. */
  given: { readonly term: number; readonly to: number } | undefined;
  /** Highest term this disk certainly holds. */
  durableTerm = 0;
  readonly #terms = new Map<number, number>();

  constructor(replica: number) {
    this.replica = replica;
  }

  termAt(index: number): number | undefined {
    return this.#terms.get(index);
  }

  /** Its disk is an older copy of itself: what it held, and voted, is held against it no more. */
  forget(): void {
    this.commit = 0;
    this.lastIndex = 0;
    this.lastTerm = undefined;
    this.proven = 0;
    this.compared = 0;
    this.durableTerm = 0;
    this.votes.clear();
    this.#terms.clear();
  }

  /** Nothing a checker looks at has moved. */
  isLike(view: ReplicaView): boolean {
    return (
      this.life === view.life &&
      this.term === view.term &&
      this.role === view.role &&
      this.votedFor === view.votedFor &&
      (view.durableVote === undefined || (this.given?.term === view.durableTerm && this.given?.to === view.durableVote)) &&
      this.commit === view.commit &&
      this.lastIndex === view.lastIndex &&
      this.proven >= view.durable &&
      this.lastTerm === view.termAt(view.lastIndex)
    );
  }

  /** Highest index up to which the log is the one seen before. Walks back over what was truncated only. */
  sharedUpTo(view: ReplicaView): number {
    let index = Math.min(this.lastIndex, view.lastIndex);
    while (index > view.startIndex && this.#terms.get(index) !== view.termAt(index)) index--;
    return index;
  }

  /** Takes over the log above `shared`. */
  takeLog(view: ReplicaView, shared: number): void {
    for (let index = view.lastIndex + 1; index <= this.lastIndex; index++) this.#terms.delete(index);
    for (let index = shared + 1; index <= view.lastIndex; index++) {
      const term = view.termAt(index);
      if (term !== undefined) this.#terms.set(index, term);
    }
    this.lastIndex = view.lastIndex;
    this.lastTerm = view.termAt(view.lastIndex);
    this.compared = Math.min(this.compared, shared);
    this.proven = Math.max(Math.min(this.proven, shared), view.durable);
  }
}
