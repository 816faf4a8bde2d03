import type { Scheduler } from "../sim/scheduler.ts";
import { TestClusterError } from "./errors.ts";
import { duration } from "./options.ts";

/** Virtual time in which nothing of all that is awaited ends: longer than any timeout a client has by default. */
export const STALLED_MS = 300_000;

interface Waiting {
  /** As a message names it. */
  readonly what: string;
  /** It ends by itself then, virtual milliseconds; until then it does not count as stalled. */
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
      const waiting = { what, endsBy: 0, settling, unheard, reject };
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
      const waiting = { what, endsBy, settling, unheard, reject };
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
      const waiting: Waiting = { what: "until", endsBy, settling: nothing, unheard: heard, ended, reject };
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
    this.#rejectAll(error);
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
        if ((await this.#scheduler.run(deadline, () => this.#isDone())) || this.#waiting.size === 0) continue;
        // Something began or ended meanwhile: patience begins anew.
        if (this.#stallsAt() <= deadline) this.#stalled();
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

  #stalled(): void {
    const awaited = [...new Set([...this.#waiting].map(({ what }) => what))].slice(0, 5).join(", ");
    this.#rejectAll(
      new TestClusterError(
        "STALLED",
        `Nothing that is awaited (${awaited}) has ended for ${STALLED_MS / 1_000} s of virtual time${this.#describe()}`,
      ),
    );
  }

  #rejectAll(error: Error): void {
    const all = [...this.#waiting];
    this.#waiting.clear();
    for (const waiting of all) if (!waiting.unheard()) waiting.reject(error);
  }
}
