/** What a checker may look at in one replica, while it runs or from a trace. Reading it must change nothing. */
export interface ReplicaView {
  readonly group: number;
  readonly replica: number;
  /** Number of the process' life on this disk; it rises with each start. The first view of a life is what recovery found. */
  readonly life: number;
  readonly role: string;
  readonly term: number;
  /** Undefined: nobody, or not known (then votes are judged by leaders alone). */
  readonly votedFor: number | undefined;
  /** What the disk has of term and vote, as far as the process knows; no term: not known, then it is not asked who elected a leader. */
  readonly durableTerm?: number | undefined;
  readonly durableVote?: number | undefined;
  readonly commit: number;
  /** Highest own index known durable. */
  readonly durable: number;
  /** Index before the first entry present. */
  readonly startIndex: number;
  readonly lastIndex: number;
  /** Who votes, and while joint who voted before. */
  readonly voters: readonly number[];
  readonly oldVoters: readonly number[] | undefined;
  termAt(index: number): number | undefined;
  /** No frame here proves the term of this entry: it lies in a hole, and its term may be one that was inferred (ADR 0009). Absent: every one is proved. */
  unproved?(index: number): boolean;
  /** Of the whole entry; undefined when it is no longer in memory. */
  hashAt(index: number): string | undefined;
}
