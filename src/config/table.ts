import { defaultLimits, defaultLogOptions, defaultTimings, defaultTopicDefaults } from "../base/broker-config.ts";
import { defaultGroupSettings } from "../base/group-settings.ts";
import { defaultRpcServerLimits } from "../base/rpc-limits.ts";
import { address, bytes, choice, count, flag, ms, type Setting, seeds, text } from "./setting.ts";

const KiB = 1024;
const MiB = 1024 * KiB;
const GiB = 1024 * MiB;
const SECOND = 1000;
const MINUTE = 60 * SECOND;
const DAY = 24 * 60 * MINUTE;

/**
 * The one table of broker settings (design §12): flags, environment, file and the docs page are made from it. The defaults are
 * those of `base/broker-config.ts`, so that a broker built by a test is the broker built from an empty configuration.
 */
export const settings = {
  // Who and where
  "broker.id": count({ required: true, min: 1, max: 1_000_000_000, doc: "Number of this broker, unique in the cluster." }),
  data: text({ required: true, doc: "Directory for everything this broker stores." }),
  listen: address({ default: "127.0.0.1:7400", doc: "Where clients connect." }),
  advertise: address({ doc: "Where clients are told to connect; the address of listen when left out." }),
  "peer.listen": address({ default: "127.0.0.1:7401", doc: "Where other brokers connect." }),
  "peer.advertise": address({ doc: "Where other brokers are told to connect; the address of peer.listen when left out." }),
  "admin.listen": address({ default: "127.0.0.1:7402", doc: "Where /livez, /readyz, /startz and /metrics are served." }),
  "insecure.listen": flag({
    default: false,
    doc: "Allow listeners beyond this machine, although nothing is encrypted or authenticated yet.",
  }),
  "cluster.seeds": seeds({
    required: true,
    scope: "cluster",
    doc: "The voters of the metadata group with their peer addresses, the same on every broker.",
  }),
  "cluster.join": address({ doc: "Peer address of any live broker, for a broker that is not a seed." }),
  rack: text({ doc: "Replicas of a partition are spread over racks." }),

  // Time
  "heartbeat.ms": ms({
    default: defaultTimings.heartbeatMs,
    min: 10,
    max: 10 * SECOND,
    scope: "cluster",
    doc: "One message per pair of brokers and interval, for all partitions.",
  }),
  "election.min.ms": ms({
    default: defaultTimings.electionMinMs,
    min: 50,
    max: MINUTE,
    scope: "cluster",
    doc: "A follower waits at least this long for its leader.",
  }),
  "election.max.ms": ms({
    default: defaultTimings.electionMaxMs,
    min: 100,
    max: 2 * MINUTE,
    scope: "cluster",
    doc: "And at most this long; the time is drawn between the two.",
  }),
  "reconnect.grace.ms": ms({
    default: defaultTimings.reconnectGraceMs,
    min: 0,
    max: 10 * SECOND,
    doc: "A lost connection not back within this counts as a dead broker.",
  }),
  "replica.lag.max.ms": ms({
    default: defaultTimings.replicaLagMaxMs,
    min: 100,
    max: 10 * MINUTE,
    scope: "cluster",
    doc: "A follower not caught up for this long leaves the in-sync replicas.",
  }),
  "broker.session.ms": ms({
    default: defaultTimings.brokerSessionMs,
    min: 500,
    max: 10 * MINUTE,
    scope: "cluster",
    doc: "A broker the controller has not heard of for this long gets no new replicas.",
  }),
  "forward.wait.ms": ms({
    default: defaultTimings.forwardWaitMs,
    min: 0,
    max: MINUTE,
    doc: "How long a call waits for a leader to be known.",
  }),
  "shutdown.grace.ms": ms({
    default: defaultTimings.shutdownGraceMs,
    min: 0,
    max: 10 * MINUTE,
    doc: "How long a stopping broker waits for hand-overs and open calls.",
  }),
  "fetch.wait.max.ms": ms({
    default: defaultTimings.fetchWaitMaxMs,
    min: 0,
    max: 10 * MINUTE,
    doc: "Longest a long poll waits, whatever the caller asks.",
  }),
  "scrub.interval.ms": ms({
    default: defaultTimings.scrubIntervalMs,
    min: 0,
    max: 365 * DAY,
    doc: "All that is stored is read and checked once within this, at a rate that gives way to everything else; 0: only by `debug scrub`.",
  }),
  "log.retention.check.interval.ms": ms({
    default: defaultTimings.retentionCheckMs,
    min: 100,
    max: DAY,
    doc: "How often each partition is looked at for records that retention.ms and retention.bytes need not keep.",
  }),

  // Limits
  "max.message.bytes": bytes({
    default: defaultLimits.maxMessageBytes,
    min: KiB,
    max: 3 * MiB,
    doc: "Largest record set of one batch that this broker takes, whatever its topic allows.",
  }),
  "produce.pending.max.bytes": bytes({
    default: defaultLimits.producePendingMaxBytes,
    min: MiB,
    max: GiB,
    doc: "Bytes of one partition that wait for acknowledgement.",
  }),
  "forward.pending.max.bytes": bytes({
    default: defaultLimits.forwardPendingMaxBytes,
    min: MiB,
    max: 4 * GiB,
    doc: "Bytes of calls this broker holds or forwards, over all partitions, and of those that were given up until they have left it.",
  }),
  "stream.credit.bytes": bytes({
    default: defaultLimits.streamCreditBytes,
    min: 64 * KiB,
    max: 256 * MiB,
    doc: "Messages with unanswered batches of a produce stream, or unread batches of a subscription.",
  }),
  "stream.pending.max.bytes": bytes({
    default: defaultLimits.streamPendingMaxBytes,
    min: MiB,
    max: 64 * GiB,
    doc: "Messages with unanswered batches of all produce streams of a broker; above it none of them is read.",
  }),
  "subscribe.partitions.max": count({
    default: defaultLimits.subscribePartitionsMax,
    min: 1,
    max: 10_000_000,
    doc: "Partitions of all open subscriptions of a broker; the one that brings more is refused. Those of up to 16 partitions have a 16th more.",
  }),
  "fetch.default.bytes": bytes({
    default: defaultLimits.fetchDefaultBytes,
    min: KiB,
    max: 3 * MiB,
    doc: "One fetch reply when the caller does not say.",
  }),
  "fetch.max.bytes": bytes({ default: defaultLimits.fetchMaxBytes, min: MiB, max: 60 * MiB, doc: "One fetch reply at most." }),
  "reply.pending.max.bytes": bytes({
    default: defaultLimits.replyPendingMaxBytes,
    min: 8 * MiB,
    max: 64 * GiB,
    doc: "Bytes of answers that their readers have not taken, over all clients; while there are more, reads are refused.",
  }),
  "read.pending.max.bytes": bytes({
    default: defaultLogOptions.readPendingMaxBytes,
    min: 8 * MiB,
    max: 64 * GiB,
    doc: "Bytes that reads from the disk for callers may hold together; further reads wait for their turn.",
  }),
  "time.searches.max": count({
    default: defaultLimits.timeSearchesMax,
    min: 1,
    max: 1000,
    doc: "Searches by time (`ListOffsets`, `Subscribe`) that this broker runs at the same time as leader; the others wait for their turn.",
  }),
  "replica.catchup.rate.bytes": bytes({
    default: defaultLimits.catchUpBytesPerSecond,
    min: 0,
    max: 64 * GiB,
    doc: "Most of what this broker sends per second to all replicas that are far behind, 0 for no limit; down to a 16th of it while other work suffers.",
  }),
  "replica.catchups.max": count({
    default: defaultLimits.catchUpsMax,
    min: 1,
    max: 1000,
    doc: "Replicas that are far behind and are sent to at the same time; the others wait for their turn.",
  }),
  "metadata.snapshot.bytes": bytes({
    default: defaultLimits.metadataSnapshotBytes,
    min: 4 * KiB,
    max: GiB,
    doc: "A snapshot of the metadata, and of each partition of consumer groups, is taken after so many bytes of its log; what lies behind the older of the last two is trimmed.",
  }),
  "replica.replacements.max": count({
    default: defaultLimits.replacementsMax,
    min: 1,
    max: 10_000,
    doc: "Partitions of which a replica on a lost disk is replaced at the same time; the controller begins no more.",
  }),
  "partitions.per.topic.max": count({
    default: defaultLimits.partitionsPerTopicMax,
    min: 1,
    max: 100_000,
    scope: "cluster",
    doc: "Partitions of one topic.",
  }),
  "partitions.max": count({
    default: defaultLimits.partitionsMax,
    min: 1,
    max: 1_000_000,
    scope: "cluster",
    doc: "Partitions of all topics.",
  }),
  "client.connections.max": count({
    default: defaultRpcServerLimits.connectionsMax,
    min: 1,
    max: 100_000,
    doc: "Client connections at the same time; further ones are closed at once.",
  }),
  "client.preface.timeout.ms": ms({
    default: defaultRpcServerLimits.prefaceTimeoutMs,
    min: 100,
    max: 10 * MINUTE,
    doc: "Time a new client connection has to begin to speak HTTP/2.",
  }),
  "client.request.timeout.ms": ms({
    default: defaultRpcServerLimits.requestTimeoutMs,
    min: 100,
    max: 10 * MINUTE,
    doc: "Time a caller has to send its request, once begun; on a stream of requests each message by itself.",
  }),
  "client.answer.timeout.ms": ms({
    default: defaultRpcServerLimits.answerTimeoutMs,
    min: 100,
    max: 10 * MINUTE,
    doc: "Time a caller has to take an answer that is complete.",
  }),
  "request.pending.max.bytes": bytes({
    default: defaultRpcServerLimits.requestPendingBytesMax,
    min: 8 * MiB,
    max: 64 * GiB,
    doc: "Bytes of requests, half or whole, until their call ends, and of messages of streams until they are taken, over all clients; the call that brings more is refused. Streams have three quarters of it, calls of up to 64 KiB a 16th more.",
  }),
  "client.streams.max": count({
    default: defaultRpcServerLimits.streamsPerConnectionMax,
    min: 1,
    max: 100_000,
    doc: "Calls at the same time on one client connection.",
  }),
  "client.calls.max": count({
    default: defaultRpcServerLimits.callsMax,
    min: 1,
    max: 10_000_000,
    doc: "Calls at the same time over all client connections; further ones are refused. A 16th of them is kept for calls that are no streams or long polls, half of that for health checks.",
  }),

  // The log
  "wal.file.bytes": bytes({ default: defaultLogOptions.walFileBytes, min: 16 * MiB, max: GiB, doc: "One file of the write-ahead log." }),
  "wal.files.max": count({
    default: defaultLogOptions.walFilesMax,
    min: 4,
    max: 256,
    doc: "Files of the write-ahead log; there may be more where votes had no room in them.",
  }),
  "segment.bytes": bytes({ default: defaultLogOptions.segmentBytes, min: MiB, max: 4 * GiB, doc: "A segment is closed at this size." }),
  "segment.ms": ms({ default: defaultLogOptions.segmentMs, min: SECOND, max: 3650 * DAY, doc: "A segment is closed at this age." }),
  "hot.tail.bytes": bytes({
    default: defaultLogOptions.hotTailBytes,
    min: 4 * MiB,
    max: 64 * GiB,
    doc: "Memory for the newest records of all partitions.",
  }),
  "disk.reserve.bytes": bytes({
    default: defaultLogOptions.diskReserveBytes,
    min: 0,
    max: 1024 * GiB,
    doc: "With less free space than this no records are taken; elections, reads, retention and deletions go on in it.",
  }),

  // Topics whose creator does not say
  "default.partitions": count({
    default: defaultTopicDefaults.partitions,
    min: 1,
    max: 1000,
    scope: "cluster",
    doc: "Partitions of a new topic.",
  }),
  "default.replicas": count({
    default: defaultTopicDefaults.replicas,
    min: 1,
    max: 15,
    scope: "cluster",
    doc: "Replicas of a new topic; lowered to the number of live brokers.",
  }),

  // Consumer groups
  "group.session.timeout.ms": ms({
    default: defaultGroupSettings.sessionTimeoutMs,
    min: SECOND,
    max: 60 * MINUTE,
    scope: "cluster",
    doc: "A member of a consumer group that nothing is heard of for so long is removed; its partitions go to others.",
  }),
  "group.heartbeat.interval.ms": ms({
    default: defaultGroupSettings.heartbeatIntervalMs,
    min: 100,
    max: 10 * MINUTE,
    scope: "cluster",
    doc: "How often members are told to send a heartbeat.",
  }),
  "group.rebalance.timeout.ms": ms({
    default: defaultGroupSettings.rebalanceTimeoutMs,
    min: SECOND,
    max: DAY,
    scope: "cluster",
    doc: "Time a member has to give partitions back when it does not say; then it is removed.",
  }),
  "group.rebalance.timeout.max.ms": ms({
    default: defaultGroupSettings.rebalanceTimeoutMsMax,
    min: SECOND,
    max: DAY,
    scope: "cluster",
    doc: "Longest such time that a member may ask for.",
  }),
  "group.offsets.retention.ms": ms({
    default: defaultGroupSettings.offsetsRetentionMs,
    min: MINUTE,
    max: 3650 * DAY,
    scope: "cluster",
    doc: "Committed offsets of a group that has had no members for so long are forgotten, while the wall clock may be trusted.",
  }),
  "groups.per.coordinator.max": count({
    default: defaultGroupSettings.groupsMax,
    min: 1,
    max: 1_000_000,
    scope: "cluster",
    doc: "Consumer groups of each of the 16 partitions of `__groups`.",
  }),
  "group.members.max": count({
    default: defaultGroupSettings.membersPerGroupMax,
    min: 1,
    max: 10_000,
    scope: "cluster",
    doc: "Members of one consumer group.",
  }),
  "group.topics.per.member.max": count({
    default: defaultGroupSettings.topicsPerMemberMax,
    min: 1,
    max: 10_000,
    scope: "cluster",
    doc: "Topics that a member subscribes to.",
  }),
  "group.offsets.max": count({
    default: defaultGroupSettings.offsetsPerGroupMax,
    min: 1,
    max: 1_000_000,
    scope: "cluster",
    doc: "Partitions of which a group has committed offsets, or that one seek or deletion names.",
  }),
  "group.offsets.per.commit.max": count({
    default: defaultGroupSettings.offsetsPerCommitMax,
    min: 1,
    max: 10_000,
    scope: "cluster",
    doc: "Partitions in one `CommitOffsets`.",
  }),
  "offset.metadata.max.bytes": bytes({
    default: defaultGroupSettings.offsetMetadataBytesMax,
    min: 0,
    max: 64 * KiB,
    scope: "cluster",
    doc: "Text beside one committed offset.",
  }),

  // What the broker says
  "log.level": choice({
    default: "info",
    choices: ["debug", "info", "warn", "error"],
    doc: "Events below this level are not written.",
  }),
  "log.output": choice({ default: "stderr", choices: ["stderr", "stdout"], doc: "Where events go, one JSON object per line." }),
  "metrics.partitions.max": count({
    default: 900,
    min: 0,
    max: 900,
    doc: "Partitions with series of their own in /metrics, of which consumer groups take the room of up to a half; the rest is told in sums, and how many were left out.",
  }),
  reflection: flag({ default: true, doc: "Serve gRPC reflection, so that tools need no .proto files." }),
};

export type SettingKey = keyof typeof settings;
export type SettingValue<K extends SettingKey> = (typeof settings)[K] extends Setting<infer T> ? T : never;

export const settingKeys = Object.keys(settings) as SettingKey[];

export function isSettingKey(key: string): key is SettingKey {
  return Object.hasOwn(settings, key);
}

/** "max.message.bytes" → "MILLRACE_MAX_MESSAGE_BYTES". */
export function environmentName(key: string): string {
  return `MILLRACE_${key.toUpperCase().replaceAll(".", "_")}`;
}
