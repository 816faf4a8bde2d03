import { errors } from "./errors.ts";

/** One counter or histogram that code on floors 0 to 3 feeds. Exported as `millrace_` and the id, `_` for everything that is no letter or digit. */
export interface MeterSpec {
  readonly help: string;
  /** Its one label and every value it takes: what is bounded here cannot grow there. */
  readonly label?: { readonly name: string; readonly values: readonly string[] };
}

const acks = { name: "acks", values: ["all", "quorum", "leader", "none"] } as const;
const code = { name: "code", values: Object.keys(errors) } as const;

/** Counters, by the name given to `Telemetry.count`; exported with `_total` at the end. */
export const counters = {
  "grpc.handler_failed": { help: "Handlers that threw a bug." },
  log_frames_repaired_total: { help: "Frames of damaged segments that were copied from another replica." },
  log_holes_found_total: { help: "Ranges of frames found damaged." },
  "produce.records": { help: "Records acknowledged to callers of this broker, by acks level.", label: acks },
  "produce.bytes": { help: "Bytes of record sets acknowledged to callers of this broker, by acks level.", label: acks },
  "produce.failed": { help: "Batches refused, or of unknown outcome, by error code.", label: code },
  "fetch.records": { help: "Records handed to readers, through this broker." },
  "fetch.bytes": { help: "Bytes of record sets handed to readers, through this broker." },
  "fetch.failed": { help: "Reads that failed, by error code.", label: code },
} as const satisfies Readonly<Record<string, MeterSpec>>;

export type CounterId = keyof typeof counters;

/** Histograms of seconds, by the name given to `Telemetry.observe`. */
export const histograms = {
  "produce.seconds": { help: "From a batch at this broker's door to its acknowledgement, by acks level.", label: acks },
  "fetch.seconds": { help: "From a read at this broker's door to its answer; waiting for records to come is part of it." },
} as const satisfies Readonly<Record<string, MeterSpec>>;

export type HistogramId = keyof typeof histograms;

/** A partition this broker holds a replica of, as it is now. */
export interface PartitionNumbers {
  readonly topic: string;
  readonly partition: number;
  readonly leads: boolean;
  /** Leads and takes calls. */
  readonly serves: boolean;
  /** A leader is known. */
  readonly led: boolean;
  /** It lost what it promised, and takes no part until it has learned it again. */
  readonly quarantined: boolean;
  readonly replicas: number;
  /** Of a leader; 0 elsewhere. */
  readonly inSyncReplicas: number;
  readonly minInSyncReplicas: number;
  readonly logStartOffset: number;
  readonly highWatermark: number;
  readonly logEndOffset: number;
  readonly pendingBytes: number;
  readonly pendingBatches: number;
}

/** A partition of a group, as it is now. */
export interface GroupPartitionNumbers {
  readonly topic: string;
  readonly partition: number;
  /** Undefined: neither its leader nor a replica here could be asked. */
  readonly lagRecords: number | undefined;
  /** From the first record the group has not done with to the newest, in the log's own time. Undefined: there is lag, and its age could not be read. */
  readonly lagSeconds: number | undefined;
  readonly verdict: "ok" | "warn" | "stalled" | "stopped" | "rewind";
}

/** A consumer group that this broker coordinates, as it is now. */
export interface GroupNumbers {
  readonly group: string;
  readonly state: "empty" | "reconciling" | "stable";
  readonly members: number;
  readonly partitions: readonly GroupPartitionNumbers[];
}

/** What a broker knows about itself now. Every number is read when it is asked for. */
export interface BrokerNumbers {
  /** It leads the metadata group. */
  readonly controller: boolean;
  readonly controllerKnown: boolean;
  readonly metadataVersion: number;
  readonly topics: number;
  readonly brokersKnown: number;
  /** Of them, those connected now, this one included. */
  readonly brokersConnected: number;
  /** Calls that wait for a leader to be known, and calls handed on, not yet answered. */
  readonly heldBytes: number;
  readonly forwardedBytes: number;
  /** Files of the write-ahead log that may not be used again yet, and those there may be. */
  readonly walFilesUsed: number;
  readonly walFilesMax: number;
  /** Bytes of frames that are not known to be committed, and where leaders stop to append. */
  readonly uncommittedBytes: number;
  readonly uncommittedBytesMax: number;
  /** Free below the data directory, undefined when the file system does not say; below the reserve no records are taken. */
  readonly diskFreeBytes: number | undefined;
  readonly diskReserveBytes: number;
  readonly diskFull: boolean;
  /** What replicas that are far behind are sent per second, at most; 0: no limit. */
  readonly catchUpBytesPerSecond: number;
  /** Its wall clock against the median of the brokers' clocks, undefined when no other is known. */
  readonly clockAheadSeconds: number | undefined;
  /** Retention may judge age by its wall clock. */
  readonly ageTrusted: boolean;
  readonly partitionCount: number;
  /** One at a time, so that the reader may pause between two. */
  partitions(): Iterable<PartitionNumbers>;
  /** Consumer groups that it coordinates. */
  readonly groupCount: number;
  /** So many of them at most, one at a time. Leaders of partitions are asked for the ends of their logs, which takes no longer than two seconds. */
  groups(most: number): AsyncIterable<GroupNumbers>;
}
