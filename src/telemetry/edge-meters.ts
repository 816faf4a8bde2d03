import { events } from "../base/events.ts";
import type { MeterSpec } from "../base/metrics.ts";
import { publicMethods } from "../protocol/methods.ts";

/** What is measured at the ports themselves, without a line in the broker: calls, the disk, the log. */
const method = { name: "method", values: publicMethods.map(({ service, name }) => `${service}/${name}`) } as const;

export const edgeCounters = {
  "rpc.calls": { help: "Calls that began, by method.", label: method },
  "rpc.failed": { help: "Unary calls that ended with an error, by method.", label: method },
  "wal.bytes": { help: "Bytes written to the write-ahead log, padding included." },
  events: { help: "Lines of the log, by event; also those below log.level.", label: { name: "event", values: Object.keys(events) } },
  role_changes: {
    help: "Changes of this broker's role in a partition; candidate counts the elections it began.",
    label: { name: "role", values: ["leader", "follower", "preCandidate", "candidate"] },
  },
} as const satisfies Readonly<Record<string, MeterSpec>>;

export type EdgeCounterId = keyof typeof edgeCounters;

export const edgeHistograms = {
  "rpc.seconds": { help: "Duration of unary calls, by method; a long poll's wait is part of it.", label: method },
  "wal.write.seconds": { help: "One write of the write-ahead log, durable when it returns." },
  "disk.sync.seconds": { help: "One sync of a segment or other file." },
} as const satisfies Readonly<Record<string, MeterSpec>>;

export type EdgeHistogramId = keyof typeof edgeHistograms;
