import { counters, histograms, type MeterSpec } from "../../src/base/metrics.ts";
import { brokerGauges, partitionGauges } from "../../src/telemetry/broker-metrics.ts";
import { edgeCounters, edgeHistograms } from "../../src/telemetry/edge-meters.ts";
import { exportedName } from "../../src/telemetry/exposition.ts";
import { groupGauges, groupPartitionGauges } from "../../src/telemetry/group-metrics.ts";
import { toRow } from "../checks/markdown.ts";

/** docs/metrics.md, from the tables of metrics. */
export function metricsPage(): string {
  const rows = [
    ...meterRows("counter", { ...counters, ...edgeCounters }, (id) => `${exportedName(id.replace(/_total$/, ""))}_total`),
    ...meterRows("histogram", { ...histograms, ...edgeHistograms }, exportedName),
    ...Object.entries(brokerGauges).map(([name, help]) => row(name, "gauge", "", help)),
    ...Object.entries(partitionGauges).map(([name, help]) => row(name, "gauge", "`topic` `partition`", help)),
    ...Object.entries(groupGauges).map(([name, help]) => row(name, "gauge", "`group`", help)),
    ...Object.entries(groupPartitionGauges).map(([name, help]) => row(name, "gauge", "`group` `topic` `partition`", help)),
  ];
  return [
    "# Metrics",
    "",
    "<!-- Made by `npm run docs` from src/base/metrics.ts and src/telemetry/; edit those files. -->",
    "",
    "`/metrics` on `admin.listen`, in the text format of Prometheus. Counters end in `_total`, histograms are seconds. A label takes only values from a",
    "table, and at most `metrics.partitions.max` partitions have series of their own, so one broker exports fewer than 5,000 series whatever its callers do.",
    "Series of consumer groups take up to half of that room: first a few of each group, then, as far as it goes, those of their partitions; what was",
    "left out is counted. A group is told of by the broker that coordinates it, and by no other; after a fail-over by the next one. Lag is asked of the",
    "partitions' leaders at each scrape, two seconds at most: what could not be asked is absent, never guessed.",
    "",
    "Besides these there are those of the process and of Node: `process_cpu_seconds_total`, `process_resident_memory_bytes`, `process_open_fds`,",
    "`nodejs_heap_size_used_bytes`, `nodejs_eventloop_lag_p99_seconds`, `nodejs_gc_duration_seconds` and their kin.",
    "",
    "| metric | type | labels | meaning |",
    "|---|---|---|---|",
    ...rows,
    "",
  ].join("\n");
}

function meterRows(type: string, specs: Readonly<Record<string, MeterSpec>>, nameOf: (id: string) => string): string[] {
  return Object.entries(specs).map(([id, { help, label }]) => row(nameOf(id), type, label === undefined ? "" : `\`${label.name}\``, help));
}

function row(name: string, type: string, labels: string, help: string): string {
  return toRow([`\`${name}\``, type, labels, help]);
}
