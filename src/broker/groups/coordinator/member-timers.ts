import type { Clock, Timer } from "../../../base/ports/clock.ts";
import type { ExpireMember } from "../../../consumer-groups/commands.ts";
import type { GroupFacts } from "../../../consumer-groups/facts.ts";
import type { GroupsImage } from "../../../consumer-groups/image.ts";
import type { GroupSettings } from "../../../consumer-groups/settings.ts";
import { GroupTimers } from "../../../consumer-groups/timers.ts";

/** A timer that was so late says that this process was stopped, or did nothing else for as long: it has not heard anybody meanwhile. */
const STALLED_MS = 1_000;
/** What ran out is proposed again after this, when nothing came of it. */
const AGAIN_MS = 200;

/** Sessions and rebalance timeouts of one coordinator's time in office, on its monotonic clock: everybody has their full time at its beginning. */
export class MemberTimers {
  readonly #clock: Pick<Clock, "monotonic" | "after">;
  readonly #graceMs: number;
  readonly #timers: GroupTimers;
  readonly #expire: (command: ExpireMember) => void;
  #armed: { readonly at: number; readonly timer: Timer } | undefined;
  #closed = false;

  constructor(clock: Pick<Clock, "monotonic" | "after">, settings: GroupSettings, expire: (command: ExpireMember) => void) {
    this.#clock = clock;
    this.#graceMs = settings.heartbeatIntervalMs;
    this.#timers = new GroupTimers(settings);
    this.#expire = expire;
  }

  seen(groupId: string, memberId: string, now: number): void {
    this.#timers.seen(groupId, memberId, now);
  }

  /** Facts were replayed. */
  changed(image: GroupsImage, { groupId, facts }: GroupFacts): void {
    // Most facts: they move nobody's time.
    if (facts.every(({ kind }) => kind === "offsetsCommitted")) return;
    const group = image.group(groupId);
    if (group === undefined) this.#timers.forget(groupId);
    else
      this.#timers.follow(
        group,
        this.#clock.monotonic(),
        facts.some(({ kind }) => kind === "memberSubscribed"),
      );
    this.#arm(0);
  }

  followAll(image: GroupsImage): void {
    const now = this.#clock.monotonic();
    for (const group of image.groups.values()) this.#timers.follow(group, now, true);
    this.#arm(0);
  }

  close(): void {
    this.#closed = true;
    this.#armed?.timer.cancel();
  }

  /** @param pauseMs not to be looked at before */
  #arm(pauseMs: number): void {
    const { nextDeadline } = this.#timers;
    if (this.#closed || nextDeadline === undefined) return;
    const now = this.#clock.monotonic();
    const at = Math.max(nextDeadline, now + pauseMs);
    if (this.#armed !== undefined && this.#armed.at <= at) return;
    this.#armed?.timer.cancel();
    this.#armAt(at, now);
  }

  #armAt(at: number, now: number): void {
    const timer = this.#clock.after(Math.max(0, at - now), () => this.#fired(at));
    this.#armed = { at, timer };
  }

  #fired(at: number): void {
    this.#armed = undefined;
    const now = this.#clock.monotonic();
    // Heartbeats that came while this process stood still are not read yet: who sent them is not to be removed for it.
    if (now - at >= STALLED_MS) return this.#armAt(now + this.#graceMs, now);
    for (const command of this.#timers.due(now)) this.#expire(command);
    this.#arm(AGAIN_MS);
  }
}
