import type { BrokerId } from "../base/ids.ts";
import type { Clock } from "../base/ports/clock.ts";
import type { SpaceView } from "../log/disk-space.ts";
import type { PeerLinks } from "./peers/peer-links.ts";

/** A broker tells the others whether its disk is full; body: one byte, 1 for full. */
export const DISK_METHOD = "broker.disk";

/** A broker whose disk is full says so every second; not heard again for so long, it counts as one that has room. */
const NOTICE_MS = 3_500;
const TIMEOUT_MS = 1_000;

export interface DiskNoticesParts {
  readonly clock: Clock;
  readonly space: SpaceView;
  readonly links: Pick<PeerLinks, "connected" | "call">;
  /** All other brokers of the cluster. */
  others(): Iterable<BrokerId>;
  /** What is known of some broker changed. */
  changed(): void;
}

/**
 * Which brokers have no room (ADR 0010). Leaders stop sending records to such a broker and take it out of their in-sync replicas at once,
 * so that no acknowledgement waits for it; and they refuse records when too few others are left.
 */
export class DiskNotices {
  readonly #parts: DiskNoticesParts;
  /** Until when what a broker said counts. */
  readonly #fullUntil = new Map<BrokerId, number>();
  #toldFull = false;

  constructor(parts: DiskNoticesParts) {
    this.#parts = parts;
    parts.space.onChange(() => this.#tell());
  }

  /** That broker takes no records. */
  full(broker: BrokerId): boolean {
    const until = this.#fullUntil.get(broker);
    return until !== undefined && this.#parts.clock.monotonic() < until;
  }

  heard(from: BrokerId, full: boolean): void {
    const before = this.full(from);
    if (full) this.#fullUntil.set(from, this.#parts.clock.monotonic() + NOTICE_MS);
    else this.#fullUntil.delete(from);
    if (before !== full) this.#parts.changed();
  }

  /** It may have started anew, or missed what was said. */
  peerBack(broker: BrokerId): void {
    if (this.#parts.space.full) this.#tellOne(broker, true);
  }

  #tell(): void {
    const { space } = this.#parts;
    const { full } = space;
    if (!full && !this.#toldFull) return;
    this.#toldFull = full;
    for (const broker of this.#parts.others()) this.#tellOne(broker, full);
  }

  /** A notice that is lost is repeated while it holds, and ends by itself when it does not. */
  #tellOne(broker: BrokerId, full: boolean): void {
    const { links } = this.#parts;
    if (links.connected(broker)) links.call(broker, DISK_METHOD, [Uint8Array.of(full ? 1 : 0)], TIMEOUT_MS, () => {});
  }
}
