import type { Machine } from "../machine.ts";
import type { Fault, FaultKind, FaultTargets } from "./fault.ts";

/** Ends `victims` and starts them again, each for itself, when the fault is over. */
function restarts(kind: FaultKind, victims: (targets: FaultTargets) => readonly Machine[], end: (machine: Machine) => void): Fault {
  return {
    kind,
    begin(targets) {
      const hit = victims(targets);
      for (const machine of hit) end(machine);
      return () => {
        for (const machine of hit) {
          if (machine.running) continue;
          const { scheduler, random } = targets.world;
          scheduler.after(random.below(200), `restart ${machine.name}`, () => {
            if (!machine.running) targets.restart(machine);
          });
        }
      };
    },
  };
}

const one = ({ world, machines }: FaultTargets): readonly Machine[] => [world.random.pick(machines)];
const all = ({ machines }: FaultTargets): readonly Machine[] => machines;

export const processFaults: readonly Fault[] = [
  restarts("crash", one, (machine) => machine.crash()),
  restarts("crash-all", all, (machine) => machine.crash()),
  restarts(
    "crash-leader",
    (targets) => [targets.leader() ?? targets.world.random.pick(targets.machines)],
    (machine) => machine.crash(),
  ),
  restarts("power-cut", one, (machine) => machine.powerCut()),
  restarts("power-cut-all", all, (machine) => machine.powerCut()),
  {
    kind: "crash-at-io",
    begin(targets) {
      const { random, scheduler } = targets.world;
      const machine = random.pick(targets.machines);
      const [life, last] = [machine.lives, machine.device.operations + 1 + random.below(40)];
      const power = random.chance(1, 2);
      machine.device.watch = (_kind, _path, number) => {
        if (number < last || machine.lives !== life || !machine.running) return;
        machine.device.watch = undefined;
        if (power) machine.powerCut();
        else machine.crash();
        scheduler.after(1 + random.below(500), `restart ${machine.name}`, () => {
          if (!machine.running) targets.restart(machine);
        });
      };
      return () => {
        machine.device.watch = undefined;
      };
    },
  },
  {
    kind: "stop",
    begin(targets) {
      const machine = targets.world.random.pick(targets.machines);
      if (machine.running) targets.stop(machine);
      return () => {};
    },
  },
  {
    kind: "clock-jump",
    begin({ world, machines }) {
      const machine = world.random.pick(machines);
      const byMs = (world.random.below(7_200) - 3_600) * 1_000;
      machine.wall.offsetMs += byMs;
      world.note(`wall clock of ${machine.name} jumps by ${byMs} ms`);
      return () => {
        machine.wall.offsetMs -= byMs;
      };
    },
  },
];
