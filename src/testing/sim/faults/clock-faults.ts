import type { Machine } from "../machine.ts";
import type { World } from "../world.ts";
import type { Fault } from "./fault.ts";

const HOUR_SECONDS = 3_600;

/** Wall clocks only: monotonic ones do not jump, and nobody may compare them across processes. */
export const clockFaults: readonly Fault[] = [
  {
    kind: "clock-ahead",
    begin({ world, machines, random }) {
      return jump(world, random.pick(machines), random.below(HOUR_SECONDS) * 1_000);
    },
  },
  {
    kind: "clock-behind",
    begin({ world, machines, random }) {
      return jump(world, random.pick(machines), -random.below(HOUR_SECONDS) * 1_000);
    },
  },
  {
    // Each machine a little wrong in its own way, as without a time service.
    kind: "clock-skew",
    begin({ world, machines, random }) {
      const undo = machines.map((machine) => jump(world, machine, random.below(20_000) - 10_000));
      return () => {
        for (const back of undo) back();
      };
    },
  },
];

/** @returns the jump back */
function jump(world: World, { wall, name }: Machine, byMs: number): () => void {
  wall.offsetMs += byMs;
  world.note(`wall clock of ${name} jumps by ${byMs} ms`);
  return () => {
    wall.offsetMs -= byMs;
  };
}
