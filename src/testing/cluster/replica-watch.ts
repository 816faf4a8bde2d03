import type { ReplicaView } from "../checkers/raft/replica-view.ts";
import type { Situations } from "./situations.ts";

interface Seen {
  life: number;
  role: string;
  term: number;
  commit: number;
  startIndex: number;
  lastIndex: number;
  votedFor: number | undefined;
}

/** Names situations by how replicas change from one look to the next. */
export class ReplicaWatch {
  readonly #situations: Situations;
  readonly #seen = new Map<string, Seen>();

  constructor(situations: Situations) {
    this.#situations = situations;
  }

  /** @param view of a replica in which something has changed */
  look(view: ReplicaView): void {
    const { life, role, term, commit, startIndex, lastIndex, votedFor } = view;
    const key = `${view.group}/${view.replica}`;
    const now: Seen = { life, role, term, commit, startIndex, lastIndex, votedFor };
    const before = this.#seen.get(key);
    this.#seen.set(key, now);
    if (before === undefined) return;
    if (before.role === "leader" && role !== "leader" && before.lastIndex > before.commit)
      this.#situations.saw("leader lost with uncommitted tail");
    if (before.life !== life) return;
    if (lastIndex < before.lastIndex) this.#situations.saw("truncation");
    if (startIndex > before.lastIndex && before.lastIndex > 0) this.#situations.saw("log begun anew");
    const newVote = votedFor !== undefined && votedFor !== view.replica && (votedFor !== before.votedFor || term !== before.term);
    if (newVote && life > 1) this.#situations.saw("vote after crash");
  }
}
