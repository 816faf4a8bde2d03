import { Counter, collectDefaultMetrics, Gauge, Registry } from "prom-client";
import type { Telemetry } from "../base/ports/telemetry.ts";
import { counters } from "./events.ts";

export interface Metrics {
  readonly count: Telemetry["count"];
  /** A number asked for at every scrape; `name` as exported, without the prefix. */
  gauge(name: string, help: string, read: () => number): void;
  /** The text the scraper gets. */
  text(): Promise<string>;
  readonly contentType: string;
}

/** Prometheus counters and gauges of one broker. Counters come into being with their first count. */
export function createMetrics(options: { readonly process?: boolean } = {}): Metrics {
  const registry = new Registry();
  if (options.process ?? true) collectDefaultMetrics({ register: registry });
  const known = new Map<string, Counter>();
  const counterOf = (name: string): Counter => {
    const found = known.get(name);
    if (found !== undefined) return found;
    const help = new Map<string, string>(Object.entries(counters)).get(name) ?? name;
    const made = new Counter({ name: `${exportedName(name.replace(/_total$/, ""))}_total`, help, registers: [registry] });
    known.set(name, made);
    return made;
  };
  return {
    count: (name, by = 1) => counterOf(name).inc(by),
    gauge: (name, help, read) => {
      new Gauge({
        name: exportedName(name),
        help,
        registers: [registry],
        collect() {
          this.set(read());
        },
      });
    },
    text: () => registry.metrics(),
    contentType: registry.contentType,
  };
}

/** "grpc.handler_failed" → "millrace_grpc_handler_failed". */
function exportedName(name: string): string {
  return `millrace_${name.replaceAll(/[^a-zA-Z0-9]/g, "_")}`;
}
