import { nearest } from "../../cluster/nearest.ts";
import { invalid } from "./errors.ts";
import { processSeed } from "./seed.ts";

export interface ClusterOptions {
  /** 1 to 7; ids are 1 to `brokers`. Default 3. */
  readonly brokers?: number;
  /**
   * Decides every delay, every order and every draw: 0 to 2^32 − 1. Default: the environment's MILLRACE_TEST_SEED, else one number that is
   * drawn once per process.
   */
  readonly seed?: number;
  /** Gets every line of the trace: each event, message, disk call and fault, with its virtual time. */
  readonly trace?: (line: string) => void;
}

export interface ClusterSettings {
  readonly brokers: number;
  readonly seed: number;
  /** Nobody wrote the seed down: whoever sees a failure must be told. */
  readonly drawn: boolean;
  readonly trace: ((line: string) => void) | undefined;
}

export const BROKERS_MAX = 7;
const KNOWN = ["brokers", "seed", "trace"] as const satisfies readonly (keyof ClusterOptions)[];

/** Fills in defaults. @throws {TestClusterError} INVALID_OPTION naming the option */
export function clusterSettings(options: ClusterOptions): ClusterSettings {
  checkKnown("startCluster", options, KNOWN);
  const { trace } = options;
  if (trace !== undefined && typeof trace !== "function") throw invalid("Option trace must be a function that takes a line");
  const brokers = whole("Option brokers", options.brokers ?? 3, 1, BROKERS_MAX);
  if (options.seed !== undefined) return { brokers, seed: whole("Option seed", options.seed, 0, 2 ** 32 - 1), drawn: false, trace };
  return { brokers, ...processSeed(process.env), trace };
}

/** @param where whose options they are @throws {TestClusterError} INVALID_OPTION naming the unknown one, and the nearest that is known */
export function checkKnown(where: string, options: object, known: readonly string[]): void {
  if (typeof options !== "object" || options === null) throw invalid(`${where} takes an object of options: got ${String(options)}`);
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue;
    const near = nearest(name, known);
    throw invalid(`${where} has no option ${name}${near === undefined ? `; it has ${known.join(", ")}` : `: did you mean ${near}?`}`);
  }
}

/** @throws {TestClusterError} INVALID_OPTION */
export function whole(what: string, value: number, least: number, most: number): number {
  if (Number.isSafeInteger(value) && value >= least && value <= most) return value;
  throw invalid(`${what} must be a whole number from ${least} to ${most}: got ${String(value)}`);
}

/** Virtual milliseconds. @throws {TestClusterError} INVALID_OPTION */
export function duration(what: string, ms: number): number {
  if (typeof ms === "number" && ms >= 0 && ms <= DURATION_MS_MAX) return ms;
  throw invalid(`${what} must be milliseconds from 0 to ${DURATION_MS_MAX}: got ${String(ms)}`);
}

/** A week of virtual time in one step. */
const DURATION_MS_MAX = 7 * 86_400_000;
