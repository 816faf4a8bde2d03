import { type DestinationStream, destination, type Logger, pino, stdTimeFunctions } from "pino";
import type { LogLevel, Telemetry } from "../base/ports/telemetry.ts";
import { RecentLines } from "./recent-lines.ts";

/** Lines that wait for a slow reader; what comes on top of them is dropped, the broker does not wait for its log. */
const WAITING_BYTES_MAX = 4 * 1024 * 1024;
/** The last lines are kept in memory for `millrace debug bundle`, so many bytes of them. */
const RECENT_BYTES_MAX = 256 * 1024;

export interface JsonLogOptions {
  readonly level: LogLevel;
  readonly output: "stderr" | "stdout";
  /** Fields of every line, such as the broker's id. */
  readonly base?: Readonly<Record<string, string | number>>;
}

export interface JsonLog {
  readonly log: Telemetry["log"];
  /** Writes what waits, synchronously: the last act of a process. */
  flush(): void;
  /** The last lines, newest last. */
  recent(): string;
}

/** One JSON object per line on stdout or stderr. Values are escaped by JSON, so what a caller sent cannot forge a line. */
export function openJsonLog(options: JsonLogOptions): JsonLog {
  const stream = destination({ dest: options.output === "stdout" ? 1 : 2, sync: false, maxLength: WAITING_BYTES_MAX });
  // A closed pipe (EPIPE): nobody is left to tell.
  stream.on("error", () => {});
  const flush = (): void => {
    try {
      stream.flushSync();
    } catch {
      // The stream never opened, or nobody reads it.
    }
  };
  const recent = new RecentLines(RECENT_BYTES_MAX);
  const both: DestinationStream = {
    write: (line) => {
      recent.push(line);
      stream.write(line);
    },
  };
  return { ...jsonLogTo(both, options), flush, recent: () => recent.text() };
}

/** The same lines to any stream. */
export function jsonLogTo(
  stream: DestinationStream,
  { level, base = {} }: Pick<JsonLogOptions, "level" | "base">,
): Omit<JsonLog, "flush" | "recent"> {
  const logger: Logger = pino(
    { level, base, timestamp: stdTimeFunctions.isoTime, formatters: { level: (label) => ({ level: label }) } },
    stream,
  );
  return {
    log: (at, event, fields) => logger[at]({ event, ...fields }),
  };
}
