import type { ReplicaId } from "../base/ids.ts";

/**
 * A leadership transfer under way (Raft dissertation §3.10). The leader refuses proposals, waits until the target holds its whole
 * log, tells it to ask for votes at once, and gives up after one election timeout. It outlives the leader's role: whether it
 * worked is known when the next leader is heard.
 */
export interface Transfer {
  readonly to: ReplicaId;
  /** Monotonic time at which it is given up. */
  readonly deadline: number;
  /** The target was told. */
  told: boolean;
}
