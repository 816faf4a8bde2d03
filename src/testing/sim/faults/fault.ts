import type { Tree } from "../disk/tree.ts";
import type { Machine } from "../machine.ts";
import type { SimRandom } from "../random.ts";
import type { World } from "../world.ts";

/** What faults may act on. */
export interface FaultTargets {
  readonly world: World;
  /** The machines of the cluster, and those of its clients. */
  readonly machines: readonly Machine[];
  readonly clients: readonly Machine[];
  /** Starts the machine's program again. */
  restart(machine: Machine): void;
  /** Stops the program as SIGTERM does; it is started again some time after it ended. */
  stop(machine: Machine): void;
  /** Machines that lead something. */
  leaders(): readonly Machine[];
  /** Whether the cluster survives the loss of a disk now: no other one is lost, or what was lost with it was replaced. */
  mayLoseDisk(): boolean;
  /** The machine dies with its disk: an empty one is there at its next start, or one with this older copy, which it is told to set aside. */
  loseDisk(machine: Machine, copy?: Tree): void;
  /** Bytes on this disk are not what was written: no other disk is lost until it was examined and what it lost is repaired. */
  damaged(machine: Machine): void;
  /**
   * The machine dies; something is done to its disk by which that forgets what it once held; and it starts some time later. Nobody is told.
   */
  forgets(machine: Machine, change: () => void): void;
  /** Two machines stop and start with each other's disk, on which neither may begin. @returns what puts each disk back */
  swapDisks(a: Machine, b: Machine): () => void;
}

/** The targets, and the randomness of one planned fault: what it draws shifts nothing that another one gets. */
export interface FaultContext extends FaultTargets {
  readonly random: SimRandom;
}

/** One kind of trouble. `begin` returns what ends it; undefined: it makes no sense now. */
export interface Fault {
  readonly kind: FaultKind;
  /** It takes so long at least, milliseconds, whatever was planned. */
  readonly leastMs?: number;
  begin(context: FaultContext): (() => void) | undefined;
}

export const faultKinds = [
  "crash",
  "crash-all",
  "crash-leader",
  "crash-at-io",
  "crash-at-command",
  "crash-then-power-cut",
  "cut-at-answer",
  "slow-return",
  "pause",
  "power-cut",
  "power-cut-all",
  "isolate",
  "isolate-leader",
  "cut-one-way",
  "deaf",
  "mute",
  "depose-leader",
  "partition",
  "swizzle",
  "flapping-link",
  "split-clients",
  "break-connections",
  "flaky-links",
  "lossy-links",
  "slow-links",
  "clog",
  "changed-bytes",
  "slow-disk",
  "slow-platter",
  "disk-failure",
  "disk-full",
  "write-back",
  "wiped-disk",
  "restored-disk",
  "swapped-disks",
  "bit-flip",
  "snapshot-flip",
  "log-flip",
  "read-failure",
  "stop",
  "clock-ahead",
  "clock-behind",
  "clock-skew",
] as const;
export type FaultKind = (typeof faultKinds)[number];

export const anyOf = ({ machines, random }: FaultContext): Machine => random.pick(machines);

/** A machine that leads something; any, when none does. */
export function aLeader(context: FaultContext): Machine {
  const leaders = context.leaders();
  return context.random.pick(leaders.length === 0 ? context.machines : leaders);
}
