import type { Machine } from "../sim/machine.ts";
import type { SimProcess } from "../sim/process.ts";
import type { World } from "../sim/world.ts";
import type { BrokerUnderTest } from "./broker-under-test.ts";

/** How long a disk that may be damaged is left alone before it is looked at. */
const LOOK_MS_MAX = 2_000;

/** What runs, or ran, on a machine. */
interface Program {
  readonly broker: BrokerUnderTest;
  readonly process: SimProcess;
}

/** Disks that do not hold what was written to them. Each is examined by its broker until it finds nothing that is not repaired. */
export class DoubtfulDisks {
  readonly #world: World;
  readonly #programOn: (machine: Machine) => Program | undefined;
  readonly #doubtful = new Set<Machine>();
  #count = 0;

  constructor(world: World, programOn: (machine: Machine) => Program | undefined) {
    this.#world = world;
    this.#programOn = programOn;
  }

  get none(): boolean {
    return this.#doubtful.size === 0;
  }

  /** Disks damaged so far. */
  get count(): number {
    return this.#count;
  }

  add(machine: Machine): void {
    this.#count++;
    if (this.#doubtful.has(machine)) return;
    this.#doubtful.add(machine);
    this.#lookLater(machine);
  }

  /** Another disk is in its place. */
  forget(machine: Machine): void {
    this.#doubtful.delete(machine);
  }

  #lookLater(machine: Machine): void {
    const { scheduler, random } = this.#world;
    scheduler.after(100 + random.below(LOOK_MS_MAX), `examines the disk of ${machine.name}`, () => this.#look(machine));
  }

  #look(machine: Machine): void {
    if (!this.#doubtful.has(machine)) return;
    const life = machine.lives;
    const { broker, process } = this.#programOn(machine) ?? {};
    if (broker?.state !== "running" || process?.alive !== true || process.paused) {
      this.#lookLater(machine);
      return;
    }
    let over = false;
    const looked = (clean: boolean) => {
      if (over) return;
      over = true;
      if (clean) this.#doubtful.delete(machine);
      else this.#lookLater(machine);
    };
    process.turn();
    broker.scrub().then(
      () => {
        const holes = [...broker.replicas].some(({ log }) => log.holes.length > 0);
        // What was found is being repaired; one that has died of its disk meanwhile, or started again, has yet to look.
        looked(!holes && process.alive && machine.lives === life && broker.state === "running");
      },
      (error: Error) => this.#world.scheduler.fail(error),
    );
    // A broker that dies meanwhile never answers.
    const wait = () => {
      if (over) return;
      if (machine.lives !== life || !machine.running) looked(false);
      else this.#world.scheduler.after(LOOK_MS_MAX, "waits for a scrub", wait);
    };
    wait();
  }
}
