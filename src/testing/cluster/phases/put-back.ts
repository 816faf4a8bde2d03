import type { Tree } from "../../sim/disk/tree.ts";
import type { Machine } from "../../sim/machine.ts";
import type { Run } from "../run.ts";
import { LIVENESS_MS } from "./liveness.ts";

/** Counted like a fault: a broker ran on an older copy of its disk, and did not know. */
export const OLD_COPY = "old-copy";

/** Within this time every broker has told every other how far its disk is. */
const PROBED_MS = 1_500;
const LAGS_MS = 200;
const GONE_MS = 2_000;

/** One seed in so many. */
const SEEDS_PER_COPY = 16;

export interface Copy {
  readonly machine: Machine;
  readonly tree: Tree;
}

/** Now and then a disk will be put back as it was now, when all is quiet again, and nobody tells its broker. */
export function copyOne({ world, cluster }: Run): Copy | undefined {
  const { random } = world;
  const machine = random.chance(1, SEEDS_PER_COPY) && cluster.machines.length === 3 ? random.pick(cluster.machines) : undefined;
  return machine && { machine, tree: machine.device.backUp() };
}

/** A peer must remember the disk: it has run on and heard its probes since. */
export async function putBack(run: Run, { machine, tree }: Copy): Promise<void> {
  const { world, cluster } = run;
  const well = (): boolean => cluster.allRunning && cluster.whole;
  if (cluster.disksLost > 0 || !(await run.until(well, LIVENESS_MS))) return;
  await run.pass(PROBED_MS);
  if (!well()) return;
  // What it forgets shall matter: a leader commits with it alone, and is gone when it comes back.
  const [leader] = world.random.shuffled(cluster.leaders());
  const [third] = cluster.machines.filter((other) => other !== machine && other !== leader);
  if (leader === undefined || leader === machine || third === undefined) return;
  const link = world.network.link(leader.name, third.name);
  link.cut();
  await run.pass(LAGS_MS);
  world.note(`${machine.name} forgets`);
  leader.crash();
  cluster.forgets(machine, () => machine.device.restore(tree));
  link.heal();
  world.scheduler.after(GONE_MS, `restart ${leader.name}`, () => cluster.startAll());
  if (!(await run.until(() => machine.running && well(), LIVENESS_MS)))
    throw new Error(`V1: ${machine.name} is not well ${LIVENESS_MS} ms after its disk was put back as an older copy`);
  run.extraFaults.set(OLD_COPY, 1);
}
