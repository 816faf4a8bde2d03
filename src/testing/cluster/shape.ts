import type { FaultKind } from "../sim/faults/fault.ts";
import type { Intensity } from "../sim/faults/plan.ts";
import type { SimRandom } from "../sim/random.ts";
import { type FileAges, inAMinute, soon } from "./config.ts";
import { churn } from "./workloads/churn.ts";
import { describe } from "./workloads/describe.ts";
import { ends } from "./workloads/ends.ts";
import { fetch } from "./workloads/fetch.ts";
import { useGroups } from "./workloads/groups/use-groups.ts";
import { operate } from "./workloads/operate.ts";
import { produce } from "./workloads/produce.ts";
import { retry } from "./workloads/retry.ts";
import { rivals } from "./workloads/rivals.ts";
import { stub } from "./workloads/stub.ts";
import { subscribe } from "./workloads/subscribe.ts";
import { times } from "./workloads/times.ts";
import { transfer } from "./workloads/transfer.ts";
import { trim } from "./workloads/trim.ts";
import type { Pace, Workload } from "./workloads/workload.ts";

/** At least and at most, both included. */
type Range = readonly [number, number];

/** A workload of a shape: on which machines it runs, and how often a seed has it. */
export interface PlannedWorkload {
  readonly name: string;
  readonly workload: Workload;
  readonly on: "every client" | "one client";
  /** In so many seeds out of so many. */
  readonly chance: readonly [times: number, outOf: number];
}

/** What a seed of this shape must have been, or it fails: a run that did less has proved less than is said of it. */
export interface Bounds {
  readonly simulatedMs: number;
  readonly operations: number;
  /** Of the operations, so many of a hundred ended `ok`. */
  readonly okPercent: number;
  /** Faults during which an operation was open. */
  readonly faults: number;
}

/** What so many seeds must have come across together, or the run of them fails. */
export interface Corpus {
  readonly seeds: number;
  /** How often faults of each kind came. */
  readonly faults: number;
  /** How often the seeds were in each situation. */
  readonly situations: number;
}

/** Kinds that no seed draws before the product is mended. */
export const waiting: readonly FaultKind[] = [];

/** The size of a run, as data: what a seed draws lies within it. */
export interface Shape {
  readonly name: string;
  readonly brokers: Range;
  readonly topics: Range;
  /** Of each topic. */
  readonly partitions: Range;
  readonly clients: Range;
  /** How long faults and operations go on together, milliseconds. */
  readonly troubledMs: Range;
  readonly faults: Intensity;
  readonly pace: Pace;
  readonly fileAges: FileAges;
  readonly workloads: readonly PlannedWorkload[];
  /** Topics of which records go by their age, so many out of so many. */
  readonly expiring: readonly [times: number, outOf: number];
  readonly bounds: Bounds;
  readonly corpus: Corpus;
}

/** Any pause with any length: a short seed may be all trouble. */
const SHORT_PACES = [200, 600, 1_500].flatMap((pauseMs) => [100, 500, 1_500].map((lastMs) => [pauseMs, lastMs] as const));
/** About one fault at a time, or less: half of what clients ask for succeeds. */
const WHOLE_PACES = [
  [1_500, 300],
  [1_500, 700],
  [3_000, 1_000],
  [3_000, 2_000],
  [5_000, 3_000],
  [6_000, 6_000],
] as const;

const always = [1, 1] as const;
const GROUPS = "groups";

const common: readonly PlannedWorkload[] = [
  { name: "produce", workload: produce, on: "every client", chance: always },
  { name: "subscribe", workload: subscribe, on: "every client", chance: always },
  { name: "ends", workload: ends, on: "every client", chance: always },
  { name: "stub", workload: stub, on: "every client", chance: always },
];

/** Some seconds of three brokers: what every `npm test` runs a thousand of. */
export const short: Shape = {
  name: "short",
  brokers: [3, 3],
  topics: [1, 1],
  partitions: [1, 3],
  clients: [1, 2],
  troubledMs: [700, 1_800],
  faults: { kinds: [1, 8], paces: SHORT_PACES },
  pace: {
    valueBytes: [10, 100, 100, 1_000],
    produceMs: [60, 150, 300],
    stubMs: 300,
    endsMs: [100, 300],
    consumerMs: 3_000,
    memberMs: 2_000,
  },
  fileAges: soon,
  workloads: [
    ...common,
    { name: "fetch", workload: fetch, on: "one client", chance: [1, 6] },
    { name: "retry", workload: retry, on: "one client", chance: [1, 4] },
    { name: "times", workload: times, on: "one client", chance: [1, 4] },
    { name: "trim", workload: trim, on: "one client", chance: [1, 3] },
    { name: "transfer", workload: transfer, on: "one client", chance: [1, 6] },
    { name: "churn", workload: churn, on: "one client", chance: [1, 6] },
    { name: "operate", workload: operate, on: "one client", chance: [1, 8] },
    { name: "describe", workload: describe, on: "one client", chance: [1, 8] },
    { name: "rivals", workload: rivals, on: "every client", chance: [1, 8] },
    { name: GROUPS, workload: useGroups, on: "every client", chance: [1, 40] },
  ],
  expiring: [1, 8],
  bounds: { simulatedMs: 1_000, operations: 1, okPercent: 0, faults: 0 },
  corpus: { seeds: 200, faults: 1, situations: 0 },
};

/** At least a minute of one to seven brokers, with everything that clients and operators do. */
export const whole: Shape = {
  name: "whole",
  brokers: [1, 7],
  topics: [1, 3],
  partitions: [1, 4],
  clients: [2, 2],
  troubledMs: [60_000, 75_000],
  faults: { kinds: [2, 14], paces: WHOLE_PACES },
  pace: {
    valueBytes: [10, 100, 1_000, 8_000],
    produceMs: [300, 500, 800],
    stubMs: 1_000,
    endsMs: [500, 1_500],
    consumerMs: 15_000,
    memberMs: 15_000,
  },
  fileAges: inAMinute,
  workloads: [
    ...common,
    { name: "fetch", workload: fetch, on: "every client", chance: [1, 2] },
    { name: "retry", workload: retry, on: "every client", chance: [2, 3] },
    { name: "times", workload: times, on: "one client", chance: [1, 2] },
    { name: "trim", workload: trim, on: "one client", chance: [1, 3] },
    { name: "transfer", workload: transfer, on: "one client", chance: [1, 3] },
    { name: "churn", workload: churn, on: "one client", chance: [1, 2] },
    { name: "operate", workload: operate, on: "one client", chance: [1, 2] },
    { name: "describe", workload: describe, on: "every client", chance: [1, 2] },
    { name: "rivals", workload: rivals, on: "every client", chance: [1, 3] },
    { name: GROUPS, workload: useGroups, on: "every client", chance: [1, 4] },
  ],
  expiring: [1, 5],
  bounds: { simulatedMs: 60_000, operations: 1_000, okPercent: 50, faults: 10 },
  corpus: { seeds: 1_000, faults: 500, situations: 100 },
};

/** Whether a seed has this workload. */
export function has({ chance: [times, outOf] }: PlannedWorkload, random: SimRandom): boolean {
  return random.chance(times, outOf);
}

/** The same, and every seed has consumer groups. */
export function withGroups(shape: Shape): Shape {
  const workloads = shape.workloads.map((planned) => (planned.name === GROUPS ? { ...planned, chance: always } : planned));
  return { ...shape, workloads };
}

/** What a run of this shape has to be asked for with, beside its seed. */
export function flagsOf({ name, workloads }: Shape): readonly string[] {
  const groups = workloads.some((planned) => planned.name === GROUPS && planned.chance === always);
  return [...(name === "short" ? ["--short"] : []), ...(groups ? ["--groups"] : [])];
}
