import type { GroupSettings } from "./group-settings.ts";
import type { BrokerId } from "./ids.ts";

/**
 * Everything `createBroker` is told (design §10, §12). A plain object: `config/` makes one from flags, environment and file;
 * tests and the simulation make theirs from `defaultBrokerConfig`. All addresses are "host:port", all times milliseconds.
 */
export interface BrokerConfig {
  readonly brokerId: BrokerId;
  /** The voters of the metadata group with their peer addresses: 1, 3 or 5, the same on all brokers. */
  readonly seeds: readonly SeedAddress[];
  /** Peer address of any live broker, for one that is not a seed. */
  readonly join: string | undefined;
  /** Replicas of a partition are spread over racks. */
  readonly rack: string | undefined;
  /** Where the RPC server listens. */
  readonly listen: string;
  /** What clients are told. */
  readonly advertise: string;
  /** Where other brokers connect. */
  readonly peerListen: string;
  /** What other brokers are told. */
  readonly peerAdvertise: string;
  readonly timings: BrokerTimings;
  readonly limits: BrokerLimits;
  readonly log: BrokerLogOptions;
  readonly topicDefaults: TopicDefaults;
  readonly groups: GroupSettings;
}

export interface SeedAddress {
  readonly id: BrokerId;
  /** Peer address. */
  readonly address: string;
}

export interface BrokerTimings {
  /** One message per broker pair and interval, for all groups. */
  readonly heartbeatMs: number;
  /** A follower that hears nothing for a random time in [min, max] asks for votes. */
  readonly electionMinMs: number;
  readonly electionMaxMs: number;
  /** A lost connection not back within this is evidence of death (design §5). */
  readonly reconnectGraceMs: number;
  /** A follower not caught up for this long leaves the in-sync replicas. */
  readonly replicaLagMaxMs: number;
  /** A broker the controller has not heard of for this long is fenced. */
  readonly brokerSessionMs: number;
  /** How long a call waits for a leader to be known before LEADER_UNKNOWN. */
  readonly forwardWaitMs: number;
  /** How long a stopping broker waits for hand-overs and open calls. */
  readonly shutdownGraceMs: number;
  /** Longest time a long poll waits, whatever the caller asks. */
  readonly fetchWaitMaxMs: number;
  /** How often each partition is looked at for records that need not be kept any more. */
  readonly retentionCheckMs: number;
  /** All that is stored is read once within so much time, and checked; 0: never by itself. */
  readonly scrubIntervalMs: number;
}

/** Every size, count and queue that a caller could fill (design §8). */
export interface BrokerLimits {
  /** One record set, as received, whatever its topic allows. */
  readonly maxMessageBytes: number;
  /** Bytes of one partition that wait for acknowledgement. */
  readonly producePendingMaxBytes: number;
  /** Bytes of calls held or forwarded by this broker, over all partitions. */
  readonly forwardPendingMaxBytes: number;
  /** Bytes that messages with unanswered batches of a produce stream, or unread batches of a subscription, may have. */
  readonly streamCreditBytes: number;
  /** The same of all produce streams; above it none is read. */
  readonly streamPendingMaxBytes: number;
  /** Partitions of all open subscriptions. */
  readonly subscribePartitionsMax: number;
  /** One fetch reply when the caller does not say. */
  readonly fetchDefaultBytes: number;
  /** One fetch reply at most (callers that raised their own receive limit). */
  readonly fetchMaxBytes: number;
  /** Bytes per second this broker sends to replicas that are far behind, over all of them; 0: no limit. */
  readonly catchUpBytesPerSecond: number;
  /** Replicas that are far behind and are sent to at the same time. */
  readonly catchUpsMax: number;
  /** A snapshot of the metadata is taken when so many bytes of its log were replayed since the last one. */
  readonly metadataSnapshotBytes: number;
  /** Partitions of which the controller lets a lost replica be replaced at the same time. */
  readonly replacementsMax: number;
  /** Bytes of answers that their readers have not taken, over all callers. */
  readonly replyPendingMaxBytes: number;
  /** Searches by time that run at the same time. */
  readonly timeSearchesMax: number;
  readonly partitionsPerTopicMax: number;
  readonly partitionsMax: number;
}

/** `LogStoreOptions` without its callback. */
export interface BrokerLogOptions {
  readonly walFileBytes: number;
  readonly walFilesMax: number;
  readonly segmentBytes: number;
  readonly segmentMs: number;
  readonly hotTailBytes: number;
  /** Reads from the disk for callers, together. */
  readonly readPendingMaxBytes: number;
  /** Below so many free bytes no records are taken. */
  readonly diskReserveBytes: number;
}

/** What a topic gets when its creator does not say. Its other settings have defaults of their own (cluster/topic-config.ts). */
export interface TopicDefaults {
  readonly partitions: number;
  /** Lowered to the number of live brokers. */
  readonly replicas: number;
}

const KiB = 1024;
const MiB = 1024 * KiB;
const DAY_MS = 24 * 60 * 60 * 1000;

export const defaultTimings: BrokerTimings = {
  heartbeatMs: 100,
  electionMinMs: 500,
  electionMaxMs: 1000,
  reconnectGraceMs: 150,
  replicaLagMaxMs: 10_000,
  brokerSessionMs: 9_000,
  forwardWaitMs: 2_000,
  shutdownGraceMs: 10_000,
  fetchWaitMaxMs: 30_000,
  scrubIntervalMs: 7 * DAY_MS,
  retentionCheckMs: 5 * 60_000,
};

export const defaultLimits: BrokerLimits = {
  maxMessageBytes: 3 * MiB,
  producePendingMaxBytes: 16 * MiB,
  forwardPendingMaxBytes: 64 * MiB,
  streamCreditBytes: 4 * MiB,
  streamPendingMaxBytes: 256 * MiB,
  subscribePartitionsMax: 100_000,
  fetchDefaultBytes: 1 * MiB,
  fetchMaxBytes: 60 * MiB,
  catchUpBytesPerSecond: 64 * MiB,
  catchUpsMax: 4,
  metadataSnapshotBytes: 4 * MiB,
  replacementsMax: 16,
  replyPendingMaxBytes: 256 * MiB,
  timeSearchesMax: 4,
  partitionsPerTopicMax: 1_000,
  partitionsMax: 10_000,
};

export const defaultLogOptions: BrokerLogOptions = {
  walFileBytes: 64 * MiB,
  walFilesMax: 16,
  segmentBytes: 128 * MiB,
  segmentMs: 7 * DAY_MS,
  hotTailBytes: 64 * MiB,
  readPendingMaxBytes: 128 * MiB,
  diskReserveBytes: 512 * MiB,
};

export const defaultTopicDefaults: TopicDefaults = {
  partitions: 1,
  replicas: 3,
};
