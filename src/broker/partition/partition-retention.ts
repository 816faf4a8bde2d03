import type { Offset, Term } from "../../base/ids.ts";
import type { Clock } from "../../base/ports/clock.ts";
import { trimDraft } from "../../records/trim.ts";
import type { Partition } from "./partition.ts";
import { newStartOffset } from "./retention.ts";

/** Lets go of what a partition need not keep: decided and proposed by its leader, done by every replica when the trim is committed. */
export class PartitionRetention {
  readonly #partition: Partition;
  readonly #clock: Clock;
  /** What was proposed in this term and is not committed yet is not proposed again. */
  #proposed: { readonly term: Term; readonly start: Offset } | undefined;

  constructor(partition: Partition, clock: Clock) {
    this.#partition = partition;
    this.#clock = clock;
  }

  get name(): string {
    return this.#partition.name;
  }

  /**
   * @param trusted the wall clock did not jump: age may be judged by it
   * @returns the log start offset that was proposed
   */
  check(trusted: boolean): Offset | undefined {
    const { replica, settings } = this.#partition;
    const { log, core } = replica;
    // What a follower needed may be free by now.
    log.dropTrimmed();
    if (!this.#partition.accepts) return undefined;
    const now = trusted ? this.#clock.wall() : undefined;
    const { segmentMs } = settings.segments;
    // What has waited longer for company than a segment lives, gets a segment: only those can go.
    if (now !== undefined && log.unwrittenSince !== undefined && now - log.unwrittenSince >= segmentMs) log.push();
    const proposed = this.#proposed?.term === core.term ? this.#proposed.start : 0;
    const start = newStartOffset(
      { ...settings.retention, segmentMs },
      {
        segments: log.segments,
        unwrittenBytes: log.pendingBytes,
        startOffset: Math.max(log.startOffset, proposed) as Offset,
        replicated: replica.heardMatch(this.#clock.monotonic()),
        now,
      },
    );
    if (start === undefined) return undefined;
    const { term } = core;
    if (replica.propose([trimDraft(start)], term).kind === "refused") return undefined;
    this.#proposed = { term, start };
    return start;
  }
}
