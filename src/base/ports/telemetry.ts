export type LogLevel = "debug" | "info" | "warn" | "error";

/** Where events and numbers go. Event ids are stable, `area.what_happened`; fields never hold record payloads. */
export interface Telemetry {
  log(level: LogLevel, event: string, fields?: Readonly<Record<string, string | number | boolean | undefined>>): void;
  /** Adds to a counter. */
  count(name: string, by?: number): void;
}

/** Says nothing; for tests and for libraries whose user gave none. */
export const silentTelemetry: Telemetry = { log() {}, count() {} };
