import { limits } from "../base/limits.ts";
import { INFLATED_FACTOR } from "../records/record-set.ts";
import { type SettingKey, type SettingValue, settings } from "./table.ts";

const KiB = 1024;
const MiB = 1024 * KiB;

/** Settings that are numbers. */
export type NumberKey = { [K in SettingKey]: SettingValue<K> extends number ? K : never }[SettingKey];
/** Values of the settings that bound memory, in bytes or as counts. */
export type MemorySettings = (key: NumberKey) => number;

export const defaultMemorySettings: MemorySettings = (key) => settings[key].default ?? 0;

/** One thing that callers can make a broker keep in memory. */
export interface MemoryTerm {
  readonly what: string;
  /** In words of the settings, for the page. */
  readonly formula: string;
  readonly bytes: (value: MemorySettings) => number;
  /** Who can fill it alone: callers who never end their requests, readers who take nothing. */
  readonly filledBy?: "requests" | "readers";
}

/** Other brokers of the cluster that the value on the page is for. */
export const PEERS = 2;
/** Measured with 5,000 calls: objects of gRPC and HTTP/2, without what the call brought. */
const CALL_BYTES = 16 * KiB;
/** Measured with 20 subscriptions of 1,000 partitions. */
const SUBSCRIBED_BYTES = 4 * KiB;
/** One message between brokers, while it comes. */
const PEER_BYTES = 16 * MiB;
const MESSAGE_BYTES = limits["request.max.bytes"].value;

/**
 * All that callers can make a broker keep, at most, each with the limit that bounds it. Objects and buffers, not what the allocator keeps of
 * what was freed. The page docs/limits.md is made from it, and case 27 of `npm run bad-input` asks for it.
 */
export const memorySum: readonly MemoryTerm[] = [
  {
    what: "requests, half or whole",
    // A 16th for small calls, and a 16th of it may keep four times its bytes (src/grpc/held-requests.ts).
    formula: "5/4 × `request.pending.max.bytes`",
    bytes: (value) => (5 / 4) * value("request.pending.max.bytes"),
    filledBy: "requests",
  },
  {
    what: "messages of produce streams that were taken",
    formula: "`stream.pending.max.bytes` + `request.max.bytes`",
    bytes: (value) => value("stream.pending.max.bytes") + MESSAGE_BYTES,
  },
  {
    what: "batches that are being inflated: two at once, in pieces and joined",
    formula: `4 × ${INFLATED_FACTOR} × \`max.message.bytes\``,
    bytes: (value) => 4 * INFLATED_FACTOR * value("max.message.bytes"),
  },
  {
    // While their callers wait they are part of the first two lines (src/broker/peers/peer-calls.ts).
    what: "calls for another broker that were given up, and that it has not taken",
    formula: "for each other broker `forward.pending.max.bytes` + `request.max.bytes`",
    bytes: (value) => PEERS * (value("forward.pending.max.bytes") + MESSAGE_BYTES),
  },
  {
    what: "records that are not committed",
    formula: "`wal.file.bytes` × `wal.files.max` / 4",
    bytes: (value) => (value("wal.file.bytes") * value("wal.files.max")) / 4,
  },
  { what: "the newest records", formula: "`hot.tail.bytes`", bytes: (value) => value("hot.tail.bytes") },
  {
    what: "answers that their readers have not taken",
    formula: "2 × `reply.pending.max.bytes` + `request.max.bytes`",
    bytes: (value) => 2 * value("reply.pending.max.bytes") + MESSAGE_BYTES,
    filledBy: "readers",
  },
  {
    what: "records that are read from the disk",
    formula: "`read.pending.max.bytes`",
    bytes: (value) => value("read.pending.max.bytes"),
    filledBy: "readers",
  },
  {
    what: "answers for callers of other brokers, and messages that come from these",
    // A share and one more message (src/broker/services/peer-room.ts).
    formula: "for each other broker `reply.pending.max.bytes` / 4, at least `request.max.bytes`, + `request.max.bytes` + 3 × 16 MiB",
    bytes: (value) => PEERS * (Math.max(value("reply.pending.max.bytes") / 4, MESSAGE_BYTES) + MESSAGE_BYTES + 3 * PEER_BYTES),
    filledBy: "readers",
  },
  {
    what: "partitions that are subscribed to",
    // A 16th for those of few partitions (src/broker/services/open-partitions.ts).
    formula: `17/16 × \`subscribe.partitions.max\` × ${SUBSCRIBED_BYTES / KiB} KiB`,
    bytes: (value) => (17 / 16) * value("subscribe.partitions.max") * SUBSCRIBED_BYTES,
  },
  {
    what: "open calls, without what they brought",
    formula: `\`client.calls.max\` × ${CALL_BYTES / KiB} KiB`,
    bytes: (value) => value("client.calls.max") * CALL_BYTES,
  },
];

/** @param by only what these can fill */
export function memorySumBytes(value: MemorySettings, by?: MemoryTerm["filledBy"]): number {
  return memorySum.filter((term) => by === undefined || term.filledBy === by).reduce((sum, term) => sum + term.bytes(value), 0);
}
