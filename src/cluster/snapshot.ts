import { invariant } from "../base/invariant.ts";
import { bool, int32, int64, type MessageOf, map, message, optional, repeated, string, submessage } from "../protocol/codec/index.ts";
import { SeedFact } from "./facts.ts";
import { levelsOf } from "./feature-levels.ts";
import {
  brokerIdField,
  clusterIdField,
  groupIdField,
  incarnationField,
  logIndexField,
  producerIdField,
  replicaIdField,
  termField,
  topicIdField,
} from "./fields.ts";
import { emptyState, type ImageState, indexPartition, type PartitionImage, type ReplicaImage, type TombstoneImage } from "./image-state.ts";

/** The whole image as one message, in canonical order: equal images give equal bytes (property C6: replay = live). */

const Broker = message("millrace.internal.v1.BrokerImage", {
  id: brokerIdField(1),
  incarnation: incarnationField(2),
  epoch: logIndexField(3),
  clientAddress: string(4),
  peerAddress: string(5),
  rack: optional(string(6)),
  version: string(7),
  fenced: bool(8),
  metadataReplicaId: replicaIdField(9),
  featureLevelMin: int32(10),
  featureLevelMax: int32(11),
});

const Replica = message("millrace.internal.v1.ReplicaImage", {
  brokerId: brokerIdField(1),
  replicaId: replicaIdField(2),
  incarnation: incarnationField(3),
  /** Only in tombstones. */
  groupId: groupIdField(4),
  joined: bool(5),
  lost: bool(6),
});

const Recovery = message("millrace.internal.v1.RecoveryImage", {
  number: int64(1),
  survivor: replicaIdField(2),
  term: termField(3),
  fenced: repeated(replicaIdField(4)),
});

const Partition = message("millrace.internal.v1.PartitionImage", {
  topicId: topicIdField(1),
  partition: int32(2),
  groupId: groupIdField(3),
  replicas: repeated(submessage(4, Replica)),
  isr: repeated(replicaIdField(5)),
  isrVersion: int64(6),
  claimReplicaId: optional(replicaIdField(7)),
  claimTerm: termField(8),
  /** Set together, while a replica is being replaced. */
  removing: optional(replicaIdField(9)),
  adding: submessage(10, Replica),
  recovery: submessage(11, Recovery),
});

const Topic = message("millrace.internal.v1.TopicImage", {
  id: topicIdField(1),
  name: string(2),
  replicas: int32(3),
  configs: map(4),
  groups: repeated(groupIdField(5)),
});

const Tombstone = message("millrace.internal.v1.TombstoneImage", {
  topicId: topicIdField(1),
  name: string(2),
  deletedAt: logIndexField(3),
  replicas: repeated(submessage(4, Replica)),
  waitingFor: repeated(brokerIdField(5)),
});

const Image = message("millrace.internal.v1.MetadataImage", {
  version: logIndexField(1),
  clusterId: optional(clusterIdField(2)),
  recoveryEpoch: int64(3),
  featureLevel: int32(4),
  seeds: repeated(submessage(5, SeedFact)),
  brokers: repeated(submessage(6, Broker)),
  topics: repeated(submessage(7, Topic)),
  partitions: repeated(submessage(8, Partition)),
  tombstones: repeated(submessage(9, Tombstone)),
  clusterConfigs: map(10),
  nextGroupId: groupIdField(11),
  nextReplicaId: replicaIdField(12),
  nextProducerId: producerIdField(13),
  recoveries: int64(14),
  featureLevelSince: string(15),
});

export function encodeState(state: ImageState): Uint8Array {
  return Image.encode({
    version: state.version,
    clusterId: state.clusterId,
    recoveryEpoch: state.recoveryEpoch,
    featureLevel: state.featureLevel,
    featureLevelSince: state.featureLevelSince,
    seeds: state.seeds,
    brokers: inOrder(state.brokers).map(({ levels, ...broker }) => ({
      ...broker,
      fenced: broker.state === "fenced",
      featureLevelMin: levels.min,
      featureLevelMax: levels.max,
    })),
    topics: inOrder(state.topics).map((topic) => ({ ...topic, configs: sorted(topic.configs) })),
    partitions: inOrder(state.partitions).map(({ claim, replacing, ...partition }) => ({
      ...partition,
      claimReplicaId: claim?.replicaId,
      claimTerm: claim?.term,
      ...replacing,
    })),
    tombstones: inOrder(state.tombstones),
    clusterConfigs: sorted(state.clusterConfigs),
    nextGroupId: state.nextGroupId,
    nextReplicaId: state.nextReplicaId,
    nextProducerId: state.nextProducerId,
    recoveries: state.recoveries,
  });
}

/** Entries of a slice: about a millisecond of work. */
const SLICE_ENTRIES = 200;

/** The same bytes in slices, so that nobody waits for all of them at once (design §3). The state must not change meanwhile. */
export function* encodeStateSlices(state: ImageState): Generator<Uint8Array> {
  const none = { ...emptyState(), nextGroupId: 0, nextReplicaId: 0, nextProducerId: 0 } as ImageState;
  const { version, clusterId, recoveryEpoch, featureLevel, featureLevelSince, seeds, recoveries } = state;
  yield encodeState({ ...none, version, clusterId, recoveryEpoch, featureLevel, seeds });
  for (const brokers of sliced(state.brokers)) yield encodeState({ ...none, brokers });
  for (const topics of sliced(state.topics)) yield encodeState({ ...none, topics });
  for (const partitions of sliced(state.partitions)) yield encodeState({ ...none, partitions });
  for (const tombstones of sliced(state.tombstones)) yield encodeState({ ...none, tombstones });
  const { clusterConfigs, nextGroupId, nextReplicaId, nextProducerId } = state;
  yield encodeState({ ...none, clusterConfigs, nextGroupId, nextReplicaId, nextProducerId, recoveries, featureLevelSince });
}

function* sliced<K extends string | number, V>(entries: ReadonlyMap<K, V>): Generator<Map<K, V>> {
  const keys = [...entries.keys()].sort((a, b) => (a < b ? -1 : 1));
  for (let at = 0; at < keys.length; at += SLICE_ENTRIES)
    yield new Map(keys.slice(at, at + SLICE_ENTRIES).map((key) => [key, entries.get(key) as V]));
}

/** @throws {MillraceError} INVALID_REQUEST when the bytes are no image */
export function decodeState(bytes: Uint8Array): ImageState {
  const image = Image.decode(bytes);
  const { brokers, topics, partitions, tombstones, ...plain } = image;
  const state: ImageState = {
    ...emptyState(),
    ...plain,
    brokers: new Map(
      brokers.map(({ fenced, featureLevelMin, featureLevelMax, ...broker }) => [
        broker.id,
        { ...broker, levels: levelsOf(featureLevelMin, featureLevelMax), state: fenced ? "fenced" : "live" },
      ]),
    ),
    topics: new Map(topics.map((topic) => [topic.id, topic])),
    partitions: new Map(partitions.map((partition) => [partition.groupId, partitionOf(partition)])),
    tombstones: new Map(tombstones.map((tombstone) => [tombstone.topicId, { ...tombstone, replicas: tombstone.replicas.map(buried) }])),
  };
  for (const topic of topics) state.topicsByName.set(topic.name, topic.id);
  for (const partition of state.partitions.values()) indexPartition(state, partition);
  invariant(state.topicsByName.size === topics.length, "topic names are unique");
  return state;
}

function partitionOf(stored: MessageOf<typeof Partition>): PartitionImage {
  const { claimReplicaId, claimTerm, replicas, removing, adding, recovery, ...partition } = stored;
  return {
    ...partition,
    ...(recovery === undefined ? {} : { recovery }),
    replicas: replicas.map(replicaOf),
    ...(removing === undefined || adding === undefined ? {} : { replacing: { removing, adding: replicaOf(adding) } }),
    claim: claimReplicaId === undefined ? undefined : { replicaId: claimReplicaId, term: claimTerm },
  };
}

function buried(replica: MessageOf<typeof Replica>): TombstoneImage["replicas"][number] {
  return { ...replicaOf(replica), groupId: replica.groupId };
}

function replicaOf({ brokerId, replicaId, incarnation, joined, lost }: MessageOf<typeof Replica>): ReplicaImage {
  return { brokerId, replicaId, incarnation, ...(joined ? { joined } : {}), ...(lost ? { lost } : {}) };
}

/** By key, by code unit: the same everywhere. */
function inOrder<K extends string | number, V>(entries: ReadonlyMap<K, V>): V[] {
  return [...entries].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, value]) => value);
}

function sorted(entries: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  return new Map([...entries].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** FNV-1a over the canonical bytes, twice with different starts: 16 hex digits. For comparing images, not for security. */
export function hashState(state: ImageState): string {
  const bytes = encodeState(state);
  let high = 0x811c9dc5;
  let low = 0x01234567;
  for (const byte of bytes) {
    high = Math.imul(high ^ byte, 0x01000193);
    low = Math.imul(low ^ byte, 0x01000193) + 1;
  }
  return `${(high >>> 0).toString(16).padStart(8, "0")}${(low >>> 0).toString(16).padStart(8, "0")}`;
}
