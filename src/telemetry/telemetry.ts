import type { Telemetry } from "../base/ports/telemetry.ts";
import { type JsonLogOptions, openJsonLog } from "./json-log.ts";
import { createMetrics, type Metrics } from "./metrics.ts";

export interface BrokerTelemetry extends Telemetry {
  readonly metrics: Metrics;
  flush(): void;
  /** The last lines, newest last: for a bundle. */
  recent(): string;
}

/** Events to a stream of JSON lines, numbers to Prometheus. */
export function createTelemetry(options: JsonLogOptions): BrokerTelemetry {
  const { log, flush, recent } = openJsonLog(options);
  const metrics = createMetrics();
  return {
    log: (level, event, fields) => {
      metrics.countEdge("events", 1, event);
      const role = event === "partition.role" ? (fields as { readonly role?: unknown } | undefined)?.role : undefined;
      if (typeof role === "string") metrics.countEdge("role_changes", 1, role);
      log(level, event, fields);
    },
    count: metrics.count,
    observe: metrics.observe,
    metrics,
    flush,
    recent,
  };
}
