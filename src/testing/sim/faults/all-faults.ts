import { changedBytes } from "./changed-bytes.ts";
import { clockFaults } from "./clock-faults.ts";
import { cutAtAnswer } from "./cut-at-answer.ts";
import { damageFaults } from "./damage-faults.ts";
import { diskFaults } from "./disk-faults.ts";
import { type Fault, type FaultKind, faultKinds } from "./fault.ts";
import { networkFaults } from "./network-faults.ts";
import { processFaults } from "./process-faults.ts";
import { sequences } from "./sequences.ts";

export const allFaults: readonly Fault[] = [
  ...processFaults,
  ...networkFaults,
  changedBytes,
  ...diskFaults,
  ...damageFaults,
  ...clockFaults,
  ...sequences,
  cutAtAnswer,
];

/** Every kind has a fault, and the other way round: said once, when this module is loaded. */
const byKind = new Map(allFaults.map((fault) => [fault.kind, fault]));
for (const kind of faultKinds) if (!byKind.has(kind)) throw new Error(`no fault of kind ${kind}`);

export function faultOf(kind: FaultKind): Fault {
  const fault = byKind.get(kind);
  if (fault === undefined) throw new Error(`no fault of kind ${kind}`);
  return fault;
}
