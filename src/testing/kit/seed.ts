import { randomInt } from "node:crypto";
import { invalid } from "./errors.ts";

/** Repeats the clusters of a process that name no seed of their own. */
export const SEED_VARIABLE = "MILLRACE_TEST_SEED";

let drawn: number | undefined;

/**
 * The seed of clusters whose test names none: the environment's, else one number drawn once per process, so that one number repeats
 * all of them. A process that ends with a failure and had drawn says which.
 *
 * @throws {TestClusterError} INVALID_OPTION when the environment holds no seed
 */
export function processSeed(env: Readonly<Record<string, string | undefined>>): { readonly seed: number; readonly drawn: boolean } {
  const given = env[SEED_VARIABLE];
  if (given !== undefined && given !== "") {
    const seed = Number(given);
    if (!/^\d+$/.test(given) || seed > 2 ** 32 - 1)
      throw invalid(`${SEED_VARIABLE} must be a whole number from 0 to ${2 ** 32 - 1}: got ${given}`);
    return { seed, drawn: false };
  }
  if (drawn === undefined) {
    drawn = randomInt(2 ** 32);
    const said = howToRepeat(drawn);
    process.once("exit", (code) => {
      if (code !== 0) process.stderr.write(`millrace/testing: clusters without a seed of their own had ${said}\n`);
    });
  }
  return { seed: drawn, drawn: true };
}

export function howToRepeat(seed: number): string {
  return `seed ${seed} (repeat with ${SEED_VARIABLE}=${seed})`;
}
