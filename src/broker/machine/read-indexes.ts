import type { LogIndex } from "../../base/ids.ts";
import type { Clock } from "../../base/ports/clock.ts";
import type { Replica } from "../replica.ts";

type ReadDone = (index: LogIndex | undefined) => void;

/** Reads of one replica that wait until its leadership is confirmed (Raft §6.4): each then knows how much must be replayed before it. */
export class ReadIndexes {
  readonly #clock: Pick<Clock, "soon">;
  readonly #replica: Pick<Replica, "serves" | "readIndex">;
  readonly #waiting = new Map<number, ReadDone>();
  #nextContext = 1;

  constructor(clock: Pick<Clock, "soon">, replica: Pick<Replica, "serves" | "readIndex">) {
    this.#clock = clock;
    this.#replica = replica;
  }

  /** @param done the commit index as of now, confirmed; undefined: this is not the leader. @returns forgets who asked */
  ask(done: ReadDone): () => void {
    if (!this.#replica.serves) {
      done(undefined);
      return () => {};
    }
    const context = this.#nextContext++;
    this.#waiting.set(context, done);
    this.#replica.readIndex(context);
    return () => void this.#waiting.delete(context);
  }

  /** The replica's answer. */
  answered(context: number, index: LogIndex | undefined): void {
    const done = this.#waiting.get(context);
    if (done === undefined) return;
    this.#waiting.delete(context);
    // Not inside the replica's outputs: what waits for this may append.
    this.#clock.soon(() => done(index));
  }

  /** The replica is none any more. */
  end(): void {
    for (const done of this.#waiting.values()) this.#clock.soon(() => done(undefined));
    this.#waiting.clear();
  }
}
