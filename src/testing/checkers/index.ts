import { agree } from "./agree.ts";
import { consumerOrder } from "./consumer-order.ts";
import { dense } from "./dense.ts";
import { endOffsets } from "./end-offsets.ts";
import { epochs } from "./epochs.ts";
import { groupCheckers } from "./groups/index.ts";
import { hasGroups } from "./groups/rows.ts";
import type { Evidence } from "./history.ts";
import { logStart } from "./log-start.ts";
import { lostWriteBound } from "./lost-write-bound.ts";
import { machineAgreement, snapshotJoins } from "./machine-agreement.ts";
import { minIsr } from "./min-isr.ts";
import { noAborted } from "./no-aborted.ts";
import { noDirtyReads } from "./no-dirty-reads.ts";
import { noDuplicates } from "./no-duplicates.ts";
import { noLoss } from "./no-loss.ts";
import { noPhantoms } from "./no-phantoms.ts";
import { oneLeader } from "./one-leader.ts";
import { placement } from "./placement.ts";
import { producerOrder } from "./producer-order.ts";
import { realTimeOrder } from "./real-time-order.ts";
import { replicaAgreement } from "./replica-agreement.ts";
import { staysUp } from "./stays-up.ts";
import { timeIndex } from "./time-index.ts";
import { topicNames } from "./topic-names.ts";
import { type Checker, runChecker, type Verdict } from "./verdict.ts";

/** Every history checker of the log and its metadata. Pure: the simulator and real processes use the same. */
export const checkers: readonly Checker[] = [
  agree,
  noLoss,
  lostWriteBound,
  noDuplicates,
  noPhantoms,
  noAborted,
  noDirtyReads,
  realTimeOrder,
  producerOrder,
  consumerOrder,
  endOffsets,
  dense,
  minIsr,
  logStart,
  timeIndex,
  replicaAgreement,
  oneLeader,
  epochs,
  topicNames,
  placement,
  machineAgreement,
  snapshotJoins,
  staysUp,
];

/**
 * One verdict per checker, in the order of `checkers`, then those of consumer groups if there were any. The caller decides over which runs a
 * checker must have judged something.
 */
export function checkHistory(evidence: Evidence): readonly Verdict[] {
  const all = hasGroups(evidence) ? [...checkers, ...groupCheckers] : checkers;
  return all.map((checker) => runChecker(checker, evidence));
}
