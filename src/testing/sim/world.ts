import type { DiskLies } from "./disk/device.ts";
import { Machine } from "./machine.ts";
import { SimNetwork } from "./network/network.ts";
import { SimRandom } from "./random.ts";
import { Scheduler } from "./scheduler.ts";
import { Trace } from "./trace.ts";

/** One simulated world: time, network and machines, all drawn from one seed. */
export class World {
  readonly seed: number;
  readonly scheduler: Scheduler;
  readonly network: SimNetwork;
  /** For what the run as a whole draws: configuration, faults, workload. */
  readonly random: SimRandom;
  readonly #machines = new Map<string, Machine>();
  readonly #lies: DiskLies;

  /** @param lies which promises the disks break, in runs that must notice */
  constructor(seed: number, print?: (line: string) => void, lies: DiskLies = {}) {
    this.seed = seed;
    this.#lies = lies;
    this.scheduler = new Scheduler(seed, new Trace(print));
    this.network = new SimNetwork(this.scheduler);
    this.random = new SimRandom(seed, "world");
  }

  get now(): number {
    return this.scheduler.now;
  }

  machine(name: string): Machine {
    let machine = this.#machines.get(name);
    if (machine === undefined) {
      machine = new Machine(this, name, this.#lies);
      this.#machines.set(name, machine);
    }
    return machine;
  }

  note(what: string): void {
    this.scheduler.trace.note(this.now, what);
  }
}
