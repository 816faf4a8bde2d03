import type { Starved } from "../checkers/history.ts";
import type { Machine } from "../sim/machine.ts";
import type { World } from "../sim/world.ts";

/** A partition, the machines it is placed on, and how many of them ALL asks for. */
export interface Reached {
  readonly partition: string;
  readonly machines: readonly Machine[];
  readonly least: number;
}

/**
 * Notes when no broker of a partition reached, both ways and itself among them, as many of the others as ALL asks for. What is cut carries
 * nothing, not even what was under way, so nothing that is sent from then on is on enough disks until a link or a machine is back. Then a new
 * window begins: those who are reached one after the other may all have it in the end, though never two of them at a time.
 */
export class ReachWatch {
  readonly starved: Starved[] = [];
  readonly #world: World;
  readonly #since = new Map<string, number>();
  #partitions: readonly Reached[] = [];
  #machines: readonly Machine[] = [];
  #linksChanged = true;
  #running = 0;

  constructor(world: World) {
    this.#world = world;
    world.scheduler.afterEach(() => this.#look());
  }

  begin(partitions: readonly Reached[]): void {
    this.#partitions = partitions;
    this.#machines = [...new Set(partitions.flatMap(({ machines }) => machines))];
    const changed = () => {
      this.#linksChanged = true;
    };
    for (const from of this.#machines)
      for (const to of this.#machines) if (from !== to) this.#world.network.link(from.name, to.name).changed = changed;
  }

  /** What is starved now is noted up to now. */
  end(): void {
    this.#partitions = [];
    for (const partition of [...this.#since.keys()]) this.#enough(partition);
  }

  #look(): void {
    let running = 0;
    for (const machine of this.#machines) running = running * 2 + (machine.running ? 1 : 0);
    if (!this.#linksChanged && running === this.#running) return;
    const back = this.#linksChanged || (running & ~this.#running) !== 0;
    this.#linksChanged = false;
    this.#running = running;
    for (const { partition, machines, least } of this.#partitions) {
      const enough = machines.some((machine) => this.#reaches(machine, machines) >= least);
      if (enough || back) this.#enough(partition);
      if (!enough && !this.#since.has(partition)) this.#since.set(partition, this.#world.now);
    }
  }

  #enough(partition: string): void {
    const from = this.#since.get(partition);
    if (from === undefined) return;
    this.#since.delete(partition);
    this.starved.push({ partition, from, to: this.#world.now });
  }

  #reaches(from: Machine, machines: readonly Machine[]): number {
    if (!from.running) return 0;
    const { network } = this.#world;
    return machines.filter(
      (to) => to === from || (to.running && !network.link(from.name, to.name).isCut && !network.link(to.name, from.name).isCut),
    ).length;
  }
}
