import { MillraceError } from "../../base/errors.ts";
import type { LogIndex, Offset, Term } from "../../base/ids.ts";
import { type Frame, FrameType, nextOffsetOf, PayloadFormat } from "../../records/frame-types.ts";
import type { ReadablePartition } from "./reader.ts";

/** Terms that are remembered: readers are in the newest, or pass through the others in order. */
const TERMS_MAX = 32;

/** Where a log parts from another one that had records of a term. */
export interface Divergence {
  /** Offset behind the last record of that term or, when the log has none, of an earlier one. */
  readonly offset: Offset;
  /**
   * That term: it parts exactly here. An earlier one: here at the latest. Undefined: as far as can be told, because what would tell more was
   * trimmed away or cannot be read now.
   */
  readonly term: Term | undefined;
}

/**
 * Tells whether a reader goes on in the log that it read before. One leader in one term wrote at most one record at an offset, and what was
 * committed stays: so an offset and the term of the record before it name everything below (Raft's log matching). They do not agree any more
 * where the log lost its end, by `recover` or with a disk's unsynced writes, and was written anew. Readers may as well name the term of the
 * leader that they had the record from: such a leader has committed an entry of its own term behind it.
 *
 * Most questions cost nothing: terms never fall along the log, so what is between two records of one term is of that term.
 */
export class ReadTerms {
  readonly #partition: ReadablePartition;
  /** Offsets known to be of a term: from … before `to`. */
  readonly #known = new Map<Term, { from: number; to: number }>();
  /** Leaders' terms that the log has entries of, and the last place read from such a leader: all below it is of that term or an earlier one. */
  readonly #led = new Map<Term, number>();
  /** In which all of it was learned. */
  #learnedIn = -1;

  constructor(partition: ReadablePartition) {
    this.#partition = partition;
  }

  /** Committed records from `from` to before `to` are of `term`. */
  learn(from: number, to: number, term: Term): void {
    this.#forget();
    const known = this.#known.get(term);
    if (known !== undefined) {
      known.from = Math.min(known.from, from);
      known.to = Math.max(known.to, to);
      return;
    }
    if (this.#known.size === TERMS_MAX) for (const oldest of this.#known.keys()) if (this.#known.delete(oldest)) break;
    this.#known.set(term, { from, to });
  }

  /** What was learned under another leader. */
  #forget(): void {
    const { term } = this.#partition.replica.core;
    if (term === this.#learnedIn) return;
    this.#known.clear();
    this.#led.clear();
    this.#learnedIn = term;
  }

  /**
   * Whether the record before `offset`, which is at most the high watermark, is of `term`, or was read from its leader; yes when that cannot be
   * told, because it was trimmed away or cannot be read.
   */
  agrees(offset: Offset, term: Term, stopped?: () => boolean): boolean | Promise<boolean> {
    const place = (offset - 1) as Offset;
    if (place < this.#partition.logStartOffset) return true;
    this.#forget();
    const known = this.#known.get(term);
    if (known !== undefined && known.from <= place && place < known.to) return true;
    if (place <= (this.#led.get(term) ?? -1)) return true;
    return this.#termAt(place, stopped).then(
      (found) => found === undefined || found === term || (found < term && this.#holds(place, term)),
    );
  }

  /**
   * No log holds both entries of a term and, below them, another record than the leader of the term had there. Yes where its entries would lie in
   * a hole: until that is filled, their terms are guesses.
   */
  #holds(place: Offset, term: Term): boolean {
    const { index, certain } = this.#lastProved(term);
    if (this.#partition.replica.core.termAt(index) !== term) return !certain;
    this.#forget();
    if (this.#led.size === TERMS_MAX && !this.#led.has(term)) this.#led.clear();
    this.#led.set(term, Math.max(place, this.#led.get(term) ?? -1));
    return true;
  }

  /** The last committed entry that is proved to be of this term or an earlier one. `certain`: there is none behind it that may be. */
  #lastProved(term: Term): { readonly index: LogIndex; readonly certain: boolean } {
    const { core } = this.#partition.replica;
    const last = this.#lastAtMost(term);
    let index: number = last;
    for (let hole = core.unprovedAt(last); hole !== undefined; hole = core.unprovedAt(index as LogIndex)) index = hole - 1;
    const next = (last + 1) as LogIndex;
    return { index: index as LogIndex, certain: index === last && (last >= core.commit || core.unprovedAt(next) === undefined) };
  }

  /** The last committed entry of this term or an earlier one: terms never fall along the log. */
  #lastAtMost(term: Term): LogIndex {
    const { core, log } = this.#partition.replica;
    let last: number = log.start.index;
    for (let beyond = core.commit + 1; last + 1 < beyond; ) {
      const middle = Math.floor((last + beyond) / 2);
      if ((core.termAt(middle as LogIndex) ?? 0) <= term) last = middle;
      else beyond = middle;
    }
    return last as LogIndex;
  }

  async #termAt(offset: Offset, stopped: (() => boolean) | undefined): Promise<Term | undefined> {
    const { replica } = this.#partition;
    try {
      const read = await replica.log.readFrom(offset, 1, replica.core.commit, stopped);
      if (read.kind !== "frames") return undefined;
      for (const frame of read.frames) {
        if (frame.type !== FrameType.data || frame.format !== PayloadFormat.records || nextOffsetOf(frame) <= offset) continue;
        this.learn(frame.baseOffset, nextOffsetOf(frame), frame.term);
        return frame.term;
      }
    } catch (error) {
      // Whoever read it had it from another replica, or before it was damaged: what it holds is not known to be another one.
      if (!(error instanceof MillraceError)) throw error;
    }
    return undefined;
  }

  /** Where this log parts from one that has records of `term` which this one does not have. */
  async divergence(term: Term): Promise<Divergence> {
    const { logStartOffset, highWatermark, replica } = this.#partition;
    const { index, certain } = this.#lastProved(term);
    const lastTerm = replica.core.termAt(index);
    if (certain && index >= replica.core.commit) return { offset: highWatermark, term: lastTerm };
    const end = await this.#endOf(index);
    const known = certain && end !== undefined && lastTerm !== undefined && lastTerm <= term;
    return { offset: Math.max(logStartOffset, end ?? 0) as Offset, term: known ? lastTerm : undefined };
  }

  /** Offset behind the records up to this entry, which is where the next one begins. @returns undefined: neither can be read */
  async #endOf(index: LogIndex): Promise<Offset | undefined> {
    const next = await this.#frameAt((index + 1) as LogIndex);
    if (next !== undefined) return next.baseOffset;
    const last = index > this.#partition.replica.log.start.index ? await this.#frameAt(index) : undefined;
    return last === undefined ? undefined : nextOffsetOf(last);
  }

  async #frameAt(index: LogIndex): Promise<Frame | undefined> {
    const { log, core } = this.#partition.replica;
    try {
      const read = await log.read(index, 1, core.commit);
      return read.kind === "frames" ? read.frames[0] : undefined;
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error;
      return undefined;
    }
  }
}
