import type { SimRandom } from "../random.ts";
import { allFaults } from "./all-faults.ts";
import type { FaultKind } from "./fault.ts";

/** One fault that will come: data, so that a plan can be printed, masked and shortened. */
export interface PlannedFault {
  /** From 1, rising over the whole run: its name on the command line. */
  readonly number: number;
  readonly kind: FaultKind;
  /** Comes in its place where it makes no sense: of a kind that always does. */
  readonly otherwise: FaultKind;
  /** From the beginning of its span, milliseconds. */
  readonly atMs: number;
  readonly lastMs: number;
  /** Of all that it draws. */
  readonly seed: number;
}

/** What plans are drawn from. */
export interface Intensity {
  /** How many kinds a seed has, at least and at most. */
  readonly kinds: readonly [number, number];
  /** So many milliseconds at most between two faults, and how long each lasts at most; one of these pairs is drawn. */
  readonly paces: readonly (readonly [pauseMs: number, lastMs: number])[];
}

/** Kinds that need a cluster that can lose a disk now, or brokers that talk to each other. */
const conditional: ReadonlySet<FaultKind> = new Set([
  "changed-bytes",
  "crash-at-command",
  "cut-at-answer",
  "slow-return",
  "wiped-disk",
  "restored-disk",
  "swapped-disks",
  "bit-flip",
  "snapshot-flip",
  "log-flip",
  "read-failure",
]);

/** Kinds that more seeds have than others: few of these faults come in any one seed. */
const seldom: readonly FaultKind[] = ["restored-disk"];

/** Kinds that are planned more often than others, because they seldom make sense when their time has come. */
const weights: Partial<Record<FaultKind, number>> = {
  "wiped-disk": 2,
  "restored-disk": 3,
  "swapped-disks": 2,
  "bit-flip": 3,
  "snapshot-flip": 2,
  "log-flip": 3,
  "read-failure": 3,
};

/**
 * Which faults come, when and for how long. Drawn from the seed, and differently each time (swarm testing, Groce et al. 2012): a seed
 * has only some of the kinds, and its own intensity, so that rare mixtures and long quiet stretches both happen.
 */
export class Swarm {
  readonly #random: SimRandom;
  readonly #kinds: readonly FaultKind[];
  readonly #sure: FaultKind;
  readonly #pauseMs: number;
  readonly #lastMs: number;
  #last = 0;

  /** @param without kinds that make no sense in this run @param surely kinds that it has whatever is drawn */
  constructor(random: SimRandom, intensity: Intensity, without: readonly FaultKind[] = [], surely: readonly FaultKind[] = []) {
    this.#random = random;
    const kinds = allFaults.map(({ kind }) => kind).filter((kind) => !without.includes(kind));
    this.#sure = random.pick(kinds.filter((kind) => !conditional.has(kind)));
    const others = random.shuffled([...kinds, ...seldom].filter((kind) => kind !== this.#sure && kinds.includes(kind)));
    const chosen = [...new Set([this.#sure, ...surely, ...others])].slice(0, random.between(...intensity.kinds));
    this.#kinds = chosen.flatMap((kind) => new Array<FaultKind>(weights[kind] ?? 1).fill(kind));
    [this.#pauseMs, this.#lastMs] = random.pick(intensity.paces);
  }

  /** The faults of a span of so many milliseconds, in the order of their beginning. */
  plan(spanMs: number): readonly PlannedFault[] {
    const random = this.#random;
    const planned: PlannedFault[] = [];
    for (let atMs = random.below(this.#pauseMs + 1); atMs < spanMs; atMs += 1 + random.below(this.#pauseMs)) {
      const [kind, lastMs, seed] = [random.pick(this.#kinds), 1 + random.below(this.#lastMs), random.uint32()];
      planned.push({ number: ++this.#last, kind, otherwise: this.#sure, atMs, lastMs, seed });
    }
    return planned;
  }
}
