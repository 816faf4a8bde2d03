/** Something that was done to one thing. */
export interface Step {
  readonly name: string;
  readonly tInv: number;
  /** Infinity: it may take effect at any time after. */
  readonly tRet: number;
  /** Nobody knows whether it was done. */
  readonly optional: boolean;
  /** It may be done any number of times. Only of one that is optional, and that leads to one state. */
  readonly again?: true;
  /** @returns the state after it; undefined: it cannot have been answered so in this state */
  readonly apply: (state: string) => string | undefined;
}

/** Ways to go on that are tried before one gives up. */
export const TRIES_MAX = 200_000;

/**
 * Looks for an order of the steps, each between its call and its answer, in which every answer is right (Wing and Gong 1993, with Lowe's
 * memory of what was tried). Ways that were tried before are not tried again.
 *
 * @returns undefined: there is one; "given up": too many to try; else the name of the step up to which none goes
 */
export function findOrder(given: readonly Step[], start: string, triesMax = TRIES_MAX): string | undefined {
  const steps = given.toSorted((a, b) => a.tInv - b.tInv);
  const tried = new Set<string>();
  const done = new Array<boolean>(steps.length).fill(false);
  let left = triesMax;
  let furthest: Step | undefined;
  /** All before `first` are done. */
  const goOn = (from: number, state: string, now: number): boolean => {
    // What was not done in its time is not done any more.
    const over = (k: number): boolean => done[k] === true || (steps[k]?.optional === true && (steps[k]?.tRet ?? now) < now);
    let first = from;
    while (first < steps.length && over(first)) first++;
    const key = `${first} ${state} ${done.slice(first).reduce((text, is, k) => (is ? `${text}${k},` : text), "")}`;
    if (tried.has(key) || left <= 0) return false;
    tried.add(key);
    left--;
    // Whoever was answered first of those that are left must come before all that were called later.
    let due = Number.POSITIVE_INFINITY;
    for (let k = first; k < steps.length; k++)
      if (done[k] !== true && steps[k]?.optional === false) due = Math.min(due, steps[k]?.tRet ?? due);
    if (due === Number.POSITIVE_INFINITY) return true;
    for (let k = first; k < steps.length; k++) {
      const step = steps[k];
      if (step === undefined || step.tInv > due) break;
      if (over(k)) continue;
      const after = step.apply(state);
      if (after === undefined || (step.again === true && after === state)) continue;
      if (furthest === undefined || step.tInv > furthest.tInv) furthest = step;
      done[k] = step.again !== true;
      if (goOn(first, after, step.optional ? now : Math.max(now, step.tInv))) return true;
      done[k] = false;
    }
    return false;
  };
  if (goOn(0, start, Number.NEGATIVE_INFINITY)) return undefined;
  return left <= 0 ? "given up" : (furthest?.name ?? "the first step");
}
