import type { ReplicaId } from "../base/ids.ts";
import type { Configuration, RaftOptions } from "./types.ts";

/** Followers that know their leader's broker is gone ask within this time (design §5). */
export const EVIDENCE_TIMEOUT_MAX_MS = 200;

/**
 * Draws election timeouts. Priority = replica order: on the first attempt each voter draws from its own slice of the range, so
 * the first live voter asks first and votes do not split. Later attempts draw from the whole range: the order was no help.
 */
export class Timeouts {
  readonly #options: RaftOptions;
  readonly #configuration: () => Configuration;
  /** Candidate of last resort (design §4): it lets every other voter ask first. */
  lastResort = false;

  constructor(options: RaftOptions, configuration: () => Configuration = () => options.configuration) {
    this.#options = options;
    this.#configuration = configuration;
  }

  election(attempt: number): number {
    const { electionMinMs, electionMaxMs } = this.#options;
    const wait = electionMinMs + (electionMaxMs - electionMinMs) * (attempt === 0 ? this.#inSlice() : this.#options.draw());
    return wait + this.#lastResortMs;
  }

  /** The leader's broker is known to be gone: only a random spread, no waiting. */
  evidence(): number {
    return EVIDENCE_TIMEOUT_MAX_MS * this.#inSlice() + this.#lastResortMs;
  }

  /**
   * An unanswered pre-vote is asked again soon: it disturbs nobody, and those who ignored it because they had heard the leader a
   * few milliseconds later than this replica did will answer then. So is one after a split vote, or after a rival had precedence.
   */
  retry(): number {
    return (this.#options.electionMinMs / 4) * (1 + this.#options.draw());
  }

  get #lastResortMs(): number {
    return this.lastResort ? this.#options.electionMaxMs : 0;
  }

  #inSlice(): number {
    const voters: readonly ReplicaId[] = this.#configuration().voters;
    const place = Math.max(0, voters.indexOf(this.#options.self));
    return (place + this.#options.draw()) / Math.max(1, voters.length);
  }
}
