import type { GroupId, ReplicaId } from "../../base/ids.ts";
import type { Clock } from "../../base/ports/clock.ts";
import type { GroupLog } from "../../log/types.ts";
import type { Replica } from "../replica.ts";

/** Pause between looks whether a piece of bulk frames has been written, milliseconds. */
const BULK_MS = 10;

interface Held {
  readonly log: GroupLog;
  /** What was open over the log; undefined: nothing since the start. */
  readonly replica: Replica | undefined;
}

/**
 * Replicas of partitions whose files are here and which are not open: a recovery that is not known in detail yet may have given them up
 * (ADR 0014). They vote for nobody, and nobody hears of them.
 */
export class HeldReplicas {
  readonly #clock: Clock;
  readonly #held = new Map<GroupId, Held>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get any(): boolean {
    return this.#held.size > 0;
  }
  has(groupId: GroupId): boolean {
    return this.#held.has(groupId);
  }

  hold(log: GroupLog, replica?: Replica): void {
    this.#held.set(log.groupId, { log, replica });
  }

  /** Opens those that are not `kept`, as after a start: what they wrote is durable by then. */
  async release(
    kept: (groupId: GroupId, replicaId: ReplicaId) => boolean,
    open: (log: GroupLog) => Promise<void> | undefined,
  ): Promise<void> {
    for (const [groupId, { log, replica }] of this.#held) {
      if (kept(groupId, log.replicaId)) continue;
      if (replica !== undefined) await this.#settled(log, replica);
      // A suspension, or a stop, may have come meanwhile.
      if (kept(groupId, log.replicaId) || !this.#held.delete(groupId)) continue;
      await open(log);
    }
  }

  /** Takes out those that were given up. */
  take(given: (groupId: GroupId, replicaId: ReplicaId) => boolean): readonly GroupLog[] {
    const taken = [...this.#held.values()].map(({ log }) => log).filter((log) => given(log.groupId, log.replicaId));
    for (const log of taken) this.#held.delete(log.groupId);
    return taken;
  }

  /** A core takes what a log holds for durable: so it has to be. Writes of a group become durable in order. */
  async #settled(log: GroupLog, replica: Replica): Promise<void> {
    while (replica.takingBulk) await new Promise<void>((resolve) => void this.#clock.after(BULK_MS, resolve));
    const { term, votedFor } = log.asRecovered;
    await new Promise<void>((durable) => void log.write({ state: { term, votedFor }, truncateFrom: undefined, frames: [] }, durable));
  }
}
