import type { BrokerLife } from "../checkers/history.ts";
import type { Machine } from "../sim/machine.ts";
import { brokerOn } from "./config.ts";

/** How each life of each broker ended. */
export class LivesWatch {
  readonly #lives: {
    readonly machine: Machine;
    readonly life: number;
    readonly from: number;
    end?: "stopped" | "explained" | "by itself";
    error?: string;
  }[] = [];

  began(machine: Machine, now: number): void {
    this.#lives.push({ machine, life: machine.lives, from: now });
  }

  /** The present life of this machine is over, and not because somebody killed it. */
  ended(machine: Machine, end: "stopped" | "explained" | "by itself", error?: Error): void {
    const life = this.#lives.findLast((one) => one.machine === machine);
    if (life === undefined) return;
    life.end = end;
    if (error !== undefined) life.error = error.message;
  }

  get lives(): readonly BrokerLife[] {
    return this.#lives.map(({ machine, life, from, end, error }) => ({
      broker: brokerOn(machine.name),
      life,
      from,
      end: end ?? (machine.running && machine.lives === life ? "running" : "killed"),
      ...(error === undefined ? {} : { error }),
    }));
  }
}
