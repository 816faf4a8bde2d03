import type { Evidence } from "../checkers/history.ts";
import { checkHistory } from "../checkers/index.ts";
import { undamaged } from "../checkers/undamaged.ts";
import type { Verdict } from "../checkers/verdict.ts";
import type { FiredFault } from "../sim/faults/fault-run.ts";
import type { PlannedFault } from "../sim/faults/plan.ts";
import { nothingDone, outOfBounds } from "./bounds.ts";
import { collect } from "./evidence.ts";
import { form } from "./phases/form.ts";
import { copyOne, putBack } from "./phases/put-back.ts";
import { type Quiet, quiet } from "./phases/quiet.ts";
import { comeToRest } from "./phases/rest.ts";
import { trouble } from "./phases/trouble.ts";
import { Run, type SeedOptions } from "./run.ts";

export interface SeedResult {
  readonly seed: number;
  /** Same seed, same digest: on every machine and in every process. */
  readonly digest: string;
  readonly verdicts: readonly Verdict[];
  /** Where this run left the bounds of its shape, each by name; a run of masked faults is held to nothing. */
  readonly outOfBounds: readonly string[];
  /** Why this run has proved nothing at all. */
  readonly nothingDone: readonly string[];
  readonly brokers: number;
  /** Planned faults that came. */
  readonly fired: readonly FiredFault[];
  /** How often faults of each kind came. */
  readonly faults: Readonly<Record<string, number>>;
  readonly operations: { readonly ok: number; readonly fail: number; readonly info: number };
  readonly simulatedMs: number;
  readonly events: number;
  /** How often the run was in each situation. */
  readonly situations: Readonly<Record<string, number>>;
  /** Events of level error, by name. */
  readonly errors: Readonly<Record<string, number>>;
}

/**
 * One run: a cluster is formed, used, and troubled as the seed says; then everything is healed, must come to rest, is read whole, and
 * is judged. Raft's invariants are judged after every event.
 *
 * @throws {Error} on the first broken invariant, bug, or missing progress; the verdicts of the history are in the result
 */
export async function runSeed(seed: number, options: SeedOptions): Promise<SeedResult> {
  const run = new Run(seed, options);
  const { world, cluster, faults } = run;
  const formed = await form(run);
  const copy = copyOne(run);
  formed();
  run.witness.begin();
  await trouble(run);
  run.inSync.end();
  run.heal();
  if (copy !== undefined) await putBack(run, copy);
  await comeToRest(run);
  const rest = await quiet(run);
  const evidence = { ...(await collect(run)), ...upkeepOf(run, rest) };
  const fired = faults.fired.map(({ kind }) => kind);
  const starts = cluster.machines.reduce((sum, { lives }) => sum + lives, 0);
  const result = {
    seed,
    digest: world.scheduler.trace.digest,
    verdicts: [
      ...cluster.invariants.verdicts(),
      ...checkHistory(evidence),
      undamaged(cluster.errors, starts, fired),
      run.inSync.verdict,
      cluster.trims.verdict,
    ],
    brokers: run.brokers,
    fired: faults.fired,
    faults: { ...tally(faults.fired.map(({ kind }) => kind)), ...Object.fromEntries(run.extraFaults) },
    operations: operationsOf(evidence),
    simulatedMs: world.now,
    events: world.scheduler.ran,
    situations: { ...Object.fromEntries(cluster.situations.counts), "ALL refused": refusedAll(evidence) },
    errors: Object.fromEntries(cluster.errors),
  };
  const masked = options.faults !== undefined;
  return {
    ...result,
    outOfBounds: masked ? [] : outOfBounds(result, run.shape),
    nothingDone: masked ? [] : nothingDone(result, run.shape),
  };
}

/** What V2 judges. */
function upkeepOf({ witness, faults }: Run, { since, held, lives }: Quiet): Partial<Evidence> {
  return {
    brokerLives: lives,
    held,
    terms: witness.terms.seen,
    troubles: [...faults.times, ...lives.map(({ from }) => from)].sort((a, b) => a - b),
    quietSince: since,
  };
}

function refusedAll({ history }: Evidence): number {
  return history.filter((row) => row.f === "send" && row.acks === "ALL" && row.error?.startsWith("NOT_ENOUGH_REPLICAS") === true).length;
}

/** The faults a seed plans, each with the span it comes in. */
export function plannedFaults(seed: number, options: SeedOptions): readonly (PlannedFault & { readonly span: string })[] {
  const { early, trouble } = new Run(seed, options);
  return [early, trouble].flatMap(({ name: span, plan }) => plan.map((planned) => ({ ...planned, span })));
}

function operationsOf({ history }: Evidence): SeedResult["operations"] {
  const { ok = 0, fail = 0, info = 0 } = tally(history.map(({ type }) => type));
  return { ok, fail, info };
}

/** How often each name comes. */
function tally(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}
