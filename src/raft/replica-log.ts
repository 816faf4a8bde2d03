import type { LogIndex, ReplicaId, Term } from "../base/ids.ts";
import { invariant } from "../base/invariant.ts";
import { FrameType } from "../records/frame-types.ts";
import { Configurations } from "./configurations.ts";
import { EntrySizes } from "./entry-sizes.ts";
import { PendingWrites } from "./pending-writes.ts";
import { TermTable } from "./term-table.ts";
import type { Configuration, Entry, EntryRange, RaftOptions, RaftRecovered, RaftWrite } from "./types.ts";

/** This replica's log as the core sees it: terms and sizes of entries, what is committed, what is durable. */
export class ReplicaLog<P> {
  readonly #terms: TermTable;
  readonly #sizes: EntrySizes;
  readonly writes: PendingWrites<P>;
  readonly configurations: Configurations;
  /** See `RaftCore.holes`. */
  holes: readonly EntryRange[];
  /** The last entry that was recovered: a frame, or the mark that says where the segments end, proves its term. */
  readonly #recoveredTo: number;
  #commit: number;
  #inMemoryFrom: number;

  constructor(options: RaftOptions, recovered: RaftRecovered) {
    this.#terms = new TermTable(recovered.start, recovered.terms, recovered.lastIndex);
    invariant(recovered.commit <= recovered.lastIndex, () => `commit ${recovered.commit} is above the last index ${recovered.lastIndex}`);
    this.#commit = Math.max(recovered.commit, recovered.start.index);
    this.configurations = new Configurations(options.configuration, recovered.configurations ?? []);
    invariant(this.configurations.index <= recovered.lastIndex, "a recovered configuration stands in the log");
    this.configurations.committed(this.#commit);
    const sized = recovered.entryBytes !== undefined;
    this.#sizes = new EntrySizes((sized ? this.#commit : recovered.lastIndex) + 1, options.entryBytesMax);
    if (recovered.entryBytes !== undefined) {
      for (let index = this.#commit + 1; index <= recovered.lastIndex; index++) this.#sizes.push(recovered.entryBytes(index as LogIndex));
    }
    this.#inMemoryFrom = recovered.start.index + 1;
    this.holes = recovered.holes ?? [];
    this.#recoveredTo = recovered.lastIndex;
    // What recovery found was written again before this core was made (design §4): it is durable.
    this.writes = new PendingWrites(recovered.lastIndex, recovered.term, recovered.votedFor);
  }

  get startIndex(): LogIndex {
    return this.#terms.startIndex;
  }
  get startTerm(): Term {
    return this.#terms.startTerm;
  }
  get lastIndex(): LogIndex {
    return this.#terms.lastIndex;
  }
  get lastTerm(): Term {
    return this.#terms.lastTerm;
  }
  get commit(): LogIndex {
    return this.#commit as LogIndex;
  }
  get durable(): LogIndex {
    return this.writes.durable;
  }
  /** First index whose frame the shell still has in memory. */
  get inMemoryFrom(): LogIndex {
    return this.#inMemoryFrom as LogIndex;
  }

  termAt(index: number): Term | undefined {
    return this.#terms.termAt(index);
  }
  /** What was trimmed away is in none, whatever `holes` still says. @returns the first entry of the hole that this one is in */
  holeAt(index: number): LogIndex | undefined {
    const { startIndex } = this;
    if (index <= startIndex || index >= this.#inMemoryFrom) return undefined;
    const hole = this.holes.find(({ first, last }) => first <= index && index <= last);
    return hole === undefined ? undefined : (Math.max(hole.first, startIndex + 1) as LogIndex);
  }
  /**
   * No frame here proves the term of this entry: it may be one that was inferred. From a later entry it is too high, which matches nothing
   * anywhere; from an earlier one it is too low, and a log that parted from ours may have such an entry.
   *
   * @returns the first entry of the hole that it is in; undefined: its term is proved
   */
  unprovedAt(index: number): LogIndex | undefined {
    return index === this.#recoveredTo ? undefined : this.holeAt(index);
  }
  lastAtMost(index: number, term: number): LogIndex {
    return this.#terms.lastAtMost(index, term);
  }
  bytesBetween(first: number, last: number): number {
    return this.#sizes.between(first, last);
  }
  fit(first: number, last: number, bytesMax: number): LogIndex {
    return this.#sizes.fit(first, last, bytesMax);
  }

  /** A leader's own entry. */
  appendNew(term: Term, type: FrameType, bytes: number, payload: P | undefined, configuration?: Configuration): LogIndex {
    const index = this.#terms.append(term);
    this.#sizes.push(bytes);
    this.writes.append({ index, term, type, bytes, payload, ...(configuration === undefined ? {} : { configuration }) });
    this.#configure(index, type, configuration);
    return index;
  }

  /** In force from here on. */
  #configure(index: LogIndex, type: FrameType, configuration: Configuration | undefined): void {
    invariant((type === FrameType.config) === (configuration !== undefined), () => `entry ${index} of type ${type} has the wrong shape`);
    if (configuration !== undefined) this.configurations.append(index, configuration);
  }

  /** An entry from a leader, at its place. */
  appendReceived(entry: Entry<P>): void {
    invariant(entry.index === this.#terms.lastIndex + 1, () => `entry ${entry.index} does not follow ${this.#terms.lastIndex}`);
    this.#terms.append(entry.term);
    this.#sizes.push(entry.bytes);
    this.writes.append(entry);
    this.#configure(entry.index, entry.type, entry.configuration);
  }

  /** An entry that came in bulk: committed, and durable past the write-ahead log already. */
  adopt(entry: Omit<Entry<P>, "payload">): void {
    if (entry.index <= this.#terms.lastIndex) {
      const term = this.#terms.termAt(entry.index);
      invariant(
        term === undefined || term === entry.term,
        () => `committed entry ${entry.index} has term ${entry.term} in bulk, ${term} in the log`,
      );
    } else {
      invariant(entry.index === this.#terms.lastIndex + 1, () => `bulk entry ${entry.index} does not follow ${this.#terms.lastIndex}`);
      this.#terms.append(entry.term);
      this.#sizes.push(entry.bytes);
      this.#configure(entry.index, entry.type, entry.configuration);
    }
    this.writes.durablePastWal(entry.index);
    this.commitTo(Math.max(this.#commit, entry.index));
  }

  truncateFrom(index: number): void {
    // A committed entry is for ever (Raft §5.4.3, Leader Completeness): whoever asks for this is wrong, or the disk was.
    invariant(index > this.#commit, () => `cannot cut at ${index}: entries up to ${this.#commit} are committed`);
    this.#terms.truncateFrom(index);
    this.configurations.truncateFrom(index);
    this.#sizes.truncateFrom(index);
    this.writes.truncateFrom(index);
  }

  commitTo(index: number): boolean {
    if (index <= this.#commit) return false;
    invariant(index <= this.#terms.lastIndex, () => `cannot commit ${index}: the log ends at ${this.#terms.lastIndex}`);
    this.#commit = index;
    this.configurations.committed(index);
    return true;
  }

  /** What lies at or below `start` is not here any more. */
  trimmed(start: { readonly index: LogIndex; readonly term: Term }): void {
    if (start.index <= this.startIndex) return;
    invariant(start.index <= this.#commit, () => `cannot trim to ${start.index}: only ${this.#commit} are committed`);
    this.#terms.startAt(start);
    this.forgetBelow((start.index + 1) as LogIndex);
  }

  forgetBelow(index: LogIndex): void {
    // Bulk catch-up streams committed frames only, so what is not committed must stay where an append can take it.
    invariant(index <= this.#commit + 1, () => `entries below ${index} cannot be forgotten: only ${this.#commit} are committed`);
    if (index <= this.#inMemoryFrom) return;
    this.#inMemoryFrom = index;
    this.#sizes.forgetBelow(index);
  }

  takeWrite(term: Term, votedFor: ReplicaId | undefined): RaftWrite<P> | undefined {
    return this.writes.take(term, votedFor, this.#terms.lastIndex);
  }
}
