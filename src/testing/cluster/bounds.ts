import type { SeedResult } from "./run-seed.ts";
import type { Shape } from "./shape.ts";

/** Where a run left the bounds of its shape. */
export function outOfBounds(
  { simulatedMs, operations: { ok, fail, info }, fired }: Pick<SeedResult, "simulatedMs" | "operations" | "fired">,
  { name, bounds }: Shape,
): readonly string[] {
  const operations = ok + fail + info;
  const overlapping = fired.filter(({ overlaps }) => overlaps).length;
  const share = operations === 0 ? 0 : (ok * 100) / operations;
  const lines: string[] = [];
  const least = (what: string, is: number, bound: number) => {
    if (is < bound) lines.push(`${what}: ${is}, and a ${name} seed has at least ${bound}`);
  };
  least("simulated milliseconds", Math.floor(simulatedMs), bounds.simulatedMs);
  least("operations", operations, bounds.operations);
  least("operations of a hundred that ended ok", Math.floor(share), bounds.okPercent);
  least("faults during an open operation", overlapping, bounds.faults);
  return lines;
}

/** What makes a run worthless: it fails, while one that is merely out of bounds says so. */
export function nothingDone(
  { operations: { ok, fail, info }, fired }: Pick<SeedResult, "operations" | "fired">,
  { bounds }: Shape,
): readonly string[] {
  const overlapping = fired.some(({ overlaps }) => overlaps);
  return [
    ...(ok + fail + info === 0 ? ["the run executed nothing"] : []),
    ...(bounds.faults > 0 && !overlapping ? ["the run injected nothing"] : []),
  ];
}
