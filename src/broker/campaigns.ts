import type { GroupId } from "../base/ids.ts";
import type { Clock } from "../base/ports/clock.ts";
import type { Replica } from "./replica.ts";

/** The preferred replica of a new group asks for votes so long after it was made, and again, before ordinary timeouts take over. */
const CAMPAIGN_AFTER_MS = [10, 40, 100];

/** A new group elects its preferred replica without waiting for a timeout; the others may take a moment to open theirs. */
export function campaignSoon(clock: Clock, find: (groupId: GroupId) => Replica | undefined, groupId: GroupId, attempt = 0): void {
  const delay = CAMPAIGN_AFTER_MS[attempt];
  if (delay === undefined) return;
  clock.after(delay, () => {
    const replica = find(groupId);
    if (replica === undefined || replica.core.leader !== undefined) return;
    replica.campaign();
    campaignSoon(clock, find, groupId, attempt + 1);
  });
}
