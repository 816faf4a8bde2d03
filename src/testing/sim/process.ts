import type { EventOwner, HeldEvent, Scheduler, SimEvent } from "./scheduler.ts";

/** A file that a process holds open. */
export interface OpenFile {
  readonly path: string;
  /** What it is on the disk, under whatever name. */
  readonly node: object;
}

/**
 * One life of one simulated process. Everything that could call into it goes through here, so that after `kill` nothing does: timers do
 * not fire, promises of its ports never settle, messages are not delivered. Its own code may still be on the stack when it dies (a
 * crash in the middle of a disk call); then its ports swallow what it goes on to ask for.
 */
export class SimProcess implements EventOwner {
  readonly name: string;
  readonly scheduler: Scheduler;
  /** What it opened and has not closed. */
  readonly openFiles = new Set<OpenFile>();
  #alive = true;
  #turns = 0;
  #paused = false;
  /** What came while it was paused, in order. */
  #held: HeldEvent[] = [];
  readonly #atDeath: (() => void)[] = [];

  constructor(scheduler: Scheduler, name: string) {
    this.scheduler = scheduler;
    this.name = name;
  }

  get alive(): boolean {
    return this.#alive;
  }

  /** Rises whenever something calls into this process, and when it dies: while it stays, nothing in here has changed. */
  get turns(): number {
    return this.#turns;
  }

  /** Said by whoever is about to call into this process. */
  turn(): void {
    this.#turns++;
  }

  /** Dies at once. What the kernel does for a dead process (closing sockets, dropping the lock) is registered with `atDeath`. */
  kill(): void {
    if (!this.#alive) return;
    this.#alive = false;
    this.#held = [];
    this.#turns++;
    this.scheduler.trace.note(this.scheduler.now, `${this.name} dies`);
    for (const run of this.#atDeath) run();
    this.#atDeath.length = 0;
  }

  get paused(): boolean {
    return this.#paused;
  }

  /** As SIGSTOP does: none of its code runs, its sockets stay open, the kernel goes on for it. */
  pause(): void {
    if (!this.#alive || this.#paused) return;
    this.#paused = true;
    this.scheduler.trace.note(this.scheduler.now, `${this.name} is paused`);
  }

  /** As SIGCONT does: all that came meanwhile comes now, in its order. */
  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    const held = this.#held;
    this.#held = [];
    for (const event of held) this.soon(event.label, () => event.run());
  }

  hold(event: HeldEvent): void {
    if (this.#alive) this.#held.push(event);
  }

  /** Now, or when it goes on. */
  whenAwake(label: string, run: () => void): void {
    if (this.#paused) this.hold({ label, run });
    else run();
  }

  atDeath(run: () => void): void {
    if (this.#alive) this.#atDeath.push(run);
  }

  /** @param what for the trace */
  after(delayMs: number, what: string, run: () => void): SimEvent {
    return this.scheduler.after(delayMs, what, run, this);
  }

  soon(what: string, run: () => void): SimEvent {
    return this.scheduler.soon(what, run, this);
  }

  /** A promise that settles only while this process lives. */
  promise<T>(start: (resolve: (value: T) => void, reject: (error: Error) => void) => void): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (!this.#alive) return;
      start(
        (value) => this.#settle(() => resolve(value)),
        (error) => this.#settle(() => reject(error)),
      );
    });
  }

  #settle(run: () => void): void {
    if (!this.#alive) return;
    if (this.#paused) {
      this.hold({ label: "settles", run });
      return;
    }
    this.#turns++;
    run();
  }
}
