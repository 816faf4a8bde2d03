import type { FinalGroup, GroupHistoryRow, GroupStateSeen } from "./groups/rows.ts";

/**
 * What clients did and saw, one row per operation, for the simulator and for real processes alike. Times are of one monotonic clock, in
 * milliseconds; an operation of unknown outcome (`info`) has `tRet` Infinity: it may take effect at any time after `tInv`, or never.
 *
 * `fail` only if the server guarantees that nothing was written; deadline, reset, cancelled and "unknown" are `info`.
 */
export type HistoryRow = SendRow | ReadRow | EndRow | TrimRow | TimeRow | TopicRow | MetadataRow | GroupHistoryRow;

export interface RowBase {
  /** Rises in the order of invocation; names the row in verdicts. */
  readonly i: number;
  /** Client process; its operations follow each other unless they are pipelined. */
  readonly proc: string;
  /** Broker asked, when the client knows. */
  readonly broker?: number;
  readonly type: "ok" | "fail" | "info";
  readonly tInv: number;
  readonly tRet: number;
  readonly error?: string;
  /** Term of the leader that answered. */
  readonly leaderEpoch?: number;
}

/** One batch sent. */
export interface SendRow extends RowBase {
  readonly f: "send";
  /** "topic-number". */
  readonly partition: string;
  /** One idempotent session; its batches to one partition are sent in order. */
  readonly producer: string;
  readonly acks: "NONE" | "LEADER" | "QUORUM" | "ALL";
  /** Unique over the run (see `payload.ts`), in record order. */
  readonly values: readonly string[];
  /** Offset of the first value; only when ok. */
  readonly offset?: number;
  /** Ids of the brokers that had it on disk, as the answer says. */
  readonly durableOn?: readonly number[];
}

/** A fetch, or what one poll of a subscription brought. */
export interface ReadRow extends RowBase {
  readonly f: "read";
  readonly partition: string;
  /** Offset asked for. */
  readonly from: number;
  readonly records: readonly ReadRecord[];
  /** Number of the consumer that read, of its process: reads of one follow each other without a gap. */
  readonly session?: number;
}

export interface ReadRecord {
  readonly offset: number;
  readonly value: string;
  /** The bytes are those the value names. */
  readonly intact: boolean;
  /** Milliseconds since 1970, as readers see it. */
  readonly timestampMs?: number;
}

/** ListOffsets. */
export interface EndRow extends RowBase {
  readonly f: "end";
  readonly partition: string;
  /** Only when ok. */
  readonly logStart?: number;
  readonly end?: number;
}

/** TrimTopic: somebody wanted records to go. */
export interface TrimRow extends RowBase {
  readonly f: "trim";
  readonly partition: string;
  /** Records below this offset. */
  readonly before: number;
}

/** ListOffsets by time. */
export interface TimeRow extends RowBase {
  readonly f: "time";
  readonly partition: string;
  /** Milliseconds since 1970. */
  readonly timeMs: number;
  /** First record of that time or a later one; absent: there was none, from `logStart` up to `end`. */
  readonly offset?: number;
  readonly timestampMs?: number;
  readonly logStart: number;
  readonly end: number;
}

/** A topic is created, given partitions, or deleted. */
export interface TopicRow extends RowBase {
  readonly f: "topic";
  readonly name: string;
  readonly op: "create" | "grow" | "delete";
  /** Of the one created, when it is known; or of the one that is meant. */
  readonly id?: string;
  /** What it is to have, of one that grows. */
  readonly partitions?: number;
}

/** A reply that says on which version of the metadata it rests; the call asked for at least the highest one its process had seen. */
export interface MetadataRow extends RowBase {
  readonly f: "metadata";
  readonly version: number;
}

/** Everything of one partition, read by a fresh client after all was healed. */
export interface FinalRead {
  readonly partition: string;
  readonly logStart: number;
  readonly records: readonly ReadRecord[];
  /** When it ended. */
  readonly readAt?: number;
}

/** What one replica's files hold, read while it is stopped. */
export interface ReplicaDump {
  readonly partition: string;
  readonly replica: string;
  /** Everything at or below is committed, as far as this replica knows. */
  readonly commit: number;
  /** Ascending, dense. `hash` covers the whole frame but what each broker may write differently. */
  readonly entries: readonly { readonly index: number; readonly term: number; readonly baseOffset: number; readonly hash: string }[];
  /** Below this offset nothing can be read here. */
  readonly logStart?: number;
  /** Of those of its entries that let go of what lies below an offset, ascending. */
  readonly trims?: readonly { readonly index: number; readonly before: number }[];
  /** Of those of its entries that say who votes, ascending. */
  readonly configurations?: readonly VotersRow[];
  /** Only of machine groups. */
  readonly machine?: MachineDump;
}

/** What the files of one replica of a machine group make of its state. */
export interface MachineDump {
  /** The log begins behind this index. */
  readonly start: number;
  /** Index of the newest whole snapshot. */
  readonly snapshot: number | undefined;
  /** Of the newest indexes that are committed, ascending. */
  readonly states: readonly { readonly index: number; readonly hash: string }[];
}

/** Who votes from an index on: by replica id; both sets while the change from `old` is under way. */
export interface VotersRow {
  readonly index: number;
  readonly voters: readonly number[];
  readonly old?: readonly number[];
}

/** What a fact of the metadata makes of a partition. */
export interface PlacementRow {
  /** Of the fact. */
  readonly index: number;
  readonly partition: string;
  /** Replicas that were asked for. */
  readonly wanted: number;
  /** Where it is placed, in order of priority; ids of replicas, one that is to take another's place among them. */
  readonly brokers: readonly number[];
  readonly replicas: readonly number[];
  readonly inSync: readonly number[];
  /** Replica that claimed to lead. */
  readonly leader?: number;
}

/** Somebody led a partition, or the metadata, in this term. */
export interface LeaderSeen {
  readonly partition: string;
  readonly term: number;
  readonly broker: number;
}

/** A stretch of time in which no broker reached, both ways and itself among them, as many replicas as ALL asks for. */
export interface Starved {
  readonly partition: string;
  readonly from: number;
  readonly to: number;
}

/** One life of a broker. */
export interface BrokerLife {
  readonly broker: number;
  /** From 1. */
  readonly life: number;
  /** When it began, milliseconds, of the clock of the history. */
  readonly from: number;
  /** It was killed; it stopped because it was told to; it runs; it said why it cannot go on, and that is why; or nothing explains it. */
  readonly end: "killed" | "stopped" | "running" | "explained" | "by itself";
  readonly error?: string;
}

/** What a broker holds when nothing is asked of it. */
export interface Held {
  readonly broker: number;
  /** In the plural. */
  readonly what: string;
  readonly count: number;
  /** As many are due at most. */
  readonly most: number;
}

/** The highest term of a group that any of its replicas was in. */
export interface TermSeen {
  readonly group: string;
  /** Milliseconds, of the clock of the history. */
  readonly at: number;
  readonly term: number;
}

/** Records of these partitions may go because of their age. */
export interface Retention {
  readonly partition: string;
  readonly retentionMs: number;
}

/** All that a run leaves behind for the checkers. */
export interface Evidence {
  readonly history: readonly HistoryRow[];
  readonly finals: readonly FinalRead[];
  readonly dumps: readonly ReplicaDump[];
  /** The furthest that a committed entry of a partition of `dumps` was seen to let go of, while brokers ran; only where one was seen. */
  readonly trimmed?: ReadonlyMap<string, number>;
  /** Partitions that were deleted with their topic: nobody promised to keep what they held. */
  readonly deleted?: ReadonlySet<string>;
  readonly leaders?: readonly LeaderSeen[];
  /** In the order of their facts. */
  readonly placements?: readonly PlacementRow[];
  readonly starved?: readonly Starved[];
  readonly retention?: readonly Retention[];
  /** By how much the clock that judges age may have been ahead; undefined: by any amount, so nobody knows how old anything looked. */
  readonly clockAheadMs?: number;
  readonly brokerLives?: readonly BrokerLife[];
  readonly held?: readonly Held[];
  /** Of each group in the order of time. */
  readonly terms?: readonly TermSeen[];
  /** When something began or ended by which leaders may be lost, ascending: a fault, a life of a broker. */
  readonly troubles?: readonly number[];
  /** From then on nobody troubled anything, and everybody had come to rest. */
  readonly quietSince?: number;
  /** Consumer groups as they are when all is well again. */
  readonly groups?: readonly FinalGroup[];
  /** What brokers, and their disks, make of a partition of `__groups`. */
  readonly groupStates?: readonly GroupStateSeen[];
  /** Offsets of a group that has been without members for so long may be forgotten; undefined: none ever is in a run. */
  readonly groupRetentionMs?: number;
}

export function sendsOf(evidence: Evidence): readonly SendRow[] {
  return evidence.history.filter((row) => row.f === "send");
}

export function readsOf(evidence: Evidence): readonly ReadRow[] {
  return evidence.history.filter((row) => row.f === "read");
}

/** Levels at which an acknowledgement is a promise to keep the record (the others are outside L2). */
export function isKept(row: SendRow): boolean {
  return row.type === "ok" && (row.acks === "QUORUM" || row.acks === "ALL");
}

/**
 * When somebody first wanted the topic of a partition to go, by the name of the partition: those of topics that come and go are named
 * "name#id-number". Infinity: nobody did.
 */
export function deletionsIn(evidence: Evidence): (partition: string) => number {
  const since = new Map<string, number>();
  for (const row of evidence.history)
    if (row.f === "topic" && row.op === "delete" && row.type !== "fail" && row.id !== undefined)
      since.set(row.id, Math.min(row.tInv, since.get(row.id) ?? row.tInv));
  return (partition) => {
    const [, id] = /#(.+)-\d+$/.exec(partition) ?? [];
    return since.get(id ?? "") ?? Number.POSITIVE_INFINITY;
  };
}
