import type { Held } from "../checkers/history.ts";
import { brokerOn } from "./config.ts";
import type { SimCluster } from "./sim-cluster.ts";

/** One for what is appended and one for readers. */
const PER_FILE = 2;
/** Connections between two brokers, whichever asked for them. */
const PER_PEER = 3;
/** Bytes to one host that its kernel has not taken. */
const UNSENT_BYTES_MAX = 64 * 1024;

/** What each broker has open. @param peers all brokers @param clients hosts of clients, by name as well */
export function heldNow(
  cluster: Pick<SimCluster, "world" | "processes">,
  peers: readonly string[],
  clients: readonly string[],
): readonly Held[] {
  const { network } = cluster.world;
  return [...cluster.processes()].flatMap(({ machine, process }) => {
    const broker = brokerOn(machine.name);
    const named = new Set<object>([...machine.device.tree.walk()].map(({ node }) => node));
    const open = [...process.openFiles];
    const unsent = Math.max(0, ...[...peers, ...clients].map((host) => network.unsentBytes(machine.name, host)));
    const others = peers.filter((host) => host !== machine.name);
    const toBrokers = others.reduce((sum, host) => sum + network.connections(machine.name, host), 0);
    const beyond = clients.reduce(
      (sum, host) => sum + Math.max(0, network.connections(machine.name, host) - network.connections(host, machine.name)),
      0,
    );
    return [
      { broker, what: "open files", count: open.length, most: PER_FILE * named.size },
      { broker, what: "open files that have no name any more", count: open.filter(({ node }) => !named.has(node)).length, most: 0 },
      { broker, what: "connections to other brokers", count: toBrokers, most: PER_PEER * others.length },
      { broker, what: "connections that clients have closed", count: beyond, most: 0 },
      { broker, what: "bytes that somebody does not take", count: unsent, most: UNSENT_BYTES_MAX },
    ];
  });
}
