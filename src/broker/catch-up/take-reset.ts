import type { BrokerId, GroupId, LogIndex, ReplicaId } from "../../base/ids.ts";
import { InvariantViolated } from "../../base/invariant.ts";
import { type InstallOutcome, type InstallPoint, judgeInstall } from "../../log/model/install.ts";
import type { LogStart } from "../../log/model/records.ts";
import type { Replica } from "../replica.ts";
import type { Offer } from "./reset-offer.ts";

/** As much of the replica host as a reset needs. */
export interface ResetHost<R extends Resettable = Replica> {
  get(groupId: GroupId): R | undefined;
  brokerOf(groupId: GroupId, replicaId: ReplicaId): BrokerId | undefined;
  prepareReset(replica: R, source: BrokerId, point: InstallPoint): Promise<InstallPoint | undefined>;
  beginAnew(replica: R, point: InstallPoint): Promise<InstallOutcome | "no-room">;
  /** This disk has no room: whatever takes some is refused (ADR 0010). */
  readonly full: boolean;
  /** Resets under way, by group. */
  readonly resetting: Map<GroupId, Promise<unknown>>;
}

export interface Resettable {
  readonly id: ReplicaId;
  readonly core: Pick<Replica["core"], "term" | "leader" | "commit" | "lastIndex" | "termAt">;
  readonly takingBulk: boolean;
}

/**
 * The follower's side of a reset. Only the leader of the very term this replica is in is believed, so two leaders cannot reset one
 * replica in turns, and an offer that was long on its way is nobody's (scenario 48). A replica that needs no reset keeps its log: it may have
 * acknowledged what follows (scenario 47). One at a time: an offer that comes while an earlier one is taken, because its leader did not wait
 * for so long, waits for that one and is then nobody's; the leader looks again what is here. On a full disk nothing begins: a replica
 * that waited for room closed would neither vote nor answer.
 *
 * @returns where the log begins now, durably: there, or behind it at a snapshot; undefined may mean that nothing was needed
 * @throws {InvariantViolated} the offer contradicts what is committed here (scenario 46)
 */
export async function takeReset<R extends Resettable>(host: ResetHost<R>, sender: BrokerId, offer: Offer): Promise<LogStart | undefined> {
  const replica = host.get(offer.groupId);
  if (replica === undefined || host.full || !takes(host, replica, sender, offer, offer.point)) return undefined;
  const running = host.resetting.get(offer.groupId);
  if (running !== undefined) return running.then(nothing, nothing);
  const begun = begin(host, replica, sender, offer);
  host.resetting.set(offer.groupId, begun);
  return begun.finally(() => host.resetting.delete(offer.groupId));
}

async function begin<R extends Resettable>(host: ResetHost<R>, replica: R, sender: BrokerId, offer: Offer): Promise<LogStart | undefined> {
  try {
    const point = await host.prepareReset(replica, sender, offer.point);
    // While a snapshot came, another may have become leader, or this replica another object.
    if (point === undefined || host.get(offer.groupId) !== replica || !takes(host, replica, sender, offer, point)) return undefined;
    return (await host.beginAnew(replica, point)) === "installed" ? point.start : undefined;
  } catch (error) {
    // The group is being deleted, or its disk fails (which the log has said).
    if (error instanceof InvariantViolated) throw error;
    return undefined;
  }
}

function takes<R extends Resettable>(host: ResetHost<R>, replica: R, sender: BrokerId, offer: Offer, { start }: InstallPoint): boolean {
  const { core } = replica;
  if (replica.id !== offer.to || host.brokerOf(offer.groupId, offer.from) !== sender) return false;
  if (core.term !== offer.term || core.leader !== offer.from || replica.takingBulk) return false;
  const known = { committed: core.commit, lastIndex: core.lastIndex, termAt: (index: LogIndex) => core.termAt(index) };
  return judgeInstall(known, start) === "installed";
}

function nothing(): undefined {
  return undefined;
}
