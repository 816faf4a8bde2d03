import type { LogIndex } from "../../base/ids.ts";
import type { Command } from "../../cluster/commands.ts";
import type { DecideLimits } from "../../cluster/decision.ts";
import type { Fact } from "../../cluster/facts.ts";
import type { MetadataImage } from "../../cluster/image.ts";
import type { CommandAnswer, Reply } from "../../cluster/replies.ts";
import { type CommittedImage, Decider, type DeciderClock, type LedReplica } from "../machine/decider.ts";
import type { Ask } from "../machine/turn-reads.ts";
import { metadataMachine } from "./metadata-machine.ts";

export type { LedReplica };
export type AnswerDone = (answer: CommandAnswer) => void;

/** The leader of the metadata group (design §7): decides what changes the cluster. */
export class Controller {
  readonly #decider: Decider<MetadataImage, Command, Fact, Reply>;

  /**
   * @param confirmed asks others whether the replica leads still
   * @param activated called when this broker begins to act as the controller
   */
  constructor(
    clock: DeciderClock,
    replica: LedReplica,
    committed: CommittedImage<MetadataImage>,
    limits: DecideLimits,
    confirmed: Ask<LogIndex>,
    activated: () => void,
  ) {
    this.#decider = new Decider(clock, replica, committed, metadataMachine(limits), { began: activated, ended() {} }, confirmed);
  }

  /** Acts as the controller: leads, its no-op is committed and replayed. */
  get active(): boolean {
    return this.#decider.active;
  }

  /** The image commands are decided on. Only while `active`. */
  get image(): MetadataImage {
    return this.#decider.image;
  }

  /** Role, term or the committed image moved. */
  advanced(): void {
    this.#decider.advanced();
  }

  /** `done` is called exactly once. @returns forgets who asked; what was decided stays */
  submit(command: Command, done: AnswerDone): () => void {
    return this.#decider.submit(command, (answer) =>
      done("error" in answer ? answer : { reply: answer.reply, metadataVersion: answer.index }),
    );
  }
}
