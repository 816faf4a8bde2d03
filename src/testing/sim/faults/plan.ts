import type { World } from "../world.ts";
import { diskFaults } from "./disk-faults.ts";
import { type Fault, type FaultKind, type FaultTargets, faultKinds } from "./fault.ts";
import { networkFaults } from "./network-faults.ts";
import { processFaults } from "./process-faults.ts";

const faults: readonly Fault[] = [...processFaults, ...networkFaults, ...diskFaults];

/**
 * Which faults come, when and for how long. Drawn from the seed, and differently each time (swarm testing, Groce et al. 2012): a seed
 * has only some of the kinds, and its own intensity, so that rare mixtures and long quiet stretches both happen.
 */
export class FaultPlan {
  readonly #enabled: readonly Fault[];
  readonly #pauseMsMax: number;
  readonly #lastMsMax: number;
  readonly #fired = new Map<FaultKind, number>();
  readonly #endings = new Set<() => void>();
  /** Rises with each begin and end: what was scheduled before does not go on. */
  #season = 0;

  /** @param without kinds that make no sense in this run */
  constructor(world: World, without: readonly FaultKind[] = []) {
    const { random } = world;
    const count = 1 + random.below(8);
    this.#enabled = random.shuffled(faults.filter(({ kind }) => !without.includes(kind))).slice(0, count);
    this.#pauseMsMax = random.pick([200, 600, 1_500]);
    this.#lastMsMax = random.pick([100, 500, 1_500]);
  }

  /** How often each kind came. */
  get fired(): ReadonlyMap<FaultKind, number> {
    return this.#fired;
  }

  begin(targets: FaultTargets): void {
    this.#goOn(targets, ++this.#season);
  }

  #goOn(targets: FaultTargets, season: number): void {
    const { scheduler, random } = targets.world;
    scheduler.after(random.below(this.#pauseMsMax + 1), "fault", () => {
      if (this.#season !== season) return;
      this.#fire(targets, random.pick(this.#enabled));
      this.#goOn(targets, season);
    });
  }

  /** No more faults until they begin again; what is under way ends now. */
  end(): void {
    this.#season++;
    for (const ending of [...this.#endings]) ending();
  }

  #fire(targets: FaultTargets, fault: Fault): void {
    const { scheduler, random } = targets.world;
    targets.world.note(`fault ${fault.kind}`);
    const undo = fault.begin(targets);
    if (undo === undefined) return;
    this.#fired.set(fault.kind, (this.#fired.get(fault.kind) ?? 0) + 1);
    const ending = () => {
      if (!this.#endings.delete(ending)) return;
      targets.world.note(`fault ${fault.kind} is over`);
      undo();
    };
    this.#endings.add(ending);
    scheduler.after(1 + random.below(this.#lastMsMax), "fault over", ending);
  }
}

/** Every kind has a fault, and the other way round: said once, when this module is loaded. */
for (const kind of faultKinds) if (!faults.some((fault) => fault.kind === kind)) throw new Error(`no fault of kind ${kind}`);
