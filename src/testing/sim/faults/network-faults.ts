import type { Machine } from "../machine.ts";
import type { Link } from "../network/link.ts";
import { aLeader, anyOf, type Fault, type FaultContext, type FaultKind } from "./fault.ts";

/** Does something to links, and undoes it on the same ones. */
function onLinks(
  kind: FaultKind,
  choose: (context: FaultContext) => readonly Link[],
  begin: (link: Link, context: FaultContext) => void,
  end: (link: Link) => void,
): Fault {
  return {
    kind,
    begin(context) {
      const links = choose(context);
      for (const link of links) begin(link, context);
      return () => {
        for (const link of links) end(link);
      };
    },
  };
}

const cut = (link: Link): void => link.cut();
const heal = (link: Link): void => link.heal();

function everybody({ machines, clients }: FaultContext): readonly Machine[] {
  return [...machines, ...clients];
}

/** Links of `machine` with the others of the cluster, and half of the time with the clients too. */
function linksOf(context: FaultContext, machine: Machine, directions: "to" | "from" | "both"): readonly Link[] {
  const { random } = context;
  const { network } = context.world;
  const others = (random.chance(1, 2) ? everybody(context) : context.machines).filter((other) => other !== machine);
  return others.flatMap((other) => [
    ...(directions === "from" ? [] : [network.link(other.name, machine.name)]),
    ...(directions === "to" ? [] : [network.link(machine.name, other.name)]),
  ]);
}

function someLinks(context: FaultContext): readonly Link[] {
  const { random } = context;
  const { network } = context.world;
  const hosts = everybody(context).map(({ name }) => name);
  const links = hosts.flatMap((from) => hosts.filter((to) => to !== from).map((to) => network.link(from, to)));
  return random.shuffled(links).slice(0, 1 + random.below(links.length));
}

export const networkFaults: readonly Fault[] = [
  onLinks("isolate", (context) => linksOf(context, anyOf(context), "both"), cut, heal),
  onLinks("isolate-leader", (context) => linksOf(context, aLeader(context), "both"), cut, heal),
  onLinks("deaf", (context) => linksOf(context, anyOf(context), "to"), cut, heal),
  onLinks("mute", (context) => linksOf(context, anyOf(context), "from"), cut, heal),
  onLinks("cut-one-way", (context) => someLinks(context).slice(0, 1 + context.random.below(3)), cut, heal),
  onLinks(
    "split-clients",
    (context) => context.clients.flatMap((client) => [context.world.network.link(client.name, anyOf(context).name)]),
    cut,
    heal,
  ),
  onLinks(
    "flaky-links",
    someLinks,
    (link, { random }) => {
      link.breaksPerTenThousand = 1 + random.below(300);
    },
    (link) => {
      link.breaksPerTenThousand = 0;
    },
  ),
  onLinks(
    "slow-links",
    someLinks,
    (link, { random }) => {
      link.slowTo(random.below(200));
    },
    (link) => link.slowTo(0),
  ),
  onLinks(
    "clog",
    someLinks,
    (link, { world, random }) => {
      link.cloggedUntil = world.now + random.below(800);
    },
    (link) => {
      link.cloggedUntil = 0;
    },
  ),
  {
    kind: "break-connections",
    begin(context) {
      const { random } = context;
      const { network } = context.world;
      const [a, b] = random.shuffled(everybody(context));
      if (a !== undefined && b !== undefined) network.breakConnections(a.name, b.name);
      return () => {};
    },
  },
];
