import type { BrokerLife, Held } from "../../checkers/history.ts";
import type { Machine } from "../../sim/machine.ts";
import { heldNow } from "../held-now.ts";
import type { Run } from "../run.ts";

/** What was lost while all was healed has a successor, and what was made last has a leader, when nobody was elected for so long. */
const SETTLE_MS = 1_000;
const SETTLES_MAX = 10;
/** Then nobody asks for anything: for longer than any election takes. */
const QUIET_MS = 1_500;

/** What a run showed when all was at rest. */
export interface Quiet {
  readonly since: number;
  readonly held: readonly Held[];
  readonly lives: readonly BrokerLife[];
}

/** Everything is healed, and nothing is under way: so it stays for a while (V2). */
export async function quiet(run: Run): Promise<Quiet> {
  const { world, cluster, witness, clients } = run;
  // What was lost on its way five times in a row is sent again after six seconds, and what was said since stands behind it.
  const late = world.network.lastArrival - world.now;
  if (late > SETTLE_MS) await run.pass(late);
  for (let settles = 0, before = ""; settles < SETTLES_MAX && before !== termsOf(run); settles++) {
    before = termsOf(run);
    await run.pass(SETTLE_MS);
  }
  const since = world.now;
  witness.terms.note(since, cluster.replicas());
  await run.pass(QUIET_MS);
  witness.terms.note(world.now, cluster.replicas());
  return { since, held: heldNow(cluster, namesOf(cluster.machines), namesOf(clients)), lives: cluster.lives.lives };
}

/** Two texts are equal when the terms of all replicas are. */
function termsOf({ cluster }: Run): string {
  return [...cluster.replicas()].map(({ replica }) => `${replica.groupId}/${replica.id} ${replica.core.term}`).join();
}

function namesOf(machines: readonly Machine[]): readonly string[] {
  return machines.map(({ name }) => name);
}
