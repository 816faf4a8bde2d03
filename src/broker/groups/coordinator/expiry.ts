import type { Clock, Timer } from "../../../base/ports/clock.ts";
import type { ExpireOffsets } from "../../../consumer-groups/commands.ts";
import { UNKNOWN_TIME } from "../../../consumer-groups/decision.ts";
import type { GroupsImage } from "../../../consumer-groups/image.ts";
import type { GroupSettings } from "../../../consumer-groups/settings.ts";

const CHECK_MS_MAX = 10 * 60_000;
/** Looked at so often within the time that offsets are kept. */
const CHECKS = 10;

export interface ExpiryPorts {
  readonly clock: Pick<Clock, "after" | "monotonic" | "wall">;
  readonly settings: Pick<GroupSettings, "offsetsRetentionMs">;
  /** This broker's wall clock may say how old something is (FC1). */
  readonly trusted: () => boolean;
  readonly image: () => GroupsImage | undefined;
  readonly expire: (command: ExpireOffsets) => void;
  /** Also every so often: what failed before is tried again. */
  readonly looked: () => void;
}

/** Looks now and then for groups that have been without members for longer than their offsets are kept. */
export class Expiry {
  readonly #ports: ExpiryPorts;
  readonly #checkMs: number;
  /** Monotonic: when the wall clock was looked at and trusted for the first time. */
  #trustedSince: number | undefined;
  #timer: Timer;

  constructor(ports: ExpiryPorts) {
    this.#ports = ports;
    this.#checkMs = Math.min(CHECK_MS_MAX, Math.ceil(ports.settings.offsetsRetentionMs / CHECKS));
    this.#timer = this.#later();
  }

  close(): void {
    this.#timer.cancel();
  }

  #later(): Timer {
    return this.#ports.clock.after(this.#checkMs, () => {
      this.#timer = this.#later();
      this.#look();
      this.#ports.looked();
    });
  }

  #look(): void {
    const { clock, settings, trusted, image, expire } = this.#ports;
    if (!trusted()) return;
    const now = clock.monotonic();
    this.#trustedSince ??= now;
    const unknownSinceMs = clock.wall() - (now - this.#trustedSince);
    const before = clock.wall() - settings.offsetsRetentionMs;
    for (const { id, members, offsets, emptySinceMs } of [...(image()?.groups.values() ?? [])]) {
      const since = emptySinceMs === UNKNOWN_TIME ? unknownSinceMs : emptySinceMs;
      if (members.size === 0 && (offsets.size === 0 || since <= before)) expire({ kind: "expireOffsets", groupId: id, unknownSinceMs });
    }
  }
}
