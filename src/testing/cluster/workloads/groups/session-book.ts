import type { MemberState } from "../../../../protocol/public.ts";

/** A heartbeat that was sent. */
export interface SentBeat {
  readonly tInv: number;
  readonly epoch: number;
  readonly owned: readonly string[];
}

/**
 * What was sent over one session, and which of it an answer is of. An answer that says nothing new is that of a heartbeat for sure, of the first
 * one that has none; what says something new may have been pushed, whatever was sent before.
 */
export class SessionBook<Beat extends SentBeat = SentBeat> {
  readonly #sent: Beat[] = [];
  #sure = 0;
  #first = true;

  get empty(): boolean {
    return this.#sent.length === 0;
  }

  /** Those that have no answer for sure, in order. */
  get unanswered(): readonly Beat[] {
    return this.#sent.slice(this.#sure);
  }

  send(beat: Beat): void {
    this.#sent.push(beat);
  }

  /**
   * @param epoch the newest that the member was told
   * @returns the heartbeat, and whether it is that one for sure; else it stands for whichever it was. Undefined: nothing was sent
   */
  answered(state: MemberState, epoch: number): { readonly beat: Beat; readonly whole: boolean } | undefined {
    const [opening] = this.#sent;
    if (opening === undefined) return undefined;
    const answers = this.#first || (!state.assignmentChanged && state.memberEpoch === epoch);
    this.#first = false;
    const of = answers ? this.#sent[this.#sure] : undefined;
    if (answers) this.#sure += 1;
    return of === undefined ? { beat: { ...opening, epoch: Math.max(1, opening.epoch) }, whole: false } : { beat: of, whole: true };
  }
}
