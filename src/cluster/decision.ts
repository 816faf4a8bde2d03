import type { MillraceError } from "../base/errors.ts";
import type { Fact } from "./facts.ts";
import type { Reply } from "./replies.ts";

/** What to record, and what to answer once it is committed; or why not. A refusal, too, rests on facts that may not be committed yet. */
export type Decision = { readonly facts: readonly Fact[]; readonly reply: Reply } | { readonly error: MillraceError };

/** Milliseconds. No decision depends on them yet; timers propose commands (design §7). */
export interface Now {
  readonly monotonic: number;
  readonly wall: number;
}

/** What the controller's own configuration says (design §12). */
export interface DecideLimits {
  readonly partitionsPerTopicMax: number;
  readonly partitionsMax: number;
  /** When the creator of a topic does not say. */
  readonly defaultPartitions: number;
  /** Lowered to the number of live brokers. */
  readonly defaultReplicas: number;
}

export const defaultDecideLimits: DecideLimits = {
  partitionsPerTopicMax: 1_000,
  partitionsMax: 10_000,
  defaultPartitions: 1,
  defaultReplicas: 3,
};

export const done = (facts: readonly Fact[]): Decision => ({ facts, reply: { kind: "done" } });
export const refuse = (error: MillraceError): Decision => ({ error });
