import { readBlockHeader } from "../../../log/model/block.ts";
import type { FileNode } from "../disk/file-node.ts";
import type { Machine } from "../machine.ts";
import type { SimRandom } from "../random.ts";
import type { World } from "../world.ts";
import { anyOf, type Fault, type FaultContext, type FaultKind } from "./fault.ts";

const SEGMENT = /^groups\/.*\.(log|index)$/;
const SNAPSHOT = /^groups\/.*\.snapshot$/;
const RING_FILE = /^wal\//;
const BLOCK_ALIGN = 4096;
const HEADER_BYTES = 64;

interface Place {
  readonly path: string;
  readonly file: FileNode;
}

/** Bytes that are not what was written. Each needs a cluster that can do without this disk. */
export const damageFaults: readonly Fault[] = [
  // In a segment or its index.
  flips("bit-flip", SEGMENT, [1, 2]),
  // Only a start looks at snapshots.
  flips("snapshot-flip", SNAPSHOT, [1, 1]),
  {
    // In the write-ahead log, while the broker is off: before blocks that are whole, or nobody could tell it from a torn end.
    kind: "log-flip",
    begin(context) {
      const { random, world } = context;
      const machine = anyOf(context);
      if (!context.mayLoseDisk() || !machine.running || neededBlocks(machine).length === 0) return undefined;
      context.forgets(machine, () => {
        for (let flips = random.between(1, 3); flips > 0; flips--) {
          const blocks = neededBlocks(machine);
          // A bit of a header takes its block, and those that it alone needs, off the list.
          if (blocks.length === 0) return;
          const { path, file, at, bytes } = random.pick(blocks);
          flip(world, machine, { path, file }, at + random.below(bytes), random);
        }
      });
      return () => {};
    },
  },
  {
    // A sector that cannot be read, once: a retry of the same call would succeed.
    kind: "read-failure",
    begin(context) {
      const { random } = context;
      if (!context.mayLoseDisk()) return undefined;
      const machine = anyOf(context);
      for (let failures = random.between(1, 3); failures > 0; failures--)
        machine.device.failNext("read", "EIO", random.pick(["", "groups/", "wal/"] as const));
      context.damaged(machine);
      const restarts = random.chance(1, 2);
      if (restarts) machine.crash();
      return () => {
        machine.device.forgetFailures();
        if (!machine.running) context.restart(machine);
      };
    },
  },
];

/** @param restarts how often the broker is started anew after it */
function flips(kind: FaultKind, where: RegExp, restarts: readonly [times: number, outOf: number]): Fault {
  return {
    kind,
    begin(context: FaultContext) {
      const { random } = context;
      if (!context.mayLoseDisk()) return undefined;
      const machine = anyOf(context);
      const files = machine.device.files().filter(({ path, file }) => where.test(path) && file.size > 0);
      if (files.length === 0) return undefined;
      for (let flips = random.between(1, 3); flips > 0; flips--) {
        const place = random.pick(files);
        flip(context.world, machine, place, random.below(place.file.size), random);
      }
      context.damaged(machine);
      return () => {
        if (random.chance(...restarts)) machine.crash();
        if (!machine.running) context.restart(machine);
      };
    },
  };
}

function flip(world: World, machine: Machine, { path, file }: Place, at: number, random: SimRandom): void {
  world.note(`${machine.name} has another bit at ${at} of ${path}`);
  file.flipBit(at, random.below(8));
}

/** Blocks that a start reads, less the newest two: one of these may be torn. */
function neededBlocks(machine: Machine): readonly (Place & { readonly at: number; readonly bytes: number })[] {
  const header = new Uint8Array(HEADER_BYTES);
  const blocks = machine.device
    .files()
    .filter(({ path }) => RING_FILE.test(path))
    .flatMap(({ path, file }) => {
      const found: (Place & { readonly at: number; readonly bytes: number; readonly sequence: number; readonly lowMark: number })[] = [];
      for (let at = 0; at < file.size; at += BLOCK_ALIGN) {
        if (file.read(at, header) < HEADER_BYTES) break;
        const block = readBlockHeader(header, 0, header.slice(8, 24));
        if (block !== undefined) found.push({ path, file, at, bytes: block.bytes, sequence: block.sequence, lowMark: block.lowMark });
      }
      return found;
    })
    .sort((a, b) => a.sequence - b.sequence);
  const lowMark = blocks.at(-1)?.lowMark ?? 0;
  return blocks.slice(0, -2).filter(({ sequence }) => sequence >= lowMark);
}
