import type { Machine } from "../machine.ts";
import type { Link } from "../network/link.ts";
import type { Fault, FaultKind, FaultTargets } from "./fault.ts";

/** Does something to links, and undoes it on the same ones. */
function onLinks(
  kind: FaultKind,
  choose: (targets: FaultTargets) => readonly Link[],
  begin: (link: Link, targets: FaultTargets) => void,
  end: (link: Link) => void,
): Fault {
  return {
    kind,
    begin(targets) {
      const links = choose(targets);
      for (const link of links) begin(link, targets);
      return () => {
        for (const link of links) end(link);
      };
    },
  };
}

const cut = (link: Link): void => link.cut();
const heal = (link: Link): void => link.heal();

function everybody({ machines, clients }: FaultTargets): readonly Machine[] {
  return [...machines, ...clients];
}

/** Links of `machine` with the others of the cluster, and half of the time with the clients too. */
function linksOf(targets: FaultTargets, machine: Machine, directions: "to" | "from" | "both"): readonly Link[] {
  const { network, random } = targets.world;
  const others = (random.chance(1, 2) ? everybody(targets) : targets.machines).filter((other) => other !== machine);
  return others.flatMap((other) => [
    ...(directions === "from" ? [] : [network.link(other.name, machine.name)]),
    ...(directions === "to" ? [] : [network.link(machine.name, other.name)]),
  ]);
}

function someLinks(targets: FaultTargets): readonly Link[] {
  const { network, random } = targets.world;
  const hosts = everybody(targets).map(({ name }) => name);
  const links = hosts.flatMap((from) => hosts.filter((to) => to !== from).map((to) => network.link(from, to)));
  return random.shuffled(links).slice(0, 1 + random.below(links.length));
}

const anyOf = (targets: FaultTargets): Machine => targets.world.random.pick(targets.machines);

export const networkFaults: readonly Fault[] = [
  onLinks("isolate", (targets) => linksOf(targets, anyOf(targets), "both"), cut, heal),
  onLinks("isolate-leader", (targets) => linksOf(targets, targets.leader() ?? anyOf(targets), "both"), cut, heal),
  onLinks("deaf", (targets) => linksOf(targets, anyOf(targets), "to"), cut, heal),
  onLinks("mute", (targets) => linksOf(targets, anyOf(targets), "from"), cut, heal),
  onLinks("cut-one-way", (targets) => someLinks(targets).slice(0, 1 + targets.world.random.below(3)), cut, heal),
  onLinks(
    "split-clients",
    (targets) => targets.clients.flatMap((client) => [targets.world.network.link(client.name, anyOf(targets).name)]),
    cut,
    heal,
  ),
  onLinks(
    "flaky-links",
    someLinks,
    (link, { world }) => {
      link.breaksPerTenThousand = 1 + world.random.below(300);
    },
    (link) => {
      link.breaksPerTenThousand = 0;
    },
  ),
  onLinks(
    "slow-links",
    someLinks,
    (link, { world }) => {
      link.slowTo(world.random.below(200));
    },
    (link) => link.slowTo(0),
  ),
  onLinks(
    "clog",
    someLinks,
    (link, { world }) => {
      link.cloggedUntil = world.now + world.random.below(800);
    },
    (link) => {
      link.cloggedUntil = 0;
    },
  ),
  {
    kind: "break-connections",
    begin(targets) {
      const { network, random } = targets.world;
      const [a, b] = random.shuffled(everybody(targets));
      if (a !== undefined && b !== undefined) network.breakConnections(a.name, b.name);
      return () => {};
    },
  },
];
