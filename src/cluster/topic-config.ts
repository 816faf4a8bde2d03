import { MillraceError } from "../base/errors.ts";
import { nearest } from "./nearest.ts";

const KiB = 1024;
const MiB = 1024 * KiB;
const DAY_MS = 24 * 60 * 60 * 1000;

interface NumberKey {
  readonly type: "number";
  readonly default: number;
  readonly min: number;
  readonly max: number;
  /** A value outside of the range that means "none" (or, where the doc says so, "derived"). */
  readonly none?: number;
  readonly doc: string;
}
interface ChoiceKey {
  readonly type: "choice";
  readonly default: string;
  readonly choices: readonly string[];
  /** Values that exist elsewhere, with why they are refused here. */
  readonly refused?: Readonly<Record<string, string>>;
  readonly doc: string;
}

const CODEC = "the producer's codec is kept, batches are never compressed again";

/** The configuration keys of a topic (design §12). A topic's own value wins over the cluster's, the cluster's over the default. */
export const topicConfigKeys = {
  "min.insync.replicas": {
    type: "number",
    default: 0,
    min: 1,
    max: 15,
    none: 0,
    doc: "Replicas that must be in sync for acks=ALL; 0 = a majority of the replicas.",
  },
  "acks.min": {
    type: "choice",
    default: "NONE",
    choices: ["NONE", "LEADER", "QUORUM", "ALL"],
    doc: "The weakest acks level producers may ask for.",
  },
  "max.message.bytes": { type: "number", default: 1 * MiB, min: 1 * KiB, max: 3 * MiB, doc: "Largest record set of one batch, as sent." },
  "retention.ms": {
    type: "number",
    default: 7 * DAY_MS,
    min: 1000,
    max: Number.MAX_SAFE_INTEGER,
    none: -1,
    doc: "How long records are kept; -1 = for ever.",
  },
  "retention.bytes": {
    type: "number",
    default: -1,
    min: 1 * MiB,
    max: Number.MAX_SAFE_INTEGER,
    none: -1,
    doc: "Bytes kept per partition; -1 = no limit.",
  },
  "segment.bytes": { type: "number", default: 128 * MiB, min: 1 * MiB, max: 1024 * MiB, doc: "A segment is closed at this size." },
  "segment.ms": { type: "number", default: 7 * DAY_MS, min: 1000, max: Number.MAX_SAFE_INTEGER, doc: "A segment is closed at this age." },
  "message.timestamp.type": {
    type: "choice",
    default: "create",
    choices: ["create", "append"],
    refused: { CreateTime: "its name here is create", LogAppendTime: "its name here is append" },
    doc: "The time of a record: create = what its producer says; append = when its batch was appended.",
  },
  "cleanup.policy": {
    type: "choice",
    default: "delete",
    choices: ["delete"],
    refused: { compact: "not yet: this version has no compaction", "compact,delete": "not yet: this version has no compaction" },
    doc: "What becomes of old records: delete = they go by retention.",
  },
  "compression.type": {
    type: "choice",
    default: "producer",
    choices: ["producer"],
    refused: { none: CODEC, uncompressed: CODEC, gzip: CODEC, zstd: CODEC, lz4: CODEC, snappy: CODEC },
    doc: "How batches are stored: producer = as they were sent.",
  },
} as const satisfies Readonly<Record<string, NumberKey | ChoiceKey>>;

export type TopicConfigKey = keyof typeof topicConfigKeys;
export type ConfigMap = ReadonlyMap<string, string>;

const table: ReadonlyMap<string, NumberKey | ChoiceKey> = new Map(Object.entries(topicConfigKeys));

/** @returns why one key and value are refused (INVALID_CONFIG, with the nearest known key), or undefined */
export function refuseTopicConfig(key: string, value: string): MillraceError | undefined {
  const row = table.get(key);
  if (row === undefined) return refuseKey(key);
  if (row.type === "choice") {
    if (row.choices.includes(value)) return undefined;
    const reason = row.refused !== undefined && Object.hasOwn(row.refused, value) ? row.refused[value] : undefined;
    return invalid(key, value, row.choices.length === 1 ? `${row.choices[0]}` : `one of ${row.choices.join(", ")}`, reason);
  }
  const number = /^-?\d{1,16}$/.test(value) ? Number(value) : Number.NaN;
  if (number === row.none || (Number.isSafeInteger(number) && number >= row.min && number <= row.max)) return undefined;
  return invalid(key, value, `a whole number from ${row.min} to ${row.max}${row.none === undefined ? "" : `, or ${row.none}`}`);
}

/** For a key to be deleted: it must be known. */
export function refuseTopicConfigKey(key: string): MillraceError | undefined {
  return table.has(key) ? undefined : refuseKey(key);
}

function refuseKey(key: string): MillraceError {
  const near = nearest(key, [...table.keys()]);
  const hint = near === undefined ? "" : `; did you mean ${near}?`;
  return new MillraceError("INVALID_CONFIG", `Cannot set ${JSON.stringify(key.slice(0, 100))}: no topic has this key${hint}`, {
    key: key.slice(0, 100),
    ...(near === undefined ? {} : { nearest: near }),
  });
}

function invalid(key: string, value: string, range: string, reason?: string): MillraceError {
  const shown = value.slice(0, 100);
  const why = reason === undefined ? "" : ` (${reason})`;
  return new MillraceError("INVALID_CONFIG", `Cannot set ${key} to ${JSON.stringify(shown)}: it must be ${range}${why}`, {
    key,
    value: shown,
    range,
  });
}

/** All settings of a topic with their types. */
export interface TopicConfig {
  /** undefined: a majority of the replicas. */
  readonly minInsyncReplicas: number | undefined;
  readonly acksMin: "NONE" | "LEADER" | "QUORUM" | "ALL";
  readonly maxMessageBytes: number;
  /** undefined: for ever. */
  readonly retentionMs: number | undefined;
  /** Per partition; undefined: no limit. */
  readonly retentionBytes: number | undefined;
  /** undefined: as the broker is configured. */
  readonly segmentBytes: number | undefined;
  readonly segmentMs: number | undefined;
  /** Records count as written when their batch was appended. */
  readonly appendTimed: boolean;
}

/** Where a value comes from. */
export type TopicConfigSource = "topic" | "cluster" | "default";

/** One key as text, and where its value comes from. */
export function topicConfigValue(
  key: TopicConfigKey,
  topic: ConfigMap,
  cluster: ConfigMap,
): { readonly value: string; readonly source: TopicConfigSource } {
  const own = topic.get(key);
  if (own !== undefined) return { value: own, source: "topic" };
  const shared = cluster.get(key);
  if (shared !== undefined) return { value: shared, source: "cluster" };
  return { value: String(topicConfigKeys[key].default), source: "default" };
}

/** Every key in the order of the table. */
export function describeTopicConfig(
  topic: ConfigMap,
  cluster: ConfigMap,
): readonly { key: TopicConfigKey; value: string; source: TopicConfigSource }[] {
  const keys = Object.keys(topicConfigKeys) as TopicConfigKey[];
  return keys.map((key) => ({ key, ...topicConfigValue(key, topic, cluster) }));
}

/** @param topic and `cluster` hold only values that `refuseTopicConfig` let pass */
export function topicConfig(topic: ConfigMap, cluster: ConfigMap): TopicConfig {
  const text = (key: TopicConfigKey) => topicConfigValue(key, topic, cluster).value;
  const number = (key: TopicConfigKey) => Number(text(key));
  const orNone = (key: TopicConfigKey, none: number) => (number(key) === none ? undefined : number(key));
  const orBroker = (key: TopicConfigKey) => (topicConfigValue(key, topic, cluster).source === "default" ? undefined : number(key));
  return {
    minInsyncReplicas: orNone("min.insync.replicas", 0),
    acksMin: text("acks.min") as TopicConfig["acksMin"],
    maxMessageBytes: number("max.message.bytes"),
    retentionMs: orNone("retention.ms", -1),
    retentionBytes: orNone("retention.bytes", -1),
    segmentBytes: orBroker("segment.bytes"),
    segmentMs: orBroker("segment.ms"),
    appendTimed: text("message.timestamp.type") === "append",
  };
}
