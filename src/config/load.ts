import type { BrokerConfig } from "../base/broker-config.ts";
import { toBrokerId } from "../base/ids.ts";
import type { LogLevel } from "../base/ports/telemetry.ts";
import type { RpcServerLimits } from "../base/rpc-limits.ts";
import { ConfigError, type ConfigProblem } from "./config-error.ts";
import { findConflicts, listenWarnings } from "./conflicts.ts";
import { fromEnvironment, fromFile, fromFlags } from "./sources.ts";
import { readValues, type SettingValues } from "./values.ts";

export interface ConfigSources {
  /** By key of the table, as text; undefined values were not given. */
  readonly flags?: Readonly<Record<string, string | undefined>>;
  /** The environment of the process; only `MILLRACE_…` is looked at. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** A YAML file that was read; `name` is for messages. */
  readonly file?: { readonly name: string; readonly text: string };
}

/** All a broker process is told. */
export interface ProcessConfig {
  readonly broker: BrokerConfig;
  readonly data: string;
  readonly adminListen: string;
  readonly log: { readonly level: LogLevel; readonly output: "stderr" | "stdout" };
  readonly metricsPartitionsMax: number;
  readonly rpc: Partial<RpcServerLimits> & { readonly reflection: boolean };
  /** Said once at start. */
  readonly warnings: readonly string[];
  readonly values: SettingValues;
}

/**
 * Reads all that was given and finds all that is wrong with it, whether or not a broker could run on it.
 *
 * @param complete a required setting that is missing is a problem; not so for a file that is one part of a configuration
 * @throws {ConfigError} when the file is not one of settings at all
 */
export function checkConfig(
  { flags = {}, env = {}, file }: ConfigSources,
  complete: boolean,
): { readonly values: SettingValues; readonly problems: readonly ConfigProblem[] } {
  const inFile = file === undefined ? { given: [], problems: [] } : fromFile(file);
  const given = [...inFile.given, ...fromEnvironment(env), ...fromFlags(flags)];
  const read = readValues(
    given,
    inFile.problems.map(({ key }) => key),
    complete,
  );
  return { values: read.values, problems: [...inFile.problems, ...read.problems, ...findConflicts(read.values)] };
}

/**
 * Flags win over the environment, the environment over the file, the file over the defaults.
 * @throws {ConfigError} naming everything that is wrong
 */
export function loadConfig(sources: ConfigSources): ProcessConfig {
  const { values, problems } = checkConfig(sources, true);
  if (problems.length > 0) throw new ConfigError(problems);
  return {
    broker: brokerConfig(values),
    data: values.get("data"),
    adminListen: values.get("admin.listen"),
    log: { level: values.get("log.level"), output: values.get("log.output") },
    metricsPartitionsMax: values.get("metrics.partitions.max"),
    rpc: {
      connectionsMax: values.get("client.connections.max"),
      streamsPerConnectionMax: values.get("client.streams.max"),
      callsMax: values.get("client.calls.max"),
      prefaceTimeoutMs: values.get("client.preface.timeout.ms"),
      requestTimeoutMs: values.get("client.request.timeout.ms"),
      answerTimeoutMs: values.get("client.answer.timeout.ms"),
      requestPendingBytesMax: values.get("request.pending.max.bytes"),
      reflection: values.get("reflection"),
    },
    warnings: listenWarnings(values),
    values,
  };
}

function brokerConfig(values: SettingValues): BrokerConfig {
  return {
    brokerId: toBrokerId(values.get("broker.id")),
    seeds: values.get("cluster.seeds").map(({ id, address }) => ({ id: toBrokerId(id), address })),
    join: values.find("cluster.join"),
    rack: values.find("rack"),
    listen: values.get("listen"),
    advertise: values.find("advertise") ?? values.get("listen"),
    peerListen: values.get("peer.listen"),
    peerAdvertise: values.find("peer.advertise") ?? values.get("peer.listen"),
    timings: {
      heartbeatMs: values.get("heartbeat.ms"),
      electionMinMs: values.get("election.min.ms"),
      electionMaxMs: values.get("election.max.ms"),
      reconnectGraceMs: values.get("reconnect.grace.ms"),
      replicaLagMaxMs: values.get("replica.lag.max.ms"),
      brokerSessionMs: values.get("broker.session.ms"),
      forwardWaitMs: values.get("forward.wait.ms"),
      shutdownGraceMs: values.get("shutdown.grace.ms"),
      fetchWaitMaxMs: values.get("fetch.wait.max.ms"),
      scrubIntervalMs: values.get("scrub.interval.ms"),
      retentionCheckMs: values.get("log.retention.check.interval.ms"),
    },
    limits: {
      maxMessageBytes: values.get("max.message.bytes"),
      producePendingMaxBytes: values.get("produce.pending.max.bytes"),
      forwardPendingMaxBytes: values.get("forward.pending.max.bytes"),
      streamCreditBytes: values.get("stream.credit.bytes"),
      streamPendingMaxBytes: values.get("stream.pending.max.bytes"),
      subscribePartitionsMax: values.get("subscribe.partitions.max"),
      fetchDefaultBytes: values.get("fetch.default.bytes"),
      fetchMaxBytes: values.get("fetch.max.bytes"),
      catchUpBytesPerSecond: values.get("replica.catchup.rate.bytes"),
      catchUpsMax: values.get("replica.catchups.max"),
      metadataSnapshotBytes: values.get("metadata.snapshot.bytes"),
      replacementsMax: values.get("replica.replacements.max"),
      replyPendingMaxBytes: values.get("reply.pending.max.bytes"),
      timeSearchesMax: values.get("time.searches.max"),
      partitionsPerTopicMax: values.get("partitions.per.topic.max"),
      partitionsMax: values.get("partitions.max"),
    },
    log: {
      walFileBytes: values.get("wal.file.bytes"),
      walFilesMax: values.get("wal.files.max"),
      segmentBytes: values.get("segment.bytes"),
      segmentMs: values.get("segment.ms"),
      hotTailBytes: values.get("hot.tail.bytes"),
      readPendingMaxBytes: values.get("read.pending.max.bytes"),
      diskReserveBytes: values.get("disk.reserve.bytes"),
    },
    topicDefaults: { partitions: values.get("default.partitions"), replicas: values.get("default.replicas") },
    groups: {
      sessionTimeoutMs: values.get("group.session.timeout.ms"),
      heartbeatIntervalMs: values.get("group.heartbeat.interval.ms"),
      rebalanceTimeoutMs: values.get("group.rebalance.timeout.ms"),
      rebalanceTimeoutMsMax: values.get("group.rebalance.timeout.max.ms"),
      offsetsRetentionMs: values.get("group.offsets.retention.ms"),
      groupsMax: values.get("groups.per.coordinator.max"),
      membersPerGroupMax: values.get("group.members.max"),
      topicsPerMemberMax: values.get("group.topics.per.member.max"),
      offsetsPerGroupMax: values.get("group.offsets.max"),
      offsetsPerCommitMax: values.get("group.offsets.per.commit.max"),
      offsetMetadataBytesMax: values.get("offset.metadata.max.bytes"),
    },
  };
}
