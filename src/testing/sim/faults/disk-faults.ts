import type { Fault } from "./fault.ts";

export const diskFaults: readonly Fault[] = [
  {
    kind: "slow-disk",
    begin({ world, machines }) {
      const machine = world.random.pick(machines);
      machine.device.slowness = 1 + world.random.below(400);
      return () => {
        machine.device.slowness = 1;
      };
    },
  },
  {
    kind: "disk-failure",
    begin({ world, machines }) {
      const { device } = world.random.pick(machines);
      device.failNext(world.random.pick(["write", "sync"] as const), "EIO");
      return () => device.forgetFailures();
    },
  },
  {
    kind: "disk-full",
    begin(targets) {
      const { world, machines } = targets;
      const one = [world.random.pick(machines)];
      const leader = targets.leader();
      const hit = world.random.pick([one, leader === undefined ? one : [leader], machines]);
      // From a little below the reserve down to nothing at all.
      for (const { device } of hit) device.leaveFree(world.random.pick([200, 60, 0]) * 1024);
      return () => {
        for (const { device } of hit) device.capacityBytes = Number.MAX_SAFE_INTEGER;
      };
    },
  },
  {
    kind: "wiped-disk",
    begin(targets) {
      if (!targets.mayLoseDisk()) return undefined;
      targets.loseDisk(targets.world.random.pick(targets.machines));
      return () => {};
    },
  },
  {
    kind: "restored-disk",
    begin(targets) {
      if (!targets.mayLoseDisk()) return undefined;
      const machine = targets.world.random.pick(targets.machines);
      const copy = machine.device.backUp();
      // Of two that are under way only one may lose a disk; the other copy is thrown away.
      return () => {
        if (targets.mayLoseDisk()) targets.loseDisk(machine, copy);
      };
    },
  },
  {
    kind: "write-back",
    begin({ machines }) {
      for (const { device } of machines) device.writeBack();
      return () => {};
    },
  },
];
