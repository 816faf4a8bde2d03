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
    kind: "write-back",
    begin({ machines }) {
      for (const { device } of machines) device.writeBack();
      return () => {};
    },
  },
];
