import { SimRandom } from "../random.ts";
import { faultOf } from "./all-faults.ts";
import type { FaultKind, FaultTargets } from "./fault.ts";
import type { PlannedFault } from "./plan.ts";

/** A fault that came. */
export interface FiredFault {
  readonly number: number;
  readonly kind: FaultKind;
  /** An operation was open while it lasted. */
  readonly overlaps: boolean;
}

/** Operations of clients: those that began, and those of them that have not ended. */
export interface Operations {
  readonly begun: number;
  readonly open: number;
}

export interface FaultRunOptions {
  /** Numbers of the faults that come; undefined: all of a plan. */
  readonly only?: ReadonlySet<number> | undefined;
  readonly operations?: (() => Operations) | undefined;
  /** Told the number of each fault as it comes. */
  readonly fired?: ((number: number) => void) | undefined;
}

const NONE: Operations = { begun: 0, open: 0 };

/** Makes planned faults happen, and ends them. */
export class FaultRun {
  readonly #targets: FaultTargets;
  readonly #only: ReadonlySet<number> | undefined;
  readonly #operations: () => Operations;
  readonly #told: ((number: number) => void) | undefined;
  readonly #fired: (FiredFault & { overlaps: boolean })[] = [];
  readonly #endings = new Set<() => void>();
  /** When one began, or was over: virtual milliseconds. */
  readonly times: number[] = [];
  /** Rises with each begin and end: what was scheduled before does not happen any more. */
  #season = 0;

  constructor(targets: FaultTargets, { only, operations, fired }: FaultRunOptions = {}) {
    this.#targets = targets;
    this.#only = only;
    this.#operations = operations ?? (() => NONE);
    this.#told = fired;
  }

  /** In the order they came. */
  get fired(): readonly FiredFault[] {
    return this.#fired;
  }

  /** The span of this plan begins now. */
  begin(plan: readonly PlannedFault[]): void {
    const season = ++this.#season;
    const { scheduler } = this.#targets.world;
    for (const planned of plan) {
      if (this.#only?.has(planned.number) === false) continue;
      scheduler.after(planned.atMs, "fault", () => {
        if (this.#season === season) this.#fire(planned);
      });
    }
  }

  /** No more faults until a span begins; what is under way ends now. */
  end(): void {
    this.#season++;
    for (const ending of [...this.#endings]) ending();
  }

  #fire({ number, kind: planned, otherwise, lastMs, seed }: PlannedFault): void {
    const { world } = this.#targets;
    let kind = planned;
    let undo = this.#begin(number, kind, seed);
    if (undo === undefined) {
      kind = otherwise;
      undo = this.#begin(number, kind, seed);
    }
    if (undo === undefined) return;
    const end = undo;
    const before = this.#operations();
    const fired = { number, kind, overlaps: before.open > 0 };
    this.#fired.push(fired);
    this.times.push(world.now);
    this.#told?.(number);
    const ending = () => {
      if (!this.#endings.delete(ending)) return;
      this.times.push(world.now);
      fired.overlaps ||= this.#operations().begun > before.begun;
      world.note(`fault ${number} ${kind} is over`);
      end();
    };
    this.#endings.add(ending);
    world.scheduler.after(Math.max(lastMs, faultOf(kind).leastMs ?? 0), "fault over", ending);
  }

  #begin(number: number, kind: FaultKind, seed: number): (() => void) | undefined {
    this.#targets.world.note(`fault ${number} ${kind}`);
    return faultOf(kind).begin({ ...this.#targets, random: new SimRandom(seed, kind) });
  }
}
