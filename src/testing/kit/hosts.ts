import type { Machine } from "../sim/machine.ts";
import type { World } from "../sim/world.ts";
import { invalid } from "./errors.ts";

/** Any machine of a test: a broker by its id, or whoever else by its name. */
export type HostName = number | string;

const NAME = /^[A-Za-z0-9_-]{1,40}$/;

/** Every machine of a test, and which of them hear each other. */
export class Hosts {
  readonly #world: World;
  readonly #machines = new Map<HostName, Machine>();
  readonly #isolated = new Set<Machine>();

  constructor(world: World) {
    this.#world = world;
  }

  /** A new machine; nobody who is isolated hears it. @throws {TestClusterError} INVALID_OPTION for a name no machine can have */
  add(name: HostName, host: string): Machine {
    if (typeof name === "string" && !NAME.test(name))
      throw invalid(`A name has 1 to 40 letters, digits, dashes and underscores: got ${JSON.stringify(name)}`);
    if (this.#machines.has(name)) throw invalid(`There is a client or process of the name ${name} already`);
    const machine = this.#world.machine(host);
    this.#machines.set(name, machine);
    for (const isolated of this.#isolated) this.cut(machine, isolated);
    return machine;
  }

  /** @throws {TestClusterError} INVALID_OPTION */
  of(name: HostName): Machine {
    const machine = this.#machines.get(name);
    if (machine !== undefined) return machine;
    const known = [...this.#machines.keys()].map((one) => JSON.stringify(one)).join(", ");
    throw invalid(`There is no broker, client or process ${JSON.stringify(name)}; there are ${known}`);
  }

  cut(a: Machine, b: Machine, direction: "both" | "to" | "from" = "both"): void {
    if (direction !== "from") this.#world.network.link(a.name, b.name).cut();
    if (direction !== "to") this.#world.network.link(b.name, a.name).cut();
  }

  /** Nobody hears this machine, nor does it hear anybody; nor those that come later. */
  isolate(machine: Machine): void {
    this.#isolated.add(machine);
    for (const other of this.#machines.values()) if (other !== machine) this.cut(machine, other);
  }

  /** Its links to all others are well again. */
  reconnect(machine: Machine): void {
    this.#isolated.delete(machine);
    for (const other of this.#machines.values()) {
      // Who is isolated for itself stays so.
      if (other === machine || this.#isolated.has(other)) continue;
      this.#world.network.link(machine.name, other.name).heal();
      this.#world.network.link(other.name, machine.name).heal();
    }
  }

  /** Members of one group hear each other; nobody of another group hears them. Who is in no group hears all. */
  split(groups: readonly (readonly HostName[])[]): void {
    const machines = groups.map((group) => group.map((name) => this.of(name).name));
    this.#world.network.partition(machines);
  }

  heal(): void {
    this.#isolated.clear();
    this.#world.network.heal();
  }
}
