import type { World } from "../sim/world.ts";

/** How often each kind of fault was asked for and happened. */
export class FaultCounts {
  readonly #world: World;
  readonly #counts = new Map<string, number>();

  constructor(world: World) {
    this.#world = world;
  }

  /** @param where for the trace */
  count(kind: string, where: string): void {
    this.#world.note(`fault ${kind} ${where}`);
    this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + 1);
  }

  get all(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#counts);
  }
}
