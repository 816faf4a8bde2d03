import type { MillraceError } from "../../base/errors.ts";
import type { BrokerId, GroupId, Offset, Term, TopicId } from "../../base/ids.ts";
import type { Clock } from "../../base/ports/clock.ts";
import type { LogStore } from "../../log/types.ts";
import type { FrameDraft } from "../../records/frame-types.ts";
import type { Member } from "../members.ts";
import type { AcksLevel } from "./acks.ts";
import type { IsrAnswer, IsrCommand, IsrRecord } from "./isr-tracker.ts";
import type { Partition } from "./partition.ts";

/** One batch at the door of a partition: walked, counted and checksummed at the edge. */
export interface AppendBatch {
  readonly draft: FrameDraft;
  readonly acks: AcksLevel;
}

/** What an acknowledged batch became. */
export interface Appended {
  readonly baseOffset: Offset;
  readonly recordCount: number;
  readonly term: Term;
  readonly highWatermark: Offset;
  /** Brokers that had it durable when the answer was made. */
  readonly durableBrokers: readonly BrokerId[];
  readonly duplicate: boolean;
  /** Milliseconds since 1970. */
  readonly appendTime: number;
}

export type AppendDone = (outcome: Appended | MillraceError) => void;

/** What the metadata says of a partition; taken anew when the image changes. */
export interface PartitionSettings {
  readonly isr: IsrRecord;
  /** undefined: the default for the number of replicas. */
  readonly minInsyncReplicas: number | undefined;
  readonly acksMin: AcksLevel;
  /** How long and how much is kept; undefined: for ever, everything. */
  readonly retention: { readonly retentionMs: number | undefined; readonly retentionBytes: number | undefined };
  readonly segments: { readonly segmentBytes: number; readonly segmentMs: number };
  /** `message.timestamp.type=append`. */
  readonly appendTimed: boolean;
}

export interface PartitionOptions {
  readonly topicId: TopicId;
  readonly topic: string;
  readonly number: number;
  readonly groupId: GroupId;
  /** Who belongs to the group now, learners included. */
  readonly members: readonly Member[];
  readonly pendingBytesMax: number;
  readonly replicaLagMaxMs: number;
  readonly silentMs: number;
  readonly isrRetryMs: number;
}

export interface PartitionPorts {
  readonly clock: Clock;
  /** Sends an ISR command to the controller; `answered` is called exactly once. */
  askController(command: IsrCommand, answered: (answer: IsrAnswer) => void): void;
  /** Readers may find something new, or this replica began or ceased to serve. */
  moved(partition: Partition): void;
  /** How much of the write-ahead log, over all partitions, is not committed. */
  readonly ring: Pick<LogStore, "uncommittedBytes" | "uncommittedBytesMax" | "takes" | "space">;
  /** That broker said that its disk has no room. */
  diskFull(broker: BrokerId): boolean;
  /** It is there, and did not say that it leaves. */
  stays(broker: BrokerId): boolean;
  /** Topic settings are as new as this broker's start: before that, weaker rules than the topic's might be applied. */
  settled(): boolean;
}
