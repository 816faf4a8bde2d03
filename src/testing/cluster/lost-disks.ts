import { MillraceError } from "../../base/errors.ts";
import type { GroupId } from "../../base/ids.ts";
import type { Tree } from "../sim/disk/tree.ts";
import type { Machine } from "../sim/machine.ts";
import type { ReplicaUnderTest } from "./broker-under-test.ts";

interface Hosted {
  readonly machine: Machine;
  readonly replica: ReplicaUnderTest;
}

/**
 * Which disks a run has lost, and whether it may lose another. The promise is that a majority of the replicas keep their disks (design §1),
 * so there is at most one at a time: until every group votes with replicas that are all there, and in good standing.
 */
export class LostDisks {
  /** Those that came with another disk, and what they are told to set aside. */
  readonly #lost = new Map<Machine, string | undefined>();
  #count = 0;

  /** Disks lost so far. */
  get count(): number {
    return this.#count;
  }

  /** The machine is off; its disk goes. @param incarnation of the copy */
  lose(machine: Machine, copy: Tree | undefined, incarnation: string | undefined): void {
    this.#count += 1;
    if (copy === undefined) machine.device.replace();
    else machine.device.restore(copy);
    this.#lost.set(machine, incarnation);
  }

  /** Said at every start from then on, as a unit file would: only the first one does something. */
  setsAside(machine: Machine): string | undefined {
    return this.#lost.get(machine);
  }

  /** Why a broker whose disk was lost cannot begin yet. */
  explains(machine: Machine, error: Error): boolean {
    return this.#lost.has(machine) && error instanceof MillraceError && error.code === "DUPLICATE_BROKER";
  }

  /** Every group is led, votes with at least so many replicas, and each of these is on a machine, counts, and lacks nothing. */
  static whole(hosted: Iterable<Hosted>, least: (group: GroupId) => number): boolean {
    const groups = new Map<GroupId, Hosted[]>();
    for (const one of hosted) {
      const group = groups.get(one.replica.groupId) ?? [];
      groups.set(one.replica.groupId, group);
      group.push(one);
    }
    for (const [id, group] of groups) {
      const leader = group
        .filter(({ machine, replica }) => machine.running && replica.core.role === "leader")
        .sort((a, b) => b.replica.core.term - a.replica.core.term)[0]?.replica.core;
      if (leader === undefined || leader.configuration.old !== undefined || leader.configurationIndex > leader.commit) return false;
      const { voters } = leader.configuration;
      const good = group.filter(({ replica }) => voters.includes(replica.id) && !replica.core.quarantined);
      if (voters.length < least(id) || good.length !== voters.length) return false;
    }
    return groups.size > 0;
  }
}

/** The incarnation a copy of a disk has; undefined: it was copied before it had one. */
export function incarnationIn(copy: Tree): string | undefined {
  const file = [...copy.walk()].find(({ path }) => path === "meta.json")?.node;
  if (file?.kind !== "file") return undefined;
  const bytes = new Uint8Array(file.size);
  file.read(0, bytes);
  try {
    return (JSON.parse(new TextDecoder().decode(bytes)) as { readonly incarnation?: string }).incarnation;
  } catch {
    return undefined;
  }
}
