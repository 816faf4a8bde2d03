import type { BrokerId, GroupId, LogIndex, ReplicaId } from "../../base/ids.ts";
import { InvariantViolated } from "../../base/invariant.ts";
import { type InstallOutcome, type InstallPoint, judgeInstall } from "../../log/model/install.ts";
import type { Replica } from "../replica.ts";
import type { Offer } from "./reset-offer.ts";

/** As much of the replica host as a reset needs. */
export interface ResetHost<R extends Resettable = Replica> {
  get(groupId: GroupId): R | undefined;
  brokerOf(groupId: GroupId, replicaId: ReplicaId): BrokerId | undefined;
  beginAnew(replica: R, point: InstallPoint): Promise<InstallOutcome>;
}

export interface Resettable {
  readonly id: ReplicaId;
  readonly core: Pick<Replica["core"], "term" | "leader" | "commit" | "lastIndex" | "termAt">;
  readonly takingBulk: boolean;
}

/**
 * The follower's side of a reset. Only the leader of the very term this replica is in is believed, so two leaders cannot reset one
 * replica in turns, and an offer that was long on its way is nobody's (scenario 48). A replica that needs no reset keeps its log: it may have
 * acknowledged what follows (scenario 47).
 *
 * @returns whether the log begins there now, durably; false may mean that nothing was needed
 * @throws {InvariantViolated} the offer contradicts what is committed here (scenario 46)
 */
export async function takeReset<R extends Resettable>(host: ResetHost<R>, sender: BrokerId, offer: Offer): Promise<boolean> {
  const replica = host.get(offer.groupId);
  if (replica === undefined || replica.id !== offer.to || host.brokerOf(offer.groupId, offer.from) !== sender) return false;
  const { core } = replica;
  if (core.term !== offer.term || core.leader !== offer.from || replica.takingBulk) return false;
  const known = { committed: core.commit, lastIndex: core.lastIndex, termAt: (index: LogIndex) => core.termAt(index) };
  if (judgeInstall(known, offer.point.start) !== "installed") return false;
  try {
    return (await host.beginAnew(replica, offer.point)) === "installed";
  } catch (error) {
    // The group is being deleted, or its disk fails (which the log has said).
    if (error instanceof InvariantViolated) throw error;
    return false;
  }
}
