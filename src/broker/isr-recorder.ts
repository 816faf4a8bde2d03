import { MillraceError } from "../base/errors.ts";
import type { Clock } from "../base/ports/clock.ts";
import { IsrOutcome, type IsrResult } from "../cluster/commands.ts";
import type { Reply } from "../cluster/replies.ts";
import type { MetadataGroup } from "./metadata/metadata-group.ts";
import type { IsrAnswer, IsrCommand } from "./partition/isr-tracker.ts";

/** Time for a change to be recorded before its leader asks again, milliseconds. */
const COMMAND_MS = 2_000;

interface Asked {
  readonly command: IsrCommand;
  readonly answered: (answer: IsrAnswer) => void;
}

/**
 * Sends ISR changes and leader claims to the controller, those of one turn together (design §6 "batched per broker"): a killed broker
 * costs each survivor two metadata entries, not two per partition.
 */
export class IsrRecorder {
  readonly #clock: Clock;
  readonly #group: MetadataGroup;
  readonly #failed: (error: unknown) => void;
  #claims: Asked[] = [];
  #proposals: Asked[] = [];
  #flushing = false;

  constructor(clock: Clock, group: MetadataGroup, failed: (error: unknown) => void) {
    this.#clock = clock;
    this.#group = group;
    this.#failed = failed;
  }

  /** `answered` is called exactly once, never inside this call. */
  record(command: IsrCommand, answered: (answer: IsrAnswer) => void): void {
    (command.kind === "leaderClaim" ? this.#claims : this.#proposals).push({ command, answered });
    if (this.#flushing) return;
    this.#flushing = true;
    this.#clock.soon(() => this.#flush());
  }

  #flush(): void {
    this.#flushing = false;
    const claims = this.#claims;
    const proposals = this.#proposals;
    this.#claims = [];
    this.#proposals = [];
    const deadline = this.#clock.monotonic() + COMMAND_MS;
    if (claims.length > 0) {
      const wanted = claims.flatMap(({ command }) =>
        command.kind === "leaderClaim"
          ? [{ groupId: command.group, replicaId: command.replicaId, term: command.term, isr: [...command.isr] }]
          : [],
      );
      this.#settle(claims, this.#group.submit({ kind: "leaderClaim", claims: wanted }, { deadline }));
    }
    if (proposals.length > 0) {
      const wanted = proposals.flatMap(({ command }) =>
        command.kind === "alterIsr"
          ? [{ groupId: command.group, term: command.term, isrVersion: command.isrVersion, isr: [...command.isr] }]
          : [],
      );
      this.#settle(proposals, this.#group.submit({ kind: "alterIsr", proposals: wanted }, { deadline }));
    }
  }

  #settle(asked: readonly Asked[], sent: Promise<{ readonly reply: Reply }>): void {
    sent.then(
      ({ reply }) => {
        for (const { command, answered } of asked) {
          const result = reply.kind === "isrResults" ? reply.results.find(({ groupId }) => groupId === command.group) : undefined;
          answered(answerOf(result));
        }
      },
      (error: unknown) => {
        if (!(error instanceof MillraceError)) return this.#failed(error);
        for (const { answered } of asked) answered(error.outcomeKnown ? { kind: "refused", isrVersion: undefined } : { kind: "unknown" });
      },
    );
  }
}

function answerOf(result: IsrResult | undefined): IsrAnswer {
  if (result === undefined) return { kind: "unknown" };
  if (result.outcome !== IsrOutcome.recorded) return { kind: "refused", isrVersion: result.isrVersion };
  return {
    kind: "recorded",
    record: {
      isr: result.isr,
      isrVersion: result.isrVersion,
      claim: result.leaderTerm === 0 ? undefined : { replicaId: result.leaderReplicaId, term: result.leaderTerm },
    },
  };
}
