import { OLD_COPY } from "./cluster/phases/put-back.ts";
import type { SeedResult } from "./cluster/run-seed.ts";
import { type FaultKind, faultKinds } from "./sim/faults/fault.ts";

/** From so many seeds on every fault must have come and every checker judged something. */
const CORPUS_SEEDS = 200;

/** What a number of seeds proved together. */
export class Totals {
  seeds = 0;
  /** What they took together, of all processes. */
  cpuMs = 0;
  readonly #judged = new Map<string, number>();
  readonly #faults = new Map<string, number>();
  readonly #errors = new Map<string, number>();
  #ok = 0;
  #fail = 0;
  #info = 0;
  #events = 0;
  #simulatedMs = 0;

  add(result: SeedResult): void {
    this.seeds++;
    for (const { row, judged } of result.verdicts) raise(this.#judged, row, judged);
    for (const [kind, times] of Object.entries(result.faults)) raise(this.#faults, kind, times);
    for (const [event, times] of Object.entries(result.errors)) raise(this.#errors, event, times);
    this.#ok += result.operations.ok;
    this.#fail += result.operations.fail;
    this.#info += result.operations.info;
    this.#events += result.events;
    this.#simulatedMs += result.simulatedMs;
  }

  /** What so many seeds should have shown and did not: a corpus that never tried something has proved nothing about it. */
  missing(wanted: number): readonly string[] {
    const lines = this.seeds === wanted ? [] : [`${this.seeds} of ${wanted} seeds ran`];
    if (this.#ok === 0) lines.push("no operation succeeded");
    if (this.seeds < CORPUS_SEEDS) return lines;
    for (const [row, judged] of this.#judged) if (judged === 0) lines.push(`${row} judged nothing`);
    for (const kind of [...(faultKinds satisfies readonly FaultKind[]), OLD_COPY])
      if (!this.#faults.has(kind)) lines.push(`no fault ${kind} in ${this.seeds} seeds`);
    return lines;
  }

  text(): string {
    const list = (counts: ReadonlyMap<string, number>) => [...counts].map(([name, count]) => `${name} ${count}`).join(", ") || "none";
    const speed = this.cpuMs === 0 ? "" : `, ${(this.#simulatedMs / this.cpuMs).toFixed(0)} simulated seconds per CPU second`;
    return [
      `${this.seeds} seeds, ${(this.#simulatedMs / 1000).toFixed(0)} simulated seconds, ${this.#events} events${speed}`,
      `operations: ${this.#ok} ok, ${this.#fail} refused, ${this.#info} unknown`,
      `facts judged: ${list(this.#judged)}`,
      `faults: ${list(this.#faults)}`,
      `errors reported by brokers: ${list(this.#errors)}`,
      "",
    ].join("\n");
  }
}

function raise(counts: Map<string, number>, name: string, by: number): void {
  counts.set(name, (counts.get(name) ?? 0) + by);
}
