import { Counter, collectDefaultMetrics, Histogram, Registry } from "prom-client";
import { type CounterId, counters, type HistogramId, histograms, type MeterSpec } from "../base/metrics.ts";
import type { Telemetry } from "../base/ports/telemetry.ts";
import { type EdgeCounterId, type EdgeHistogramId, edgeCounters, edgeHistograms } from "./edge-meters.ts";
import { escapeHelp, exportedName } from "./exposition.ts";

/** More of `/metrics`, made at every scrape: pieces of text, between which others get a turn. */
export type MetricsSource = () => AsyncIterable<string> | Iterable<string>;

export interface Metrics {
  readonly count: Telemetry["count"];
  readonly observe: Telemetry["observe"];
  countEdge(name: EdgeCounterId, by?: number, label?: string): void;
  observeEdge(name: EdgeHistogramId, seconds: number, label?: string): void;
  /** Adds what a source says to every scrape. */
  add(source: MetricsSource): void;
  /** The text the scraper gets; made in slices, with `pause` between them. */
  text(): Promise<string>;
  readonly contentType: string;
}

export interface MetricsOptions {
  /** Whether the numbers of the process and of Node are part of it. */
  readonly process?: boolean;
  /** Lets others run: between two metrics, and between two pieces of a source. */
  readonly pause?: () => Promise<void>;
}

/** From a quarter of a millisecond, about one write of a fast disk, to ten seconds. */
const BUCKETS = [0.000_25, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10];

/** Prometheus metrics of one broker. Everything counted is there from the start, with 0. */
export function createMetrics({ process = true, pause = nextTurn }: MetricsOptions = {}): Metrics {
  const registry = new Registry();
  if (process) collectDefaultMetrics({ register: registry });
  const counterOf = metersOf({ ...counters, ...edgeCounters }, (id, spec) => makeCounter(id, spec, registry));
  const histogramOf = metersOf({ ...histograms, ...edgeHistograms }, (id, spec) => makeHistogram(id, spec, registry));
  const sources: MetricsSource[] = [];

  const count = (name: CounterId | EdgeCounterId, by = 1, label?: string): void => {
    const { meter, spec } = counterOf(name);
    if (spec.label === undefined) meter.inc(by);
    else meter.inc({ [spec.label.name]: known(spec.label.values, label) }, by);
  };
  const observe = (name: HistogramId | EdgeHistogramId, seconds: number, label?: string): void => {
    const { meter, spec } = histogramOf(name);
    if (spec.label === undefined) meter.observe(seconds);
    else meter.observe({ [spec.label.name]: known(spec.label.values, label) }, seconds);
  };
  const text = async (): Promise<string> => {
    const pieces: string[] = [];
    for (const { name } of registry.getMetricsAsArray()) {
      pieces.push(await registry.getSingleMetricAsString(name), "\n");
      await pause();
    }
    for (const source of sources) {
      for await (const piece of source()) {
        pieces.push(piece);
        await pause();
      }
    }
    return pieces.join("");
  };
  return {
    count,
    observe,
    countEdge: count,
    observeEdge: observe,
    add: (source) => void sources.push(source),
    text,
    contentType: registry.contentType,
  };
}

function metersOf<Id extends string, Meter>(
  specs: Readonly<Record<Id, MeterSpec>>,
  make: (id: string, spec: MeterSpec) => Meter,
): (id: Id) => { readonly meter: Meter; readonly spec: MeterSpec } {
  const meters = new Map(Object.entries<MeterSpec>(specs).map(([id, spec]) => [id, { meter: make(id, spec), spec }]));
  return (id) => {
    const found = meters.get(id);
    if (found === undefined) throw new Error(`no metric is called ${id}`);
    return found;
  };
}

function makeCounter(id: string, { help, label }: MeterSpec, registry: Registry): Counter {
  const name = `${exportedName(id.replace(/_total$/, ""))}_total`;
  const meter = new Counter({ name, help: escapeHelp(help), labelNames: label === undefined ? [] : [label.name], registers: [registry] });
  // Codes come into being when they are met: most never are.
  if (label !== undefined && label.values.length <= INITIAL_VALUES_MAX)
    for (const value of label.values) meter.inc({ [label.name]: value }, 0);
  return meter;
}

function makeHistogram(id: string, { help, label }: MeterSpec, registry: Registry): Histogram {
  const labelNames = label === undefined ? [] : [label.name];
  return new Histogram({ name: exportedName(id), help: escapeHelp(help), labelNames, buckets: BUCKETS, registers: [registry] });
}

/** Labels of so few values are exported with 0 before anything was counted. */
const INITIAL_VALUES_MAX = 8;

/** A label takes no value that is not in the table: series cannot grow without bound. */
function known(values: readonly string[], value: string | undefined): string {
  return value !== undefined && values.includes(value) ? value : "other";
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
