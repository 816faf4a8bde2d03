import { closeSync, copyFileSync, fstatSync, openSync, readFileSync, readSync, rmSync, truncateSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { Draws } from "../draws.ts";

/** What is done to a place. */
export const DAMAGES = ["byte flipped", "page zeroed", "deleted", "sibling's copied over"] as const;
export type Damage = (typeof DAMAGES)[number];

const PAGE = 4096;

/** Bytes of one file that are to be hit. */
export interface Spot {
  /** Relative to the data directory, as the broker names it. */
  readonly path: string;
  readonly from: number;
  /** Exclusive. */
  readonly to: number;
  /** It is the end of its file: deleted means cut off, and a sibling's is written over these bytes alone. */
  readonly part?: boolean;
  /** Goes with it when the file is deleted: what would take its place. */
  readonly spares?: readonly string[];
  /** The same place of another partition of this broker. */
  readonly sibling?: Pick<Spot, "path" | "from" | "to">;
}

/** What was done: the broker has to name this file, and a position from which a reader comes to these bytes. */
export interface Wound {
  readonly path: string;
  readonly at: number;
  /** Bytes hit; undefined: everything from `at` on. */
  readonly bytes: number | undefined;
}

/** Does it, below `data`. @throws when the place was the same before and after */
export function wound(data: string, spot: Spot, damage: Damage, draws: Draws): Wound {
  const file = join(data, spot.path);
  switch (damage) {
    case "byte flipped": {
      const at = spot.from + draws.below(spot.to - spot.from);
      change(file, at, 1, (bytes) => {
        bytes[0] = (bytes[0] ?? 0) ^ (1 << draws.below(8));
      });
      return { path: spot.path, at, bytes: 1 };
    }
    case "page zeroed": {
      const first = Math.floor(spot.from / PAGE);
      const at = PAGE * (first + draws.below(Math.ceil(spot.to / PAGE) - first));
      const bytes = change(file, at, PAGE, (page) => page.fill(0));
      return { path: spot.path, at, bytes };
    }
    case "deleted":
      if (spot.part === true) truncateSync(file, spot.from);
      else for (const path of [spot.path, ...(spot.spares ?? [])]) rmSync(join(data, path));
      return { path: spot.path, at: spot.part === true ? spot.from : 0, bytes: undefined };
    case "sibling's copied over": {
      const { sibling } = spot;
      if (sibling === undefined) throw new Error(`${spot.path} has no sibling`);
      if (spot.part !== true) copyFileSync(join(data, sibling.path), file);
      else {
        const own = readFileSync(join(data, sibling.path)).subarray(sibling.from, sibling.to);
        change(file, spot.from, spot.to - spot.from, (bytes) => bytes.set(own));
      }
      return { path: spot.path, at: spot.part === true ? spot.from : 0, bytes: undefined };
    }
  }
}

/** In place, as a disk would: who has the file open sees it. @returns bytes that lay there */
function change(file: string, at: number, length: number, edit: (bytes: Buffer) => void): number {
  const descriptor = openSync(file, "r+");
  try {
    const bytes = Buffer.alloc(Math.min(length, fstatSync(descriptor).size - at));
    readSync(descriptor, bytes, 0, bytes.length, at);
    const before = Buffer.from(bytes);
    edit(bytes);
    if (bytes.equals(before)) throw new Error(`${file} is at byte ${at} as it was`);
    writeSync(descriptor, bytes, 0, bytes.length, at);
    return bytes.length;
  } finally {
    closeSync(descriptor);
  }
}
