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

/** Links between these hosts, each direction for itself. */
function linksAmong({ world }: FaultContext, machines: readonly Machine[]): readonly Link[] {
  return machines.flatMap((from) => machines.filter((to) => to !== from).map((to) => world.network.link(from.name, to.name)));
}

function someLinks(context: FaultContext): readonly Link[] {
  const links = linksAmong(context, everybody(context));
  return context.random.shuffled(links).slice(0, 1 + context.random.below(links.length));
}

function deposed(context: FaultContext): readonly Link[] {
  const leader = aLeader(context);
  return context.machines.filter((other) => other !== leader).flatMap((other) => linksAmong(context, [leader, other]));
}

/** Everybody in one of two or three groups that do not hear each other; half of the time one host hears all of them. */
function acrossGroups(context: FaultContext): readonly Link[] {
  const { random } = context;
  const hosts = everybody(context);
  const groups = random.between(2, 3);
  const group = new Map(hosts.map((host) => [host, random.below(groups)]));
  const bridge = random.chance(1, 2) ? random.pick(hosts) : undefined;
  return hosts.flatMap((a) =>
    hosts
      .filter((b) => group.get(a) !== group.get(b) && a !== bridge && b !== bridge)
      .map((b) => context.world.network.link(a.name, b.name)),
  );
}

export const networkFaults: readonly Fault[] = [
  onLinks("isolate", (context) => linksOf(context, anyOf(context), "both"), cut, heal),
  onLinks("isolate-leader", (context) => linksOf(context, aLeader(context), "both"), cut, heal),
  // Deposed by its peers while its clients still reach it: what they send becomes a tail that nobody commits.
  onLinks("depose-leader", deposed, cut, heal),
  onLinks("partition", acrossGroups, cut, heal),
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
    "lossy-links",
    someLinks,
    (link, { random }) => {
      link.lossPercent = 1 + random.below(30);
    },
    (link) => {
      link.lossPercent = 0;
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
  {
    // Links are cut one after the other and healed in another order.
    kind: "swizzle",
    begin(context) {
      const { random } = context;
      const { scheduler } = context.world;
      const links = someLinks(context);
      let over = false;
      for (const link of links)
        scheduler.after(random.below(300), `cuts ${link.from}>${link.to}`, () => {
          if (!over) link.cut();
        });
      return () => {
        over = true;
        for (const link of random.shuffled(links)) scheduler.after(random.below(300), `heals ${link.from}>${link.to}`, () => link.heal());
      };
    },
  },
  {
    kind: "flapping-link",
    begin(context) {
      const { random } = context;
      const { scheduler } = context.world;
      const [a, b] = random.shuffled(everybody(context));
      const links = a === undefined || b === undefined ? [] : linksAmong(context, [a, b]);
      const mostMs = random.pick([50, 400]);
      let over = false;
      const flap = () => {
        if (over) return;
        for (const link of links) {
          if (link.isCut) link.heal();
          else link.cut();
        }
        scheduler.after(10 + random.below(mostMs), "link flaps", flap);
      };
      flap();
      return () => {
        over = true;
        for (const link of links) link.heal();
      };
    },
  },
];
