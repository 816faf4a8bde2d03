import type { LogLevel, Telemetry } from "../../base/ports/telemetry.ts";
import type { World } from "../sim/world.ts";
import type { Situations } from "./situations.ts";

/** Puts what a broker says into the trace, and counts its errors. */
export class SimTelemetry implements Telemetry {
  readonly #world: World;
  readonly #name: string;
  readonly #errors: Map<string, number>;
  readonly #situations: Situations | undefined;

  constructor(world: World, name: string, errors: Map<string, number>, situations?: Situations) {
    this.#world = world;
    this.#name = name;
    this.#errors = errors;
    this.#situations = situations;
  }

  log(level: LogLevel, event: string, fields: Readonly<Record<string, string | number | boolean | undefined>> = {}): void {
    // Stacks name files and lines: another build would be another trace.
    const said = Object.entries(fields).flatMap(([key, value]) => (key === "stack" ? [] : [`${key}=${value}`]));
    this.#world.note(`${this.#name} ${level} ${event} ${said.join(" ")}`);
    this.#situations?.heard(event);
    if (level === "error") this.#errors.set(event, (this.#errors.get(event) ?? 0) + 1);
  }

  count(): void {}

  observe(): void {}
}
