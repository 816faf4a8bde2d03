import type { Assignor } from "./assignor.ts";
import { range } from "./range.ts";
import { uniform } from "./uniform.ts";

/** Those a member may ask for by name; names are for ever, they are in the log. */
export const assignors = { uniform, range } as const satisfies Readonly<Record<string, Assignor>>;

export type AssignorName = keyof typeof assignors;

export const DEFAULT_ASSIGNOR: AssignorName = "uniform";

export function isAssignor(name: string): name is AssignorName {
  return Object.hasOwn(assignors, name);
}

/**
 * What most of those members want that want one; of several with equally many the first by name.
 * @param wanted one name per member, empty for no wish
 */
export function assignorOf(wanted: readonly string[]): AssignorName {
  const votes = new Map<AssignorName, number>();
  for (const name of wanted) if (isAssignor(name)) votes.set(name, (votes.get(name) ?? 0) + 1);
  const [first] = [...votes].sort(([a, of], [b, than]) => than - of || (a < b ? -1 : 1));
  return first?.[0] ?? DEFAULT_ASSIGNOR;
}
