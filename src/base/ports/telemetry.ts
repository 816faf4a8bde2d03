import type { EventFields, EventId, EventLevel } from "../events.ts";
import type { CounterId, HistogramId } from "../metrics.ts";

export type LogLevel = "debug" | "info" | "warn" | "error";

/** Where events and numbers go. */
export interface Telemetry {
  /** @param event one of `base/events.ts`, at the level and with the fields that stand there */
  log<Id extends EventId>(level: EventLevel<Id>, event: Id, fields?: EventFields<Id>): void;
  /** Adds to a counter of `base/metrics.ts`. @param label value of its label, for one that has a label */
  count(name: CounterId, by?: number, label?: string): void;
  /** Adds a measurement to a histogram of `base/metrics.ts`. @param seconds a duration */
  observe(name: HistogramId, seconds: number, label?: string): void;
}

/** Says nothing; for tests and for libraries whose user gave none. */
export const silentTelemetry: Telemetry = { log() {}, count() {}, observe() {} };
