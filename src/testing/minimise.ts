import type { Report } from "./judge.ts";

/**
 * Delta debugging after Zeller and Hildebrandt (2002): drops parts of a list, and then ever smaller parts, for as long as what is left
 * still fails. A part that cannot be dropped is not tried again before the parts are smaller, which saves most of the runs. Of the result
 * no single one can be dropped, if `fails` says the same each time it is asked.
 *
 * @param all numbers with which it fails
 */
export async function minimise(all: readonly number[], fails: (kept: readonly number[]) => Promise<boolean>): Promise<readonly number[]> {
  if (all.length > 0 && (await fails([]))) return [];
  let kept = all;
  for (let size = Math.ceil(all.length / 2), dropped = true; kept.length > 1 && (size > 1 || dropped); size = Math.ceil(size / 2)) {
    dropped = false;
    for (let at = 0; at < kept.length; ) {
      const rest = [...kept.slice(0, at), ...kept.slice(at + size)];
      if (rest.length > 0 && (await fails(rest))) {
        kept = rest;
        dropped = true;
      } else at += size;
    }
    if (size > 1) dropped = true;
  }
  return kept;
}

const ROW = /^\s*(?:\w*Error: )?([A-Z]\d+)\b/;

/**
 * What a failure is, so that a shorter plan is not taken for the same bug when it finds another one: the row that is broken, or else the
 * message without its numbers. Undefined: the seed passed.
 */
export function failureOf(report: Report): string | undefined {
  if (!("failure" in report)) return undefined;
  const [first = ""] = report.failure.split("\n");
  return ROW.exec(first)?.[1] ?? first.replace(/\d+/g, "N").slice(0, 80);
}
