import type { Machine } from "../machine.ts";
import type { WireMessage } from "../network/wire.ts";
import { aLeader, anyOf, type Fault, type FaultContext } from "./fault.ts";
import { watchLink } from "./watch-link.ts";

/** Longer than a follower may lag before it is out of the in-sync replicas, milliseconds. */
const AWAY_MS = 2_400;
/** How slow the disk of one that comes back is: each batch reaches it later than all the others. */
const SLOW_MS = [100, 500] as const;
const BACK_MS = 4_000;
/** By this name brokers send commands to the controller. */
const COMMAND = Buffer.from("metadata.command", "latin1");

/** Troubles that follow one another on one machine. Each by itself is another kind; by chance they seldom meet. */
export const sequences: readonly Fault[] = [
  {
    // It is in the page cache and was never synced; whoever takes it for durable loses it with the power.
    kind: "crash-then-power-cut",
    leastMs: 3_000,
    begin(context) {
      const { random, world } = context;
      const { scheduler } = world;
      const machine = anyOf(context);
      const { device } = machine;
      const life = machine.lives;
      let over = false;
      const again = (delayMs: number, then: () => void) =>
        scheduler.after(delayMs, `restart ${machine.name}`, () => {
          if (!machine.running) context.restart(machine);
          then();
        });
      device.watch = (kind, path) => {
        if (kind !== "write" || !path.startsWith("wal/") || machine.lives !== life || !machine.running) return;
        device.watch = undefined;
        scheduler.after(0.02, `${machine.name} dies of its write`, () => {
          if (machine.lives !== life || !machine.running) return;
          machine.crash();
          again(1 + random.below(100), () => {
            const next = machine.lives;
            scheduler.after(300 + random.below(1_500), `power of ${machine.name} fails`, () => {
              if (over || machine.lives !== next || !machine.running) return;
              machine.powerCut();
              again(1 + random.below(300), () => {});
            });
          });
        });
      };
      return () => {
        over = true;
        device.watch = undefined;
      };
    },
  },
  {
    // What it told the controller may be done, and whoever asked for it never hears of it.
    kind: "crash-at-command",
    begin(context) {
      const { random, world } = context;
      const { scheduler } = world;
      const machine = anyOf(context);
      if (context.machines.length < 2) return undefined;
      const life = machine.lives;
      let over = false;
      const unwatch = watchCommands(context, machine, () => {
        if (over) return;
        over = true;
        scheduler.after(random.below(40) / 10, `${machine.name} dies of its command`, () => {
          if (machine.lives !== life || !machine.running) return;
          machine.crash();
          scheduler.after(1 + random.below(500), `restart ${machine.name}`, () => {
            if (!machine.running) context.restart(machine);
          });
        });
      });
      return () => {
        over = true;
        unwatch();
      };
    },
  },
  {
    // Cut off until it is out of sync, then back on a disk that is slow; what its leader tells the controller, or is told, may be late.
    kind: "slow-return",
    leastMs: AWAY_MS + 1_000 + BACK_MS,
    begin(context) {
      const { random, world, machines } = context;
      const { network, scheduler } = world;
      const leader = aLeader(context);
      const [away] = random.shuffled(machines.filter((machine) => machine !== leader));
      if (away === undefined) return undefined;
      const links = machines
        .filter((other) => other !== away)
        .flatMap((other) => [network.link(other.name, away.name), network.link(away.name, other.name)]);
      for (const link of links) link.cut();
      const late = random.pick(["command", "answer", "nothing"] as const);
      const holdBack = (to: Machine) => {
        const slow = late === "command" ? network.link(leader.name, to.name) : network.link(to.name, leader.name);
        world.note(`the ${late} is late from ${slow.from} to ${slow.to}`);
        slow.cloggedUntil = world.now + 300 + random.below(700);
      };
      const unwatch = late === "nothing" ? () => {} : watchCommands(context, leader, holdBack);
      let over = false;
      const end = () => {
        if (over) return;
        over = true;
        unwatch();
        away.device.platterMs = 0;
      };
      scheduler.after(AWAY_MS + random.below(1_000), `${away.name} is back, and slow`, () => {
        if (over) return;
        for (const link of links) link.heal();
        away.device.platterMs = random.between(...SLOW_MS);
        scheduler.after(BACK_MS, `the disk of ${away.name} is well`, end);
      });
      return () => {
        for (const link of links) link.heal();
        end();
      };
    },
  },
];

/** Tells of each command that this machine sends to the controller, as it leaves. @returns ends it */
function watchCommands({ world, machines }: FaultContext, from: Machine, told: (to: Machine) => void): () => void {
  const undo = machines
    .filter((to) => to !== from)
    .map((to) =>
      watchLink(world.network.link(from.name, to.name), (message) => {
        if (isCommand(message)) told(to);
      }),
    );
  return () => {
    for (const end of undo) end();
  };
}

function isCommand(message: WireMessage): boolean {
  if (message.type !== "peer") return false;
  const head = message.chunks[1];
  return head !== undefined && head.length < 64 && Buffer.from(head.buffer, head.byteOffset, head.length).includes(COMMAND);
}
