import type { LogIndex, ReplicaId, Term } from "../base/ids.ts";
import { invariant } from "../base/invariant.ts";
import type { Entry, RaftWrite } from "./types.ts";

interface Outstanding {
  readonly seq: number;
  /** Highest index this write makes durable. Lowered when a later truncation overwrites what it holds. */
  claim: number;
  readonly term: Term;
  readonly votedFor: ReplicaId | undefined;
}

/**
 * What has been written, what is being gathered for the next write, and what is durable.
 *
 * The ABA story (scenario 31): index 6 is appended in write 1 by one leader, cut and appended again in write 2 by the next, while
 * the disk is slow. When write 1 returns, "index 6 is durable" would be a lie about the *new* entry 6. So a truncation at k clips
 * every outstanding write and the durable index to k - 1 at the moment it is accepted, and write 1 claims 5 whenever it returns.
 */
export class PendingWrites<P> {
  #seq = 0;
  #doneSeq = 0;
  readonly #outstanding: Outstanding[] = [];
  #gathered: Entry<P>[] = [];
  #truncateFrom: number | undefined;
  #stateChanged = false;
  /** Number of the write that makes the present term and vote durable. */
  #stateSeq = 0;
  #durable: number;
  #durableTerm: Term;
  #durableVote: ReplicaId | undefined;

  constructor(durable: LogIndex, term: Term, votedFor: ReplicaId | undefined) {
    this.#durable = durable;
    this.#durableTerm = term;
    this.#durableVote = votedFor;
  }

  get durable(): LogIndex {
    return this.#durable as LogIndex;
  }
  get durableTerm(): Term {
    return this.#durableTerm;
  }
  get durableVote(): ReplicaId | undefined {
    return this.#durableVote;
  }
  get doneSeq(): number {
    return this.#doneSeq;
  }
  /** What depends on the present term and vote waits for this write; at or below `doneSeq` when they are durable. */
  get stateSeq(): number {
    return this.#stateSeq;
  }

  append(entry: Entry<P>): void {
    this.#gathered.push(entry);
  }

  stateChanged(): void {
    this.#stateChanged = true;
    this.#stateSeq = this.#seq + 1;
  }

  truncateFrom(index: number): void {
    const firstGathered = this.#gathered[0]?.index;
    if (firstGathered !== undefined && index > firstGathered) {
      // What is cut was never handed out: it simply leaves the gathered write.
      this.#gathered.length = index - firstGathered;
    } else {
      this.#gathered = [];
      // Something handed out (or recovered) may hold these: say so in the write. An earlier cut of this write lies lower or equal.
      this.#truncateFrom = this.#truncateFrom === undefined ? index : Math.min(this.#truncateFrom, index);
    }
    this.#durable = Math.min(this.#durable, index - 1);
    for (const write of this.#outstanding) write.claim = Math.min(write.claim, index - 1);
  }

  /** Entries up to `last` became durable past the write-ahead log (bulk catch-up). */
  durablePastWal(last: number): void {
    invariant(
      this.#gathered.length === 0 || (this.#gathered[0] as Entry<P>).index > last,
      "frames were caught up in bulk while the same indexes wait to be written",
    );
    this.#durable = Math.max(this.#durable, last);
  }

  /** The next write, if there is anything to write. */
  take(term: Term, votedFor: ReplicaId | undefined, lastIndex: LogIndex): RaftWrite<P> | undefined {
    if (!this.#stateChanged && this.#truncateFrom === undefined && this.#gathered.length === 0) return undefined;
    this.#seq += 1;
    invariant((this.#outstanding.at(-1)?.claim ?? 0) <= lastIndex, "a write in flight claims more than the log holds");
    this.#outstanding.push({
      seq: this.#seq,
      claim: lastIndex,
      term,
      votedFor,
    });
    const write: RaftWrite<P> = {
      seq: this.#seq,
      state: this.#stateChanged ? { term, votedFor } : undefined,
      truncateFrom: this.#truncateFrom as LogIndex | undefined,
      entries: this.#gathered,
    };
    this.#stateChanged = false;
    this.#truncateFrom = undefined;
    this.#gathered = [];
    return write;
  }

  /** Every write up to `seq` is durable. */
  done(seq: number): void {
    invariant(seq <= this.#seq, () => `write ${seq} is said to be durable; the last one handed out is ${this.#seq}`);
    while (this.#outstanding.length > 0 && (this.#outstanding[0] as Outstanding).seq <= seq) {
      const write = this.#outstanding.shift() as Outstanding;
      invariant(write.term >= this.#durableTerm, () => `the durable term fell from ${this.#durableTerm} to ${write.term}`);
      invariant(
        write.term > this.#durableTerm || this.#durableVote === undefined || this.#durableVote === write.votedFor,
        () => `two durable votes in term ${write.term}: ${this.#durableVote} and ${write.votedFor}`,
      );
      this.#durableTerm = write.term;
      this.#durableVote = write.votedFor;
      this.#durable = Math.max(this.#durable, write.claim);
      this.#doneSeq = write.seq;
    }
  }
}
