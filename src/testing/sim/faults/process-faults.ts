import type { Machine } from "../machine.ts";
import { aLeader, anyOf, type Fault, type FaultContext, type FaultKind } from "./fault.ts";

/** Ends `victims` and starts them again, each for itself, when the fault is over. */
function restarts(kind: FaultKind, victims: (context: FaultContext) => readonly Machine[], end: (machine: Machine) => void): Fault {
  return {
    kind,
    begin(context) {
      const hit = victims(context);
      for (const machine of hit) end(machine);
      return () => {
        for (const machine of hit) {
          if (machine.running) continue;
          const { random } = context;
          const { scheduler } = context.world;
          scheduler.after(random.below(200), `restart ${machine.name}`, () => {
            if (!machine.running) context.restart(machine);
          });
        }
      };
    },
  };
}

const one = (context: FaultContext): readonly Machine[] => [anyOf(context)];
const all = ({ machines }: FaultContext): readonly Machine[] => machines;

export const processFaults: readonly Fault[] = [
  restarts("crash", one, (machine) => machine.crash()),
  restarts("crash-all", all, (machine) => machine.crash()),
  restarts(
    "crash-leader",
    (context) => [aLeader(context)],
    (machine) => machine.crash(),
  ),
  restarts("power-cut", one, (machine) => machine.powerCut()),
  restarts("power-cut-all", all, (machine) => machine.powerCut()),
  {
    kind: "crash-at-io",
    begin(context) {
      const { random } = context;
      const { scheduler } = context.world;
      const machine = anyOf(context);
      const [life, last] = [machine.lives, machine.device.operations + 1 + random.below(40)];
      const power = random.chance(1, 2);
      machine.device.watch = (_kind, _path, number) => {
        if (number < last || machine.lives !== life || !machine.running) return;
        machine.device.watch = undefined;
        if (power) machine.powerCut();
        else machine.crash();
        scheduler.after(1 + random.below(500), `restart ${machine.name}`, () => {
          if (!machine.running) context.restart(machine);
        });
      };
      return () => {
        machine.device.watch = undefined;
      };
    },
  },
  {
    kind: "stop",
    begin(context) {
      const machine = anyOf(context);
      if (machine.running) context.stop(machine);
      return () => {};
    },
  },
  {
    kind: "pause",
    begin(context) {
      const machine = anyOf(context);
      if (!machine.running) return undefined;
      machine.pause();
      return () => machine.resume();
    },
  },
];
