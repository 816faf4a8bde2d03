import { counted } from "../base/plural.ts";

/** Acknowledgements that have not moved for so long are worth a word, milliseconds. */
const STALL_MS = 3_000;
/** And again after so long. */
const AGAIN_MS = 10_000;

/** What to say when records wait for acknowledgement and nothing comes: the client tries again by itself, and silently. */
export class StallWatch {
  #settled = 0;
  #movedAtMs: number;
  #saidAtMs: number | undefined;

  constructor(nowMs: number) {
    this.#movedAtMs = nowMs;
  }

  /**
   * @param sent records handed to the client so far
   * @param settled those of them that were acknowledged or failed
   * @returns a line to say, if there is something new to say
   */
  look(nowMs: number, sent: number, settled: number): string | undefined {
    if (settled !== this.#settled || sent === settled) {
      const stood = this.#saidAtMs !== undefined;
      this.#settled = settled;
      this.#movedAtMs = nowMs;
      this.#saidAtMs = undefined;
      return stood ? "acknowledgements come in again" : undefined;
    }
    const stoodMs = nowMs - this.#movedAtMs;
    if (stoodMs < STALL_MS || (this.#saidAtMs !== undefined && nowMs - this.#saidAtMs < AGAIN_MS)) return undefined;
    this.#saidAtMs = nowMs;
    return `waiting: no acknowledgement for ${Math.floor(stoodMs / 1000)} s, ${counted(sent - settled, "record")} on the way; trying again (\`millrace cluster health\` says what is missing)`;
  }
}
