import type { Shape } from "./cluster/shape.ts";

/**
 * Every seed that ever failed, whatever it means since: a change of the simulator makes another run of it, and it is run all the same.
 * Those up to 1,000 are part of each `npm test` anyhow: 1, 3, 5, 8, 10, 14, 48, 54, 91, 112, 291, 464 and 739.
 */
const kept: Readonly<Record<string, readonly number[]>> = {
  short: [9_096, 30_316, 60_095, 61_177, 80_045, 80_057, 81_014, 903_115, 904_113, 904_352],
  whole: [1_001, 71_046, 77_004],
};

/** Seeds that are run before any other of this shape. */
export function keptSeeds({ name }: Shape): readonly number[] {
  return kept[name] ?? [];
}
