import { MillraceError } from "./errors.ts";
import type { Clock } from "./ports/clock.ts";

/** Somebody who waits for an answer, and may go away. */
export interface Caller {
  /** Runs once when the caller goes; at once when it has gone already. @returns forgets `run` */
  onCancel(run: () => void): () => void;
}

/** How long something is waited for: to a time, and no longer than its caller waits. */
export interface Until {
  /** Monotonic. */
  readonly deadline: number;
  /** Undefined: the broker itself, which does not go away. */
  readonly caller?: Caller | undefined;
}

/** Waits that end together. */
export class Scope implements Caller {
  readonly #runs = new Set<() => void>();
  #over = false;

  onCancel(run: () => void): () => void {
    if (this.#over) run();
    else this.#runs.add(run);
    return () => void this.#runs.delete(run);
  }

  end(): void {
    if (this.#over) return;
    this.#over = true;
    for (const run of [...this.#runs]) run();
    this.#runs.clear();
  }
}

/** Nobody hears what becomes of a call whose caller went. */
export function callerGone(): MillraceError {
  return new MillraceError("CALL_CANCELLED", "The caller went away; what it asked for may be done");
}

/**
 * Waits for an answer as long as the caller does. Whatever ends the wait, nothing of it is left behind: a caller that asks and goes, again
 * and again, must find as much room each time.
 *
 * @param begin told where the answer goes, which may come before it returns. Not run for a caller that has gone. @returns forgets the question
 * @throws {MillraceError} the answer, when it is one; CALL_CANCELLED
 */
export function whileCalled<T>(caller: Caller | undefined, begin: (done: (outcome: T | MillraceError) => void) => () => void): Promise<T> {
  return new Promise((resolve, reject) => {
    let over = false;
    let forget = (): void => {};
    const leave = caller?.onCancel(() => {
      if (over) return;
      over = true;
      forget();
      reject(callerGone());
    });
    if (over) return;
    const stop = begin((outcome) => {
      if (over) return;
      over = true;
      leave?.();
      if (outcome instanceof MillraceError) reject(outcome);
      else resolve(outcome);
    });
    forget = stop;
  });
}

/** The same, to a time. @param late what is said at the deadline */
export function waitUntil<T>(
  clock: Clock,
  { deadline, caller }: Until,
  late: () => MillraceError,
  begin: (done: (outcome: T | MillraceError) => void) => () => void,
): Promise<T> {
  return whileCalled(caller, (done) => {
    let stop = (): void => {};
    const timer = clock.after(Math.max(0, deadline - clock.monotonic()), () => {
      stop();
      done(late());
    });
    stop = begin((outcome) => {
      timer.cancel();
      done(outcome);
    });
    return () => {
      timer.cancel();
      stop();
    };
  });
}

/** Lets time pass. @throws {MillraceError} CALL_CANCELLED */
export function pause(clock: Clock, ms: number, caller: Caller | undefined): Promise<void> {
  return whileCalled(caller, (done) => {
    const timer = clock.after(ms, () => done(undefined));
    return () => timer.cancel();
  });
}

/** Answers of all, to one call. When one fails nobody waits for the others: they are given up. @throws {MillraceError} of the first that fails */
export async function allOrNone<T>({ deadline, caller }: Until, ask: (until: Until) => readonly Promise<T>[]): Promise<readonly T[]> {
  const scope = new Scope();
  const forget = caller?.onCancel(() => scope.end());
  try {
    return await Promise.all(ask({ deadline, caller: scope }));
  } finally {
    forget?.();
    scope.end();
  }
}
