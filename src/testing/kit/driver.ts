import type { Scheduler } from "../sim/scheduler.ts";
import { TestClusterError } from "./errors.ts";
import { duration } from "./options.ts";

/** Virtual time in which nothing of all that is awaited ends: longer than any timeout a client has by default. */
export const STALLED_MS = 300_000;

/** One thing that is awaited for so long, while others go on, will not come. */
const PENDING_MS_MAX = 3_600_000;

interface Waiting {
  /** As a message names it. */
  readonly what: string;
  readonly since: number;
  /** It ends by itself then, virtual milliseconds; until then it does not count as stalled. 0: nobody knows. */
  readonly endsBy: number;
  /** Called first when it has ended. */
  readonly settling: () => void;
  /** Whoever asked is dead: nobody hears the answer. */
  readonly unheard: () => boolean;
  /** Looked at after each event: true when it has ended. */
  readonly ended?: () => boolean;
  reject(error: Error): void;
}

const heard = (): boolean => false;
const nothing = (): void => {};

/**
 * Moves virtual time, and only while somebody waits for something of the cluster. Between two events the code of the test runs until
 * all of it waits; so a test that awaits nothing but the cluster is one run per seed.
 */
export class Driver {
  readonly #scheduler: Scheduler;
  /** The state of things, for the message of a stall. */
  readonly #describe: () => string;
  readonly #waiting = new Set<Waiting>();
  #driving = false;
  /** Virtual time at which something awaited last ended or began. */
  #movedAt = 0;
  #over: TestClusterError | undefined;

  constructor(scheduler: Scheduler, describe: () => string) {
    this.#scheduler = scheduler;
    this.#describe = describe;
  }

  /** What is under way. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Why nothing moves any more. */
  get over(): TestClusterError | undefined {
    return this.#over;
  }

  /** @throws {TestClusterError} when the cluster has failed or was closed */
  checkOpen(): void {
    if (this.#over !== undefined) throw this.#over;
  }

  /**
   * The same promise, for which time moves until it settles.
   *
   * @param settling called first when it does
   * @param unheard asked then: it never settles
   */
  track<T>(what: string, work: Promise<T>, settling: () => void = nothing, unheard: () => boolean = heard): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const waiting = { what, since: this.#scheduler.now, endsBy: 0, settling, unheard, reject };
      this.#begin(waiting);
      work.then(
        (value) => this.#end(waiting) && resolve(value),
        (error: unknown) => this.#end(waiting) && reject(error),
      );
    });
  }

  /** Lets virtual time pass. */
  sleep(what: string, ms: number, settling: () => void = nothing, unheard: () => boolean = heard): Promise<void> {
    const endsBy = this.#scheduler.now + duration(what, ms);
    return new Promise<void>((resolve, reject) => {
      const waiting = { what, since: this.#scheduler.now, endsBy, settling, unheard, reject };
      this.#begin(waiting);
      this.#scheduler.after(ms, what, () => this.#end(waiting) && resolve());
    });
  }

  /** Lets virtual time pass until `condition` holds, which is asked after each event. @throws {TestClusterError} TIMED_OUT */
  until(condition: () => boolean, withinMs: number): Promise<void> {
    const endsBy = this.#scheduler.now + duration("within", withinMs);
    return new Promise<void>((resolve, reject) => {
      const ended = (): boolean => {
        try {
          if (!condition()) return false;
          if (this.#end(waiting)) resolve();
        } catch (error) {
          if (this.#end(waiting)) reject(error);
        }
        return true;
      };
      const waiting: Waiting = { what: "until", since: this.#scheduler.now, endsBy, settling: nothing, unheard: heard, ended, reject };
      this.#begin(waiting);
      this.#scheduler.after(withinMs, "until", () => {
        if (ended() || !this.#end(waiting)) return;
        reject(
          new TestClusterError(
            "TIMED_OUT",
            `What the test waits for did not come true within ${withinMs} ms of virtual time${this.#describe()}`,
          ),
        );
      });
    });
  }

  /** Whoever asked is dead: time does not move for them any more. */
  forgetUnheard(): void {
    for (const waiting of this.#waiting) if (waiting.unheard()) this.#waiting.delete(waiting);
  }

  /** Ends everything that is awaited with this error, and whatever is asked from now on. */
  end(error: TestClusterError): void {
    this.#over ??= error;
    this.#reject([...this.#waiting], error);
  }

  #begin(waiting: Waiting): void {
    if (waiting.unheard()) return;
    if (this.#over !== undefined) {
      waiting.reject(this.#over);
      return;
    }
    this.#waiting.add(waiting);
    this.#movedAt = this.#scheduler.now;
    if (!this.#driving) void this.#drive();
  }

  /** @returns whether somebody still waits for it */
  #end(waiting: Waiting): boolean {
    this.#movedAt = this.#scheduler.now;
    if (!this.#waiting.delete(waiting)) return false;
    waiting.settling();
    return !waiting.unheard();
  }

  async #drive(): Promise<void> {
    this.#driving = true;
    try {
      while (this.#waiting.size > 0) {
        const deadline = this.#stallsAt();
        const paused = await this.#scheduler.run(deadline, () => this.#isDone());
        this.#refuse(
          `pending for ${PENDING_MS_MAX / 60_000} minutes`,
          (one) => one.endsBy === 0 && one.since + PENDING_MS_MAX <= this.#scheduler.now,
        );
        // Something began or ended meanwhile: patience begins anew.
        if (!paused && this.#stallsAt() <= deadline) this.#refuse(`none has ended for ${STALLED_MS / 1_000} s`, () => true);
      }
    } catch (error) {
      const what = error instanceof Error ? error.message : String(error);
      this.end(new TestClusterError("CLUSTER_FAILED", `${what}${this.#describe()}`, error));
    } finally {
      this.#driving = false;
    }
  }

  #isDone(): boolean {
    let ended = false;
    for (const waiting of this.#waiting) if (waiting.ended?.() === true) ended = true;
    // What the test does next comes before the next event.
    return ended || this.#waiting.size === 0;
  }

  #stallsAt(): number {
    let at = this.#movedAt;
    for (const { endsBy } of this.#waiting) at = Math.max(at, endsBy);
    return at + STALLED_MS;
  }

  /** Rejects what will not come. @param why of virtual time */
  #refuse(why: string, which: (waiting: Waiting) => boolean): void {
    const refused = [...this.#waiting].filter(which);
    if (refused.length === 0) return;
    const names = [...new Set(refused.map(({ what }) => what))].slice(0, 5).join(", ");
    this.#reject(refused, new TestClusterError("STALLED", `Nothing comes of ${names}: ${why} of virtual time${this.#describe()}`));
  }

  #reject(those: readonly Waiting[], error: Error): void {
    for (const waiting of those) this.#waiting.delete(waiting);
    for (const waiting of those) if (!waiting.unheard()) waiting.reject(error);
  }
}
