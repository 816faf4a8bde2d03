import type { LogIndex, Term } from "../base/ids.ts";
import { invariant } from "../base/invariant.ts";
import type { Impairment, Progress } from "./types.ts";

/** Append messages sent and not yet answered, bounded in messages and bytes. One message always goes, whatever its size. */
export class InflightWindow {
  readonly #messagesMax: number;
  readonly #bytesMax: number;
  readonly #lasts: number[] = [];
  readonly #sizes: number[] = [];
  #bytes = 0;

  constructor(messagesMax: number, bytesMax: number) {
    this.#messagesMax = messagesMax;
    this.#bytesMax = bytesMax;
  }

  get messages(): number {
    return this.#lasts.length;
  }
  get bytes(): number {
    return this.#bytes;
  }
  get full(): boolean {
    return this.#lasts.length >= this.#messagesMax || this.#bytes >= this.#bytesMax;
  }

  /** @param last index of the last entry in the message */
  add(last: number, bytes: number): void {
    invariant(!this.full, "an append was sent into a full window");
    invariant((this.#lasts.at(-1) ?? 0) < last, "appends in flight must ascend");
    this.#lasts.push(last);
    this.#sizes.push(bytes);
    this.#bytes += bytes;
  }

  /** Everything up to `index` has arrived. */
  freeTo(index: number): void {
    while (this.#lasts.length > 0 && (this.#lasts[0] as number) <= index) {
      this.#lasts.shift();
      this.#bytes -= this.#sizes.shift() as number;
    }
  }

  reset(): void {
    this.#lasts.length = 0;
    this.#sizes.length = 0;
    this.#bytes = 0;
  }
}

/**
 * How the leader sees one replica.
 *
 * - `probe`: where its log parts from ours is not known. One message at a time; answers move `next` down, at most one round trip
 *   per divergent term.
 * - `replicate`: its log is known to follow ours. Appends stream, `next` runs ahead of `match` as far as the window allows.
 * - `extend`: it needs frames that left memory; the shell streams them in bulk, appends pause.
 * - `reset`: it needs frames this leader does not have any more; the shell gives it a new state, nothing else is sent.
 */
export class PeerProgress implements Progress {
  mode: Progress["mode"] = "probe";
  #match = 0;
  #next: number;
  learner: boolean;
  /** What it said of itself in its last answer. */
  impaired: Impairment | undefined;
  heardAt: number;
  /** Highest index it said in this term to have on disk: what it may be reminded of. */
  told = 0;
  /** It denied what it had told: this. Nothing it says counts, and it is sent nothing, until it has answered a reminder (scenario 70). */
  suspected: { readonly index: LogIndex; readonly term: Term } | undefined;
  /** When it denied: until it has looked, nothing newer was heard of it. */
  suspectedAt = 0;
  /** Round of the first heartbeat that reminded it: an answer to an earlier one does not clear it. */
  remindedIn: number | undefined;
  /** Its broker is known to be gone: it counts as silent whatever `heardAt` says. */
  gone: boolean;
  /** No entries are sent to it: its disk has no room. */
  held = false;
  /** Newest read round it echoed. */
  round = 0;
  readonly window: InflightWindow;
  /** Probe: a question is open; a heartbeat reply opens the way for the next one. */
  asked = false;
  /** Probe: the question is asked again, so without entries: the first one may still be waiting for a slow disk there. */
  again = false;
  /** Probe: the open question carries entries. */
  carries = false;
  /** Probe: it was answered, and none of its entries taken. It is asked with entries again, but not before a heartbeat is answered. */
  withheld = false;
  /** Match at the last heartbeat reply: no move since, with appends in flight, hints at a lost append. */
  matchAtBeat = -1;
  /** Extend: the frames after the first, up to the second, were asked for. */
  extendAfter = 0;
  extendUpTo = 0;
  /** Commit index the last append told it. */
  toldCommit = 0;

  constructor(next: number, learner: boolean, heardAt: number, gone: boolean, window: InflightWindow) {
    this.#next = next;
    this.learner = learner;
    this.heardAt = heardAt;
    this.gone = gone;
    this.window = window;
  }

  get match(): LogIndex {
    return this.#match as LogIndex;
  }
  get next(): LogIndex {
    return this.#next as LogIndex;
  }

  get barred(): boolean {
    return this.impaired !== undefined || this.suspected !== undefined;
  }
  /** What it acknowledges counts, and so does that it answers. */
  get counts(): boolean {
    return this.impaired !== "quarantined" && this.suspected === undefined;
  }

  /** Its disk forgot: what it acknowledged in this term is not there any more. */
  forgot(next: number): void {
    this.#match = 0;
    this.told = 0;
    this.toProbe(next);
  }

  /** It has everything up to `durable`, on disk. Never moves back: what was durable there in this term stays. */
  advance(durable: number): boolean {
    if (durable <= this.#match) return false;
    this.#match = durable;
    this.#next = Math.max(this.#next, durable + 1);
    this.window.freeTo(durable);
    return true;
  }

  /** An append up to `last` was handed out. */
  sent(last: number, bytes: number): void {
    invariant(this.mode === "replicate", "only a replicating peer is streamed to");
    this.window.add(last, bytes);
    this.#next = last + 1;
  }

  /** @param next where to ask: the previous index of the question is one below */
  toProbe(next: number): void {
    invariant(next > this.#match, "what matches is not asked about");
    this.mode = "probe";
    this.#next = next;
    this.window.reset();
    this.asked = false;
    this.again = false;
    this.withheld = false;
  }

  toReplicate(): void {
    this.mode = "replicate";
    this.#next = this.#match + 1;
    this.window.reset();
    this.asked = false;
    this.again = false;
    this.withheld = false;
    this.matchAtBeat = -1;
  }

  toExtend(upTo: number): void {
    this.mode = "extend";
    this.extendAfter = this.#match;
    this.extendUpTo = upTo;
    this.window.reset();
  }

  toReset(): void {
    this.mode = "reset";
    this.window.reset();
  }

  /** A probe at `refusedPrev` was refused; look at `hint` next (the last place that may match). */
  backTo(refusedPrev: number, hint: number): void {
    invariant(this.mode === "probe", "only a probe moves back");
    this.#next = Math.max(Math.min(refusedPrev, hint + 1), this.#match + 1);
    this.asked = false;
    this.again = false;
    this.withheld = false;
  }
}
