import type { Evidence, RowBase } from "../history.ts";

/** What members of consumer groups, and those who look after groups, did and saw. Partitions are named as everywhere: "topic-number". */
export type GroupHistoryRow = BeatRow | CommitRow | CommittedRow | MoveRow | ForgetRow | ResumeRow | WorkRow | DescribeRow;

interface GroupRowBase extends RowBase {
  readonly group: string;
}

/** Joins, heartbeats and leaves, by a call or over a session; also what is pushed: then `tInv` is that of the last heartbeat it had sent. */
export interface BeatRow extends GroupRowBase {
  readonly f: "beat";
  /** No two processes ever have the same one. */
  readonly member: string;
  /** As it was named: 0 joins, -1 leaves, -2 leaves for a while. */
  readonly epoch: number;
  /** All that it says it holds; absent: it does not say. */
  readonly owned?: readonly string[];
  /** Only when ok. */
  readonly told?: { readonly epoch: number; readonly assignment?: readonly string[] };
}

/** One partition of a commit; those of one call have its times. */
export interface CommitRow extends GroupRowBase {
  readonly f: "commit";
  readonly partition: string;
  /** Absent: from outside. */
  readonly member?: string;
  readonly epoch?: number;
  /** The next one to be read. */
  readonly offset: number;
  /** Of a refusal because more is committed: how much. */
  readonly committed?: number;
}

/** One partition of what FetchOffsets said. */
export interface CommittedRow extends GroupRowBase {
  readonly f: "committed";
  readonly partition: string;
  /** Absent: nothing is committed. */
  readonly offset?: number;
}

/** One partition of a SeekGroup. */
export interface MoveRow extends GroupRowBase {
  readonly f: "move";
  readonly partition: string;
  /** Only when ok, and when there was one. */
  readonly before?: number;
  readonly after: number;
}

/** Offsets are deleted: of one partition, or of all with their group. */
export interface ForgetRow extends GroupRowBase {
  readonly f: "forget";
  readonly partition?: string;
}

/** A member begins with a partition it was given; `tInv` is when it asked from where on, `tRet` when it had the answer. */
export interface ResumeRow extends GroupRowBase {
  readonly f: "resume";
  readonly member: string;
  readonly partition: string;
  /** As it was told; absent: nothing is committed. */
  readonly committed?: number;
  /** Where it begins to read. */
  readonly from: number;
  /** What its group does where nothing is committed: begins at this offset; absent: nobody knows where that is. */
  readonly otherwise?: number;
}

/** A member is done with the records from `from` up to before `end`. */
export interface WorkRow extends GroupRowBase {
  readonly f: "work";
  readonly member: string;
  readonly partition: string;
  readonly from: number;
  readonly end: number;
}

/** DescribeGroup. */
export interface DescribeRow extends GroupRowBase {
  readonly f: "describe";
  readonly state: "empty" | "reconciling" | "stable";
  readonly epoch: number;
  readonly members: readonly { readonly id: string; readonly epoch: number; readonly assignment: readonly string[] }[];
  /** All partitions of the topics that its members want. */
  readonly partitions: readonly string[];
}

/** A group some time after all was healed. */
export interface FinalGroup {
  readonly group: string;
  readonly settled: boolean;
  /** What each of its members takes for its own. */
  readonly members: readonly { readonly id: string; readonly holds: readonly string[] }[];
  /** What the coordinator says who holds. */
  readonly described: readonly { readonly id: string; readonly assignment: readonly string[] }[];
  /** All partitions of its topics, how far it has committed, and where they end. */
  readonly partitions: readonly { readonly partition: string; readonly committed?: number; readonly end: number }[];
}

/** The state of one partition of `__groups` at an index of its log. */
export interface GroupStateSeen {
  readonly partition: string;
  readonly index: number;
  readonly hash: string;
  /** Who has it: a running broker, or what its files make of it. */
  readonly where: string;
}

type RowOf<F extends GroupHistoryRow["f"]> = Extract<GroupHistoryRow, { f: F }>;

/** Rows of one kind, in the order of invocation. */
export function groupRows<F extends GroupHistoryRow["f"]>(evidence: Evidence, f: F): readonly RowOf<F>[] {
  return evidence.history.filter((row): row is RowOf<F> => row.f === f).sort((a, b) => a.tInv - b.tInv || a.i - b.i);
}

/** Whether groups were at work in this run. */
export function hasGroups({ history, groups }: Evidence): boolean {
  return (groups?.length ?? 0) > 0 || history.some((row) => row.f === "beat" || row.f === "commit");
}

/** Lists by key, each in the order of the items. */
export function grouped<T>(items: Iterable<T>, keyOf: (item: T) => string): ReadonlyMap<string, readonly T[]> {
  const lists = new Map<string, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const list = lists.get(key);
    if (list === undefined) lists.set(key, [item]);
    else list.push(item);
  }
  return lists;
}
