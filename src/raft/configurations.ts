import type { LogIndex } from "../base/ids.ts";
import { invariant } from "../base/invariant.ts";
import type { Configuration, PlacedConfiguration } from "./types.ts";

/**
 * Which configuration is in force. The newest one in the log is, committed or not (Raft §6): a replica that waited for the commit could
 * elect with the old majority while others elect with the new one. So a cut takes it back (scenario 57), and at most a few are kept: the
 * newest committed one and those above it.
 */
export class Configurations {
  /** Ascending by index; never empty. */
  readonly #placed: PlacedConfiguration[];

  constructor(base: Configuration, inLog: readonly PlacedConfiguration[]) {
    this.#placed = [{ index: 0 as LogIndex, configuration: base }];
    for (const { index, configuration } of inLog) this.append(index, configuration);
  }

  get current(): Configuration {
    return this.#newest.configuration;
  }
  /** Of the entry that holds it; 0 when it was given at the start. */
  get index(): LogIndex {
    return this.#newest.index;
  }

  /** What the one in force replaced, while the latter is not known to be committed. */
  get replaced(): Configuration | undefined {
    return this.#placed.at(-2)?.configuration;
  }

  append(index: LogIndex, configuration: Configuration): void {
    invariant(index > this.index, () => `a configuration at ${index} follows one at ${this.index}`);
    invariant(configuration.voters.length > 0, "a configuration has voters");
    this.#placed.push({ index, configuration });
  }

  truncateFrom(index: number): void {
    while (this.index >= index && this.#placed.length > 1) this.#placed.pop();
  }

  /** Everything up to `commit` stays: what it replaced is never in force again. */
  committed(commit: number): void {
    while ((this.#placed[1]?.index ?? Number.POSITIVE_INFINITY) <= commit) this.#placed.shift();
  }

  get #newest(): PlacedConfiguration {
    return this.#placed[this.#placed.length - 1] as PlacedConfiguration;
  }
}
