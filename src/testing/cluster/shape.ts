import type { Intensity } from "../sim/faults/plan.ts";
import type { SimRandom } from "../sim/random.ts";
import { ends } from "./workloads/ends.ts";
import { produce } from "./workloads/produce.ts";
import { stub } from "./workloads/stub.ts";
import { subscribe } from "./workloads/subscribe.ts";
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

/** The size of a run, as data: what a seed draws lies within it. */
export interface Shape {
  readonly name: string;
  readonly brokers: Range;
  readonly topics: Range;
  /** Of each topic. */
  readonly partitions: Range;
  readonly clients: number;
  /** How long faults and operations go on together, milliseconds. */
  readonly troubledMs: Range;
  readonly faults: Intensity;
  readonly pace: Pace;
  readonly workloads: readonly PlannedWorkload[];
  readonly bounds: Bounds;
}

const always = [1, 1] as const;

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
  clients: 2,
  troubledMs: [800, 2_200],
  faults: { kinds: [1, 8], pauseMs: [200, 600, 1_500], lastMs: [100, 500, 1_500] },
  pace: { produceMs: [60, 150, 300], stubMs: 300, endsMs: [100, 300], consumerMs: 3_000 },
  workloads: [...common, { name: "trim", workload: trim, on: "one client", chance: [1, 3] }],
  bounds: { simulatedMs: 1_000, operations: 1, okPercent: 0, faults: 0 },
};

/** At least a minute of one to seven brokers, with everything that clients and operators do. */
export const whole: Shape = {
  name: "whole",
  brokers: [1, 7],
  topics: [1, 3],
  partitions: [1, 4],
  clients: 2,
  troubledMs: [60_000, 75_000],
  faults: { kinds: [2, 14], pauseMs: [1_500, 3_000, 6_000], lastMs: [300, 1_000, 3_000] },
  pace: { produceMs: [300, 500, 800], stubMs: 1_000, endsMs: [500, 1_500], consumerMs: 15_000 },
  workloads: [...common, { name: "trim", workload: trim, on: "one client", chance: [1, 3] }],
  bounds: { simulatedMs: 60_000, operations: 1_000, okPercent: 50, faults: 10 },
};

/** Whether a seed has this workload. */
export function has({ chance: [times, outOf] }: PlannedWorkload, random: SimRandom): boolean {
  return random.chance(times, outOf);
}
