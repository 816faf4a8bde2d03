import { MillraceError } from "../../base/errors.ts";
import { type LogIndex, METADATA_GROUP } from "../../base/ids.ts";
import { configurationOf } from "../../broker/members.ts";
import { GROUPS_TOPIC } from "../../cluster/internal-topics.ts";
import { openLogStore } from "../../log/store.ts";
import { GroupConfig } from "../../protocol/routing.ts";
import { type Frame, FrameType } from "../../records/frame-types.ts";
import { trimOf } from "../../records/trim.ts";
import type { GroupStateSeen } from "../checkers/groups/rows.ts";
import type { Evidence, FinalRead, ReadRecord, ReplicaDump, VotersRow } from "../checkers/history.ts";
import { readPayload } from "../checkers/payload.ts";
import type { Machine, MachinePorts } from "../sim/machine.ts";
import { pump } from "../sim/pump.ts";
import type { World } from "../sim/world.ts";
import { frameHash } from "./broker-views.ts";
import { simClient, wait } from "./clients.ts";
import { brokerConfigs } from "./config.ts";
import { dumpMachine, groupsMachine, type MakeReplayed, metadataMachine } from "./machine-dump.ts";
import { LIVENESS_MS } from "./phases/liveness.ts";
import type { Run } from "./run.ts";
import type { SimCluster } from "./sim-cluster.ts";
import { SimTelemetry } from "./telemetry.ts";
import { partitionName, type Topic } from "./topic.ts";

/** Groups of the log as dumps name them. */
const dumpName = (groupId: number): string => `group ${groupId}`;
const METADATA_ONLY: ReadonlyMap<number, MakeReplayed> = new Map([[METADATA_GROUP, metadataMachine]]);
const METADATA_NAME = dumpName(METADATA_GROUP);

/** A client that never saw the topics before reads all of them; then every disk is opened as recovery does. */
export async function collect(run: Run): Promise<Evidence> {
  const { world, cluster } = run;
  const reader = world.machine("c3").boot();
  const finals: FinalRead[] = [];
  const lasting = [...run.lasting.values()].map(({ topic, id }) => ({ topic, label: `${topic.name}#${id}` }));
  for (const { topic, label } of [...run.topics.map((one) => ({ topic: one, label: one.name })), ...lasting])
    finals.push(...(await run.within(LIVENESS_MS, `V1: ${label} could not be read`, readAll(world, reader, run.brokers, topic, label))));
  const commits = commitsOf(cluster);
  run.witness.end();
  const live = [...cluster.groupStates()];
  const machines = new Map(METADATA_ONLY);
  for (const groupId of run.witness.metadata.image.topicByName(GROUPS_TOPIC)?.groups ?? []) machines.set(groupId, groupsMachine);
  cluster.shutDown();
  const dumps: ReplicaDump[] = [];
  for (const machine of cluster.machines) dumps.push(...(await pump(world.scheduler, dumpDisk(world, machine, commits, machines))));
  const history = run.history.finished();
  const there = new Set(finals.map(({ partition }) => partition));
  const deleted = new Set(
    history.flatMap((row) => ("partition" in row && row.partition.includes("#") && !there.has(row.partition) ? [row.partition] : [])),
  );
  return {
    history,
    finals,
    dumps,
    trimmed: new Map([...cluster.trims.asked].map(([group, before]) => [dumpName(group), before])),
    deleted,
    groupStates: [...live, ...statesIn(dumps)],
    ...(run.groups.used ? { groups: run.restedGroups, groupRetentionMs: cluster.groupRetentionMs } : {}),
    ...run.witness.evidence,
  };
}

/** What the files make of partitions of `__groups`. */
function statesIn(dumps: readonly ReplicaDump[]): readonly GroupStateSeen[] {
  return dumps.flatMap(({ partition, replica, machine }) =>
    partition === METADATA_NAME
      ? []
      : (machine?.states ?? []).map(({ index, hash }) => ({ partition, index, hash, where: `files of ${replica}` })),
  );
}

/** Everything of the topic, as the history names it. Tries until it succeeds: the caller bounds the time. */
export async function readAll(
  world: World,
  ports: MachinePorts,
  brokers: number,
  topic: Topic,
  label: string,
): Promise<readonly FinalRead[]> {
  const client = simClient(world, ports, brokers);
  for (;;) {
    try {
      const offsets = await client.admin().listOffsets(topic.name, [], { timeoutMs: 2_000 });
      if (offsets.length !== topic.partitions || offsets.some(({ error }) => error !== undefined))
        throw new MillraceError("LEADER_UNKNOWN", "Not all partitions answered");
      const records = offsets.map((): ReadRecord[] => []);
      const consumer = client.consumer();
      consumer.assign(
        offsets.map(({ partition, logStartOffset, highWatermark }) => ({
          topic: topic.name,
          partition,
          from: { offset: Number(logStartOffset) },
          until: { offset: Number(highWatermark) },
        })),
      );
      await consumer.run({
        onBatch: (batch) => {
          for (const record of batch)
            records[batch.partition]?.push({
              offset: record.offset,
              timestampMs: record.timestampMs,
              ...readPayload(record.value ?? new Uint8Array(0)),
            });
        },
      });
      return offsets.map(({ partition, logStartOffset }) => ({
        partition: partitionName(label, partition),
        logStart: Number(logStartOffset),
        readAt: world.now,
        records: records[partition] ?? [],
      }));
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error;
      await wait(ports, 100);
    }
  }
}

/** What every replica knew to be committed and had on disk: only that must be there again. A commit may run ahead of this disk. */
export function commitsOf(cluster: SimCluster): ReadonlyMap<string, number> {
  return new Map(
    [...cluster.replicas()].map(({ replica }) => [`${replica.groupId}/${replica.id}`, Math.min(replica.core.commit, replica.core.durable)]),
  );
}

/** Opens a stopped broker's disk as recovery does, and takes every frame of every group out of it. */
export async function dumpDisk(
  world: World,
  machine: Machine,
  commits: ReadonlyMap<string, number>,
  machines: ReadonlyMap<number, MakeReplayed> = METADATA_ONLY,
): Promise<readonly ReplicaDump[]> {
  const ports = machine.boot();
  const telemetry = new SimTelemetry(world, `${ports.process.name} dump`, new Map());
  const [config] = brokerConfigs(1, world.random.fork("config"));
  if (config === undefined) return [];
  const store = await openLogStore({ ...ports, telemetry }, { ...config.log, failed: (error) => world.scheduler.fail(error) });
  const dumps: ReplicaDump[] = [];
  for (const { groupId, replicaId, lastIndex } of store.recovered) {
    const log = store.open(groupId, () => 0 as LogIndex);
    const entries: ReplicaDump["entries"][number][] = [];
    const configurations: VotersRow[] = [];
    const trims: { index: number; before: number }[] = [];
    for (let index = log.start.index + 1; index <= lastIndex; ) {
      const read = await log.read(index as LogIndex, 256 * 1024, lastIndex);
      if (read.kind === "below-start") {
        // What a trim had left for later goes as soon as the log is open.
        entries.length = 0;
        configurations.length = 0;
        trims.length = 0;
        index = log.start.index + 1;
        continue;
      }
      if (read.frames.length === 0) throw new Error(`${machine.name}: group ${groupId} cannot be read from index ${index}`);
      for (const frame of read.frames) {
        entries.push({ index: frame.index, term: frame.term, baseOffset: frame.baseOffset, hash: frameHash(frame) });
        if (frame.type === FrameType.config) configurations.push(votersIn(frame));
        const before = trimOf(frame);
        if (before !== undefined) trims.push({ index: frame.index, before });
      }
      index += read.frames.length;
    }
    const make = machines.get(groupId);
    const commit = commits.get(`${groupId}/${replicaId}`) ?? 0;
    dumps.push({
      partition: dumpName(groupId),
      replica: `${machine.name}/${replicaId}`,
      commit,
      entries,
      logStart: log.startOffset,
      trims,
      configurations,
      ...(make === undefined ? {} : { machine: await dumpMachine(store, groupId, log, commit, make) }),
    });
  }
  return dumps;
}

function votersIn({ index, payload }: Frame): VotersRow {
  const { voters, old } = configurationOf(GroupConfig.decode(payload));
  return { index, voters, ...(old === undefined ? {} : { old }) };
}
