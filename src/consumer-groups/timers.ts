import type { ExpireMember } from "./commands.ts";
import type { GroupState } from "./group-state.ts";
import type { GroupSettings } from "./settings.ts";

/** What a group looked like when it was last followed: equal numbers mean that no timer of it can have changed. */
interface Followed {
  epoch: number;
  size: number;
  revoking: number;
  readonly members: Map<string, Watch>;
}

interface Watch {
  readonly joinEpoch: number;
  rebalanceTimeoutMs: number;
  seenAt: number;
  /** Epochs at which it was told to give something back that it still has, and when that was, oldest first. */
  late: readonly { readonly epoch: number; readonly since: number }[];
}

/**
 * The soft state of a coordinator: when each member was last heard of, and since when it has had something to give back, on the
 * coordinator's monotonic clock. Never replicated and never part of the image: whoever becomes coordinator gives everybody all of their
 * time again (design §7). A timer that runs out changes nothing by itself; it proposes a command.
 */
export class GroupTimers {
  readonly #settings: Pick<GroupSettings, "sessionTimeoutMs">;
  readonly #groups = new Map<string, Followed>();
  /** No timer runs out before this; heartbeats only put them off, so it is looked at again then and not earlier. */
  #next = Number.POSITIVE_INFINITY;

  constructor(settings: Pick<GroupSettings, "sessionTimeoutMs">) {
    this.#settings = settings;
  }

  /** When `due` is to be called next, on the monotonic clock; undefined: there is nothing to wait for. Moves when a group is followed. */
  get nextDeadline(): number | undefined {
    return this.#next === Number.POSITIVE_INFINITY ? undefined : this.#next;
  }

  /** Something was heard from a member: a heartbeat, a commit, any frame of its session that was not refused. */
  seen(groupId: string, memberId: string, now: number): void {
    const watch = this.#groups.get(groupId)?.members.get(memberId);
    if (watch !== undefined) watch.seenAt = now;
  }

  /**
   * Facts of the group were replayed; also for each group when a coordinator begins.
   * @param subscribed `memberSubscribed` was among them: times may have changed, and nothing else need have
   */
  follow(group: GroupState, now: number, subscribed = false): void {
    const { id, epoch, revoking } = group;
    const size = group.members.size;
    if (size === 0) {
      this.#groups.delete(id);
      return;
    }
    const known = this.#groups.get(id);
    if (known?.epoch === epoch && known.size === size && known.revoking === revoking && !subscribed) return;
    const followed: Followed = { epoch, size, revoking, members: new Map() };
    for (const { id: memberId, joinEpoch, rebalanceTimeoutMs } of group.members.values()) {
      const before = known?.members.get(memberId);
      const watch = before?.joinEpoch === joinEpoch ? before : { joinEpoch, rebalanceTimeoutMs, seenAt: now, late: [] };
      watch.rebalanceTimeoutMs = rebalanceTimeoutMs;
      followed.members.set(memberId, watch);
    }
    followRevocations(group, followed, now);
    this.#groups.set(id, followed);
    for (const watch of followed.members.values()) this.#next = Math.min(this.#next, this.#deadlineOf(watch));
  }

  /** The group is deleted. */
  forget(groupId: string): void {
    this.#groups.delete(groupId);
  }

  /** Commands for whatever has run out. One that is refused or lost is proposed again by the next call. */
  due(now: number): ExpireMember[] {
    if (now < this.#next) return [];
    this.#next = Number.POSITIVE_INFINITY;
    const commands: ExpireMember[] = [];
    for (const [groupId, { members }] of this.#groups)
      for (const [memberId, watch] of members) {
        const deadline = this.#deadlineOf(watch);
        this.#next = Math.min(this.#next, deadline);
        if (deadline > now) continue;
        const silent = watch.seenAt + this.#settings.sessionTimeoutMs <= now;
        const { joinEpoch } = watch;
        commands.push({ kind: "expireMember", groupId, memberId, joinEpoch, revoking: silent ? undefined : watch.late[0]?.epoch });
      }
    return commands;
  }

  #deadlineOf({ seenAt, late, rebalanceTimeoutMs }: Watch): number {
    const session = seenAt + this.#settings.sessionTimeoutMs;
    const oldest = late[0];
    return oldest === undefined ? session : Math.min(session, oldest.since + rebalanceTimeoutMs);
  }
}

function followRevocations(group: GroupState, { members }: Followed, now: number): void {
  const epochs = new Map<string, Set<number>>();
  if (group.revoking > 0)
    group.held.forEach(({ member, revoking }) => {
      if (revoking > 0) epochs.set(member, (epochs.get(member) ?? new Set()).add(revoking));
    });
  for (const [memberId, watch] of members) {
    const pending = [...(epochs.get(memberId) ?? [])].sort((a, b) => a - b);
    const before = watch.late;
    watch.late = pending.map((epoch) => before.find((each) => each.epoch === epoch) ?? { epoch, since: now });
  }
}
