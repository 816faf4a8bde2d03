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
  /** Who was recorded in sync when that was last told, by partition. */
  readonly #members = new Map<string, ReadonlySet<number>>();

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

  /** The record has changed: whoever is in it anew has all that was acknowledged up to now, also while its leader has not read of it. */
  recorded(partition: string, members: readonly InSyncMember[]): void {
    const before = this.#members.get(partition);
    this.#members.set(partition, new Set(members.map(({ replica }) => replica)));
    const all = this.#ends.get(partition);
    if (before === undefined || all === undefined) return;
    for (const { replica, has } of members)
      if (!before.has(replica))
        this.#findings.judge(
          has >= all,
          () =>
            `${partition} is acknowledged at ALL up to ${all}, and replica ${replica}, which joins those in sync, has it on disk up to ${has}`,
        );
  }
}
