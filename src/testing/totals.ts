import { groupCheckers } from "./checkers/groups/index.ts";
import { OLD_COPY } from "./cluster/phases/put-back.ts";
import type { SeedResult } from "./cluster/run-seed.ts";
import { type Shape, waiting } from "./cluster/shape.ts";
import { situations } from "./cluster/situations.ts";
import { faultKinds } from "./sim/faults/fault.ts";

/** Of a corpus at most one seed in so many may have been less than its shape asks for. */
const OUT_OF_BOUNDS_SHARE = 20;

/** Of the searches of a row one in so many may be given up, where it had as many. */
const GIVEN_UP_SHARE = 100;

/** What a number of seeds proved together. */
export class Totals {
  seeds = 0;
  /** What they took together, of all processes. */
  cpuMs = 0;
  readonly #shape: Shape;
  readonly #judged = new Map<string, number>();
  readonly #searches = new Map<string, number>();
  readonly #givenUp = new Map<string, number>();
  readonly #faults = new Map<string, number>();
  readonly #situations = new Map<string, number>();
  readonly #errors = new Map<string, number>();
  readonly #brokers = new Map<string, number>();
  #ok = 0;
  #fail = 0;
  #info = 0;
  #events = 0;
  #simulatedMs = 0;
  #overlapping = 0;
  #outOfBounds = 0;

  constructor(shape: Shape) {
    this.#shape = shape;
    for (const kind of faultKinds) if (!waiting.includes(kind)) this.#faults.set(kind, 0);
    this.#faults.set(OLD_COPY, 0);
    // Rows of consumer groups are judged where there are some.
    if (shape.workloads.some(({ name }) => name === "groups")) for (const { row } of groupCheckers) this.#judged.set(row, 0);
    for (const situation of Object.keys(situations)) this.#situations.set(situation, 0);
  }

  add(result: SeedResult): void {
    this.seeds++;
    for (const { row, judged, searches = 0, givenUp = 0 } of result.verdicts) {
      raise(this.#judged, row, judged);
      if (searches === 0) continue;
      raise(this.#searches, row, searches);
      raise(this.#givenUp, row, givenUp);
    }
    for (const [kind, times] of Object.entries(result.faults)) raise(this.#faults, kind, times);
    for (const [situation, times] of Object.entries(result.situations)) raise(this.#situations, situation, times);
    for (const [event, times] of Object.entries(result.errors)) raise(this.#errors, event, times);
    if (result.outOfBounds.length > 0) this.#outOfBounds++;
    raise(this.#brokers, String(result.brokers), 1);
    this.#ok += result.operations.ok;
    this.#fail += result.operations.fail;
    this.#info += result.operations.info;
    this.#events += result.events;
    this.#simulatedMs += result.simulatedMs;
    this.#overlapping += result.fired.filter(({ overlaps }) => overlaps).length;
  }

  /** What so many seeds should have shown and did not: a corpus that never tried something has proved nothing about it. */
  missing(wanted: number): readonly string[] {
    const lines = this.seeds === wanted ? [] : [`${this.seeds} of ${wanted} seeds ran`];
    if (this.#ok === 0) lines.push("no operation succeeded");
    if (this.#overlapping === 0 && wanted > 1) lines.push("no fault came while an operation was open");
    for (const [row, givenUp] of this.#givenUp) {
      const searches = this.#searches.get(row) ?? 0;
      if (searches >= GIVEN_UP_SHARE && givenUp * GIVEN_UP_SHARE > searches)
        lines.push(`${row} gave up ${givenUp} of ${searches} searches, at most one in ${GIVEN_UP_SHARE} may be`);
    }
    const { seeds, faults, situations: least } = this.#shape.corpus;
    if (this.seeds < seeds) return lines;
    if (this.#outOfBounds * OUT_OF_BOUNDS_SHARE > this.seeds) lines.push(`${this.#outOfBounds} of ${this.seeds} seeds were out of bounds`);
    for (const [row, judged] of this.#judged) if (judged === 0) lines.push(`${row} judged nothing`);
    for (const [kind, times] of this.#faults) {
      // Copies come by the machine, not by the plan: once is enough.
      const wants = kind === OLD_COPY ? Math.min(1, faults) : faults;
      if (times < wants) lines.push(`fault ${kind} came ${times} times in ${this.seeds} seeds, at least ${wants} are due`);
    }
    for (const [situation, times] of this.#situations)
      if (times < least) lines.push(`"${situation}" came ${times} times in ${this.seeds} seeds, at least ${least} are due`);
    return lines;
  }

  text(): string {
    const speed = this.cpuMs === 0 ? "" : `, ${(this.#simulatedMs / this.cpuMs).toFixed(0)} simulated seconds per CPU second`;
    return [
      `${this.seeds} seeds, ${(this.#simulatedMs / 1000).toFixed(0)} simulated seconds, ${this.#events} events${speed}`,
      `operations: ${this.#ok} ok, ${this.#fail} refused, ${this.#info} unknown`,
      `facts judged: ${list(this.#judged)}`,
      `searches: ${list(this.#searches)}; given up: ${list(this.#givenUp)}`,
      `out of bounds: ${this.#outOfBounds} seeds`,
      `brokers (seeds): ${list(new Map([...this.#brokers].sort()))}`,
      `faults (${this.#overlapping} while an operation was open): ${list(this.#faults)}`,
      `situations: ${list(this.#situations)}`,
      `errors reported by brokers: ${list(this.#errors)}`,
      "",
    ].join("\n");
  }
}

function list(counts: ReadonlyMap<string, number>): string {
  return [...counts].map(([name, count]) => `${name} ${count}`).join(", ") || "none";
}

function raise(counts: Map<string, number>, name: string, by: number): void {
  counts.set(name, (counts.get(name) ?? 0) + by);
}
