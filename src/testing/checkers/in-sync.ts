import { Findings, type Verdict } from "./verdict.ts";

/** A replica that is recorded in sync, and the offset after the last record it has on disk. */
export interface InSyncMember {
  readonly replica: number;
  readonly has: number;
}

/**
 * L13 at ALL: when an acknowledgement arrives, whoever is recorded in sync has on disk what was acknowledged, now and before. Being in sync
 * means nothing else: who joins has caught up, who falls behind is waited for until its leaving is recorded.
 */
export class InSync {
  readonly #findings = new Findings();
  /** Offset after the last batch that was acknowledged at ALL, by partition. */
  readonly #ends = new Map<string, number>();

  get verdict(): Verdict {
    return { row: "L13", judged: this.#findings.judged, violations: this.#findings.violations };
  }

  /** @param end offset after the batch */
  acknowledged(row: number, partition: string, end: number, members: readonly InSyncMember[]): void {
    const all = Math.max(end, this.#ends.get(partition) ?? 0);
    this.#ends.set(partition, all);
    for (const { replica, has } of members)
      this.#findings.judge(
        has >= all,
        () =>
          `row ${row} (send ALL): ${partition} is acknowledged up to ${all}, and replica ${replica}, recorded in sync, has it on disk up to ${has}`,
      );
  }
}
