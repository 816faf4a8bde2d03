import type { BrokerId, ClusterId, Incarnation } from "../base/ids.ts";
import { invariant } from "../base/invariant.ts";
import {
  decideFormation,
  type Form,
  type FormationSelf,
  type FormationStep,
  lowestOf,
  type SeedAnswer,
  type TakeFormStep,
  takeForm,
} from "./formation-rules.ts";

/** What this directory has persisted; `form` is absent when it joined the cluster as a disk that no Form names. */
export interface Belonging {
  readonly clusterId: ClusterId;
  readonly form: Form | undefined;
}

/**
 * How a seed finds or founds its cluster (design §7). A pure core; the shell asks, persists, sends.
 *
 * Use: `startRound`, ask every other seed, hand each reply to `answered` with the number of the round, then `step`; do what it says.
 * Answer the questions of others with `asked`, Forms that arrive with `offered`. After "take", "form" or "join" persist the outcome and
 * call `persisted`; only then answer or send anything.
 *
 * **A second formation on any data directory is impossible**, and no cluster of which one directory exists is formed over, as long as
 * one process at a time runs under a broker id:
 * 1. A directory goes from *unformed* to *belonging* once, and never back: `persisted` is called once, and afterwards only the same
 *    cluster's Form is acknowledged.
 * 2. Only the seed with the lowest id draws a Form, from an unformed directory, and persists it before it sends it.
 * 3. It draws only when *every* seed answered "empty" to this process in one round. A seed that belongs to a cluster says so instead,
 *    so a new disk under the lowest id joins where one directory of the cluster exists, and waits where a seed does not answer.
 * 4. Nothing late slips in between such an answer and the drawing. A seed that was asked by the lowest one forgets the answers of its
 *    own round, which may be older; so a Form it hears of afterwards was on somebody who was then not empty when asked. And it takes a
 *    Form that is *sent* to it only while a single disk of the lowest id has asked it, and from that one: of two, one has been lost.
 * 5. A Form names incarnations: it gives votes only to the disks that answered. Another disk under the same id joins as a new one.
 */
export class Formation {
  readonly #self: FormationSelf;
  #belonging: Belonging | undefined;
  /** A decision was handed out and is not durable yet: nothing is said meanwhile. */
  #persisting = false;
  #round = 0;
  #answers = new Map<BrokerId, SeedAnswer>();
  /** Disks of the lowest seed that asked this process. More than one is rare, and few. */
  readonly #askers = new Set<Incarnation>();

  constructor(self: FormationSelf, belonging: Belonging | undefined) {
    this.#self = self;
    this.#belonging = belonging;
  }

  get belonging(): Belonging | undefined {
    return this.#belonging;
  }

  /** Forgets the answers so far. @returns the number to give with those that come */
  startRound(): number {
    this.#round += 1;
    this.#answers = new Map();
    return this.#round;
  }

  /** An answer to a question of round `round`; ignored when a newer round began. */
  answered(round: number, from: BrokerId, answer: SeedAnswer): void {
    if (round === this.#round) this.#answers.set(from, answer);
  }

  /** What to do after the answers that are there. Call it after every answer; "wait": start another round in a while. */
  step(): FormationStep {
    if (this.#belonging !== undefined || this.#persisting) return { kind: "wait", for: [] };
    const step = decideFormation(this.#self, this.#answers);
    this.#persisting = step.kind === "take" || step.kind === "form" || step.kind === "join";
    return step;
  }

  /**
   * Another seed asks.
   * @returns the answer; undefined: give none (the decision under way is not durable yet)
   */
  asked(by: BrokerId, incarnation: Incarnation): SeedAnswer | undefined {
    if (this.#persisting) return undefined;
    if (this.#belonging !== undefined) return { kind: "belongs", ...this.#belonging };
    if (by === lowestOf(this.#self.seeds)) {
      this.#askers.add(incarnation);
      this.startRound();
    }
    return { kind: "empty", incarnation: this.#self.incarnation, seeds: this.#self.seeds };
  }

  /** A Form was sent to this seed. */
  offered(form: Form): TakeFormStep {
    if (this.#persisting) return { kind: "ask" };
    const step = takeForm(this.#self, this.#belonging?.clusterId, this.#askers, form);
    this.#persisting = step.kind === "take";
    return step;
  }

  /** The outcome of "take" or "form" is durable in this directory; of "join", after the cluster has recorded the registration. */
  persisted(belonging: Belonging): void {
    invariant(this.#persisting && this.#belonging === undefined, "a directory gets its cluster once");
    this.#persisting = false;
    this.#belonging = belonging;
  }
}
