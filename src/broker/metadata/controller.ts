import { crc32c } from "../../base/crc32c.ts";
import { MillraceError } from "../../base/errors.ts";
import { type LogIndex, NO_PRODUCER, type Term } from "../../base/ids.ts";
import { invariant } from "../../base/invariant.ts";
import type { Clock } from "../../base/ports/clock.ts";
import type { Command } from "../../cluster/commands.ts";
import { decide } from "../../cluster/decide.ts";
import type { DecideLimits } from "../../cluster/decision.ts";
import { encodeFacts, type Fact } from "../../cluster/facts.ts";
import type { MetadataImage } from "../../cluster/image.ts";
import type { CommandAnswer } from "../../cluster/replies.ts";
import { Codec, type FrameDraft, FrameType, PayloadFormat } from "../../records/frame-types.ts";
import type { Replica } from "../replica.ts";
import type { MetadataView } from "./metadata-view.ts";

export type AnswerDone = (answer: CommandAnswer) => void;

/** As much of the metadata's replica as its leader needs. */
export interface LedReplica extends Pick<Replica, "serves" | "propose"> {
  readonly core: Pick<Replica["core"], "role" | "term" | "lastIndex">;
}

interface Waiting {
  readonly index: LogIndex;
  readonly answer: CommandAnswer;
  readonly done: AnswerDone;
}

/**
 * The leader of the metadata group (design §7): decides commands on an image that includes what it appended but what is not yet
 * committed, and answers each, also a refusal, when everything the answer rests on is committed. There is no rollback: when
 * leadership or an append is lost, the whole instance is thrown away and a later one starts from the committed image.
 */
export class Controller {
  readonly #clock: Clock;
  readonly #replica: LedReplica;
  readonly #view: Pick<MetadataView, "image" | "applied">;
  readonly #limits: DecideLimits;
  readonly #activated: () => void;
  /** Committed facts plus those this leader appended; undefined until everything committed is replayed. */
  #speculative: MetadataImage | undefined;
  #term: Term | undefined;
  #lastAppended = 0 as LogIndex;
  #waiting: Waiting[] = [];

  /** @param activated called when this broker begins to act as the controller */
  constructor(
    clock: Clock,
    replica: LedReplica,
    view: Pick<MetadataView, "image" | "applied">,
    limits: DecideLimits,
    activated: () => void,
  ) {
    this.#clock = clock;
    this.#replica = replica;
    this.#view = view;
    this.#limits = limits;
    this.#activated = activated;
  }

  /** Acts as the controller: leads, its no-op is committed and replayed. */
  get active(): boolean {
    return this.#speculative !== undefined;
  }

  /** The image commands are decided on. Only while `active`. */
  get image(): MetadataImage {
    invariant(this.#speculative !== undefined, "only the active controller has an image of its own");
    return this.#speculative;
  }

  /** Role, term or the committed image moved. Not to be called while the replica performs its outputs: answers append. */
  advanced(): void {
    const { core } = this.#replica;
    if (this.#term !== undefined && (core.role !== "leader" || core.term !== this.#term)) this.#discard();
    // Everything appended must be replayed first: after a refused append, frames of the discarded instance may still be on their way.
    if (this.#speculative === undefined && this.#replica.serves && this.#view.applied === core.lastIndex) {
      this.#term = core.term;
      this.#speculative = this.#view.image.clone();
      this.#lastAppended = this.#view.applied;
      this.#activated();
    }
    const ready = this.#waiting.filter((waiting) => waiting.index <= this.#view.applied);
    if (ready.length === 0) return;
    this.#waiting = this.#waiting.filter((waiting) => waiting.index > this.#view.applied);
    for (const { done, answer } of ready) done(answer);
  }

  /** `done` is called exactly once. @returns forgets who asked; what was decided stays */
  submit(command: Command, done: AnswerDone): () => void {
    if (this.#speculative === undefined) {
      done({ error: new MillraceError("CONTROLLER_UNKNOWN", "This broker is not the controller", {}, 100) });
      return () => {};
    }
    const decided = decide(this.#speculative, command, { monotonic: this.#clock.monotonic(), wall: this.#clock.wall() }, this.#limits);
    if ("error" in decided) return this.#answer({ error: decided.error }, done);
    if (decided.facts.length > 0 && !this.#append(decided.facts)) {
      done({ error: new MillraceError("CONTROLLER_UNKNOWN", "The controller is stepping down; nothing was written", {}, 100) });
      return () => {};
    }
    return this.#answer({ reply: decided.reply, metadataVersion: this.#lastAppended }, done);
  }

  #answer(answer: CommandAnswer, done: AnswerDone): () => void {
    if (this.#lastAppended <= this.#view.applied) {
      done(answer);
      return () => {};
    }
    const waiting: Waiting = { index: this.#lastAppended, answer, done };
    this.#waiting.push(waiting);
    return () => {
      this.#waiting = this.#waiting.filter((other) => other !== waiting);
    };
  }

  #append(facts: readonly Fact[]): boolean {
    invariant(this.#term !== undefined && this.#speculative !== undefined, "only an active controller appends");
    const image = this.#speculative;
    const index = (this.#replica.core.lastIndex + 1) as LogIndex;
    // First here: a fact that no image takes, by a bug in a decision, ends this controller; in the log it would end every broker that
    // replays it, at every start.
    try {
      for (const fact of facts) image.replay(fact, index);
    } catch (error) {
      this.#discard();
      throw error;
    }
    const result = this.#replica.propose([factsDraft(facts, this.#clock.wall())], this.#term);
    if (result.kind === "refused") {
      this.#discard();
      return false;
    }
    invariant(result.firstIndex === index, () => `facts were decided for entry ${index}, and stand at ${result.firstIndex}`);
    this.#lastAppended = result.lastIndex;
    return true;
  }

  #discard(): void {
    this.#speculative = undefined;
    this.#term = undefined;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { done } of waiting) {
      done({
        error: new MillraceError("METADATA_OUTCOME_UNKNOWN", "The controller lost its leadership while the command was being recorded"),
      });
    }
  }
}

/** One frame for the facts of one command: they become committed together. A fact counts as one record for offsets (design §4). */
function factsDraft(facts: readonly Fact[], wall: number): FrameDraft {
  const payload = encodeFacts(facts);
  return {
    type: FrameType.data,
    format: PayloadFormat.facts,
    codec: Codec.none,
    recordCount: facts.length,
    firstTimestamp: wall,
    maxTimestamp: wall,
    producerId: NO_PRODUCER,
    producerEpoch: 0,
    baseSequence: -1,
    payloadCrc: crc32c(payload),
    payload,
  };
}
