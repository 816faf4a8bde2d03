import type { Telemetry } from "../base/ports/telemetry.ts";
import { type JsonLogOptions, openJsonLog } from "./json-log.ts";
import { createMetrics, type Metrics } from "./metrics.ts";

export interface BrokerTelemetry extends Telemetry {
  readonly metrics: Metrics;
  setLevel(level: JsonLogOptions["level"]): void;
  flush(): void;
}

/** Events to a stream of JSON lines, numbers to Prometheus. */
export function createTelemetry(options: JsonLogOptions): BrokerTelemetry {
  const { log, setLevel, flush } = openJsonLog(options);
  const metrics = createMetrics();
  return { log, count: metrics.count, metrics, setLevel, flush };
}
