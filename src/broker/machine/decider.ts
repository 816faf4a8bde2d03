import { crc32c } from "../../base/crc32c.ts";
import type { MillraceError } from "../../base/errors.ts";
import { type LogIndex, NO_PRODUCER, type Term } from "../../base/ids.ts";
import { invariant } from "../../base/invariant.ts";
import type { Clock } from "../../base/ports/clock.ts";
import { frameBytesOf } from "../../records/frame.ts";
import { Codec, type FrameDraft, FrameType, PayloadFormat } from "../../records/frame-types.ts";
import { type Indexed, IndexFifo } from "../partition/index-fifo.ts";
import type { Replica } from "../replica.ts";
import type { Answer, ClonedImage, Machine } from "./machine.ts";
import { type Ask, TurnReads } from "./turn-reads.ts";

/** As much of a machine's replica as its leader needs. */
export interface LedReplica extends Pick<Replica, "serves" | "propose"> {
  readonly core: Pick<Replica["core"], "role" | "term" | "lastIndex">;
}

export type DeciderClock = Pick<Clock, "monotonic" | "wall" | "soon">;

/** The committed image, and how far it is. */
export interface CommittedImage<Image> {
  readonly image: Image;
  readonly applied: LogIndex;
}

/**
 * Why a frame of so many bytes may not be appended now; undefined: it may. Asked before anything is appended, so that a refusal here
 * changes nothing and ends nothing; what the replica refuses in spite of it ends the decider.
 */
export type Admission = (frameBytes: number) => MillraceError | undefined;

/** What belongs to deciding and is not replicated: timers begin anew with whoever decides. */
export interface DeciderHooks {
  /** This replica decides from now on: it leads, and everything appended is replayed. */
  began(): void;
  /** It does not any more. What waits for its commit hears of it after this. */
  ended(): void;
}

interface Waiting extends Indexed {
  /** False: this leader decides no more, and what was appended is committed by others or by nobody. */
  readonly done: (committed: boolean) => void;
}

const NOTHING = (): void => {};

/**
 * Decides commands of a machine while its replica leads (design §7), on an image that includes what it appended but what is not yet
 * committed, and answers each, also a refusal, when everything the answer rests on is committed. There is no rollback: when leadership
 * or an append is lost, the image and all waits are thrown away, and a later one starts from the committed image.
 *
 * A commit also proves that nobody else led before it. What recorded nothing has no such proof: it is answered when a read index asked
 * afterwards has confirmed this leader, so that one that was deposed and does not know it yet refuses nothing for what its successor has
 * changed. Those of one turn share it. They may be overtaken by answers to later commands, as those of two connections are.
 */
export class Decider<Image extends ClonedImage<Fact, Image>, Command, Fact, Reply> {
  readonly #clock: DeciderClock;
  readonly #replica: LedReplica;
  readonly #committed: CommittedImage<Image>;
  readonly #machine: Machine<Image, Command, Fact, Reply>;
  readonly #hooks: DeciderHooks;
  readonly #admit: Admission;
  /** Committed facts plus those this leader appended; undefined until everything committed is replayed. */
  #speculative: Image | undefined;
  #term: Term | undefined;
  #lastAppended = 0 as LogIndex;
  readonly #waiting = new IndexFifo<Waiting>();
  readonly #leads: TurnReads<LogIndex>;

  /** @param confirmed asks others whether the replica leads still: `ReadIndexes.ask` */
  constructor(
    clock: DeciderClock,
    replica: LedReplica,
    committed: CommittedImage<Image>,
    machine: Machine<Image, Command, Fact, Reply>,
    hooks: DeciderHooks,
    confirmed: Ask<LogIndex>,
    admit: Admission = () => undefined,
  ) {
    this.#clock = clock;
    this.#replica = replica;
    this.#committed = committed;
    this.#machine = machine;
    this.#hooks = hooks;
    this.#admit = admit;
    this.#leads = new TurnReads(clock, confirmed);
  }

  /** Decides: leads, its no-op is committed and replayed. */
  get active(): boolean {
    return this.#speculative !== undefined;
  }

  /** Answers that wait for a commit. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** The image commands are decided on. Only while `active`. */
  get image(): Image {
    invariant(this.#speculative !== undefined, "only who decides has an image of its own");
    return this.#speculative;
  }

  /** Role, term or the committed image moved. Not to be called while the replica performs its outputs: answers append. */
  advanced(): void {
    const { core } = this.#replica;
    if (this.#term !== undefined && (core.role !== "leader" || core.term !== this.#term)) this.#discard();
    // Everything appended must be replayed first: after a refused append, frames of the discarded instance may still be on their way.
    if (this.#speculative === undefined && this.#replica.serves && this.#committed.applied === core.lastIndex) {
      this.#term = core.term;
      this.#speculative = this.#committed.image.clone();
      this.#lastAppended = this.#committed.applied;
      this.#hooks.began();
    }
    for (const { done } of this.#waited(this.#committed.applied)) done(true);
  }

  /** `done` is called exactly once. @returns forgets who asked; what was decided stays */
  submit(command: Command, done: (answer: Answer<Reply>) => void): () => void {
    const machine = this.#machine;
    if (this.#speculative === undefined) {
      done({ error: machine.refusals.notLeading() });
      return NOTHING;
    }
    const decided = machine.decide(this.#speculative, command, { monotonic: this.#clock.monotonic(), wall: this.#clock.wall() });
    if ("error" in decided) return this.#confirm({ error: decided.error }, done);
    const recorded = decided.facts.length > 0;
    if (recorded) {
      const draft = this.#draft(decided.facts);
      // It rests on nothing: what was decided before stays, and is answered as ever.
      const error = this.#admit(frameBytesOf(draft)) ?? (this.#append(decided.facts, draft) ? undefined : machine.refusals.steppingDown());
      if (error !== undefined) {
        done({ error });
        return NOTHING;
      }
    }
    const answer = { reply: decided.reply, index: this.#lastAppended };
    const { refusals } = machine;
    if (recorded) return this.#whenCommitted((committed) => done(committed ? answer : { error: refusals.outcomeUnknown() }));
    if (machine.bearsStale?.(command) !== true) return this.#confirm(answer, done);
    return this.#whenCommitted((committed) => done(committed ? answer : { error: refusals.notLeading() }));
  }

  /** Answers what recorded nothing: whoever does not lead any more has done nothing, and the caller may ask another one. */
  #confirm(answer: Answer<Reply>, done: (answer: Answer<Reply>) => void): () => void {
    const term = this.#term;
    const { refusals } = this.#machine;
    let forget = NOTHING;
    // Asked when all is committed: what was appended before may have been acknowledged before another one led.
    const giveUp = this.#whenCommitted((committed) => {
      if (!committed) return done({ error: refusals.notLeading() });
      // A later term of this same replica says nothing of what others did between the two.
      forget = this.#leads.read((index) => done(index !== undefined && this.#term === term ? answer : { error: refusals.notLeading() }));
    });
    return () => {
      giveUp();
      forget();
    };
  }

  /** @param done called once, at once if nothing is open @returns forgets it */
  #whenCommitted(done: (committed: boolean) => void): () => void {
    if (this.#lastAppended <= this.#committed.applied) {
      done(true);
      return NOTHING;
    }
    const waiting: Waiting = { index: this.#lastAppended, gone: false, done };
    this.#waiting.add(waiting);
    return () => {
      if (!waiting.gone) this.#waiting.remove(waiting);
    };
  }

  #append(facts: readonly Fact[], draft: FrameDraft): boolean {
    invariant(this.#term !== undefined && this.#speculative !== undefined, "only who decides appends");
    const image = this.#speculative;
    const index = (this.#replica.core.lastIndex + 1) as LogIndex;
    // First here: a fact that no image takes, by a bug in a decision, ends this decider; in the log it would end every broker that
    // replays it, at every start.
    try {
      for (const fact of facts) image.replay(fact, index);
    } catch (error) {
      this.#discard();
      throw error;
    }
    const result = this.#replica.propose([draft], this.#term);
    if (result.kind === "refused") {
      this.#discard();
      return false;
    }
    invariant(result.firstIndex === index, () => `facts were decided for entry ${index}, and stand at ${result.firstIndex}`);
    this.#lastAppended = result.lastIndex;
    return true;
  }

  /** One frame for the facts of one command: they become committed together. */
  #draft(facts: readonly Fact[]): FrameDraft {
    const codec = this.#machine.facts;
    const payload = codec.encode(facts);
    const wall = this.#clock.wall();
    return {
      type: FrameType.data,
      format: PayloadFormat.facts,
      codec: Codec.none,
      recordCount: codec.records(facts),
      firstTimestamp: wall,
      maxTimestamp: wall,
      producerId: NO_PRODUCER,
      producerEpoch: 0,
      baseSequence: -1,
      payloadCrc: crc32c(payload),
      payload,
    };
  }

  #discard(): void {
    this.#speculative = undefined;
    this.#term = undefined;
    const waited = this.#waited(Number.MAX_SAFE_INTEGER as LogIndex);
    this.#hooks.ended();
    for (const { done } of waited) done(false);
  }

  /** Takes them all before the first of them is answered: an answer may submit the next command. */
  #waited(upTo: LogIndex): readonly Waiting[] {
    const taken: Waiting[] = [];
    for (let next = this.#waiting.takeUpTo(upTo); next !== undefined; next = this.#waiting.takeUpTo(upTo)) {
      next.gone = true;
      taken.push(next);
    }
    return taken;
  }
}
