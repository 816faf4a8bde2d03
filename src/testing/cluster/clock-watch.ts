import type { Machine } from "../sim/machine.ts";

/** Further off than this a clock is wrong; less is what clocks without a time service are. */
const WRONG_MS = 30_000;
/** By so much a broker's clock may be ahead of the others' and still be believed (design §4, Trim). */
const BELIEVED_MS = 60_000;

/** How wrong the brokers' wall clocks ever were, and so by how much sooner than it was a record may have looked old. */
export class ClockWatch {
  readonly #machines: readonly Machine[];
  readonly #offsets: number[];
  #mostMs = 0;
  #anyWrong = false;
  #severalWrong = false;
  #anyBehind = false;

  constructor(machines: readonly Machine[]) {
    this.#machines = machines;
    this.#offsets = machines.map(() => 0);
  }

  /** Call it whenever something may have set a clock. */
  look(): void {
    let changed = false;
    for (let i = 0; i < this.#machines.length; i++) {
      const offset = this.#machines[i]?.wall.offsetMs ?? 0;
      changed ||= this.#offsets[i] !== offset;
      this.#offsets[i] = offset;
    }
    if (!changed) return;
    const wrong = this.#offsets.filter((offset) => Math.abs(offset) > WRONG_MS);
    this.#anyWrong ||= wrong.length > 0;
    this.#severalWrong ||= wrong.length > 1;
    this.#anyBehind ||= wrong.some((offset) => offset < 0);
    this.#mostMs = Math.max(this.#mostMs, ...this.#offsets.map(Math.abs).filter((offset) => offset <= WRONG_MS));
  }

  /**
   * A record is stamped by a clock that may be behind and judged by one that may be ahead. Several wrong ones may agree, one of two cannot be
   * told from the right one, and what was stamped far behind looks old for ever.
   *
   * @returns undefined: by any amount
   */
  get aheadMs(): number | undefined {
    if (!this.#anyWrong) return 2 * this.#mostMs;
    if (this.#severalWrong || this.#anyBehind || this.#machines.length < 3) return undefined;
    return BELIEVED_MS + WRONG_MS + 2 * this.#mostMs;
  }
}
