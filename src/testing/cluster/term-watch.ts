import type { TermSeen } from "../checkers/history.ts";
import type { ReplicaUnderTest } from "./broker-under-test.ts";

/** How often terms are noted, milliseconds. */
const NOTE_MS = 1_000;

/** The highest term of each group, as time goes on. */
export class TermWatch {
  readonly seen: TermSeen[] = [];
  #noted = Number.NEGATIVE_INFINITY;

  /** Call it often. */
  look(now: number, replicas: Iterable<{ readonly replica: ReplicaUnderTest }>): void {
    if (now < this.#noted + NOTE_MS) return;
    this.#noted = now;
    this.note(now, replicas);
  }

  note(now: number, replicas: Iterable<{ readonly replica: ReplicaUnderTest }>): void {
    const terms = new Map<number, number>();
    for (const { replica } of replicas) terms.set(replica.groupId, Math.max(terms.get(replica.groupId) ?? 0, replica.core.term));
    for (const [group, term] of terms) this.seen.push({ group: `group ${group}`, at: now, term });
  }
}
