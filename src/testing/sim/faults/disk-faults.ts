import { aLeader, anyOf, type Fault } from "./fault.ts";

export const diskFaults: readonly Fault[] = [
  {
    kind: "slow-disk",
    begin({ random, machines }) {
      const machine = random.pick(machines);
      machine.device.slowness = 1 + random.below(400);
      return () => {
        machine.device.slowness = 1;
      };
    },
  },
  {
    // A drive that tries again and again: syncs take long, the page cache does not.
    kind: "slow-platter",
    begin(context) {
      const { device } = anyOf(context);
      device.platterMs = 50 + context.random.below(1_000);
      return () => {
        device.platterMs = 0;
      };
    },
  },
  {
    kind: "disk-failure",
    begin({ random, machines }) {
      const { device } = random.pick(machines);
      device.failNext(random.pick(["write", "sync"] as const), "EIO");
      return () => device.forgetFailures();
    },
  },
  {
    kind: "disk-full",
    begin(context) {
      const { random, machines } = context;
      const hit = random.pick([[anyOf(context)], [aLeader(context)], machines]);
      // From a little below the reserve down to nothing at all.
      for (const { device } of hit) device.leaveFree(random.pick([200, 60, 0]) * 1024);
      return () => {
        for (const { device } of hit) device.capacityBytes = Number.MAX_SAFE_INTEGER;
      };
    },
  },
  {
    kind: "wiped-disk",
    begin(context) {
      if (!context.mayLoseDisk()) return undefined;
      context.loseDisk(anyOf(context));
      return () => {};
    },
  },
  {
    kind: "restored-disk",
    begin(context) {
      if (!context.mayLoseDisk()) return undefined;
      const machine = anyOf(context);
      const copy = machine.device.backUp();
      // Of two that are under way only one may lose a disk; the other copy is thrown away.
      return () => {
        if (context.mayLoseDisk()) context.loseDisk(machine, copy);
      };
    },
  },
  {
    kind: "swapped-disks",
    begin(context) {
      const [a, b] = context.random.shuffled(context.machines);
      return a === undefined || b === undefined || !context.mayLoseDisk() ? undefined : context.swapDisks(a, b);
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
