import type { ReplicaId } from "../base/ids.ts";
import type { Ready } from "./types.ts";

const NOTHING: readonly never[] = [];

/**
 * With whom this replica rests (ADR 0016): of a leader its followers, of a follower its leader. Between two that rest no heartbeats of the
 * group go; that their brokers hear each other stands for them, and the shell says when that is over.
 */
export class Resting {
  readonly #with = new Set<ReplicaId>();
  #changes: Ready<never>["rest"][number][] = [];

  get size(): number {
    return this.#with.size;
  }

  has(replica: ReplicaId): boolean {
    return this.#with.has(replica);
  }

  get all(): readonly ReplicaId[] {
    return [...this.#with];
  }

  begin(replica: ReplicaId): void {
    if (this.#with.has(replica)) return;
    this.#with.add(replica);
    this.#changes.push({ replica, on: true });
  }

  /** @returns whether it rested */
  end(replica: ReplicaId): boolean {
    if (!this.#with.delete(replica)) return false;
    this.#changes.push({ replica, on: false });
    return true;
  }

  /** What changed since this was asked last, in order. */
  take(): Ready<never>["rest"] {
    if (this.#changes.length === 0) return NOTHING;
    const changes = this.#changes;
    this.#changes = [];
    return changes;
  }
}
