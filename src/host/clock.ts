import { performance } from "node:perf_hooks";
import type { Clock, Timer } from "../base/ports/clock.ts";

/** Longest delay `setTimeout` takes; a longer one would fire at once. */
const DELAY_MS_MAX = 2 ** 31 - 1;

export interface NodeClockOptions {
  /** False: timers alone do not keep the process alive (for tools). Default true. */
  readonly keepAlive?: boolean;
}

/** The machine's clock. */
export function nodeClock(options: NodeClockOptions = {}): Clock {
  const keepAlive = options.keepAlive ?? true;
  return {
    monotonic: () => performance.now(),
    wall: () => Date.now(),
    after: (delayMs, fire) => armTimer(delayMs, fire, keepAlive),
    soon: (run) => {
      setImmediate(run);
    },
  };
}

function armTimer(delayMs: number, fire: () => void, keepAlive: boolean): Timer {
  if (delayMs > DELAY_MS_MAX) return armLongTimer(delayMs, fire, keepAlive);
  const timer = setTimeout(fire, Math.max(0, Math.ceil(delayMs)));
  if (!keepAlive) timer.unref();
  return { cancel: () => clearTimeout(timer) };
}

/** Delays over 24.8 days are waited for in pieces. */
function armLongTimer(delayMs: number, fire: () => void, keepAlive: boolean): Timer {
  let piece: Timer = armTimer(DELAY_MS_MAX, () => (piece = armTimer(delayMs - DELAY_MS_MAX, fire, keepAlive)), keepAlive);
  return { cancel: () => piece.cancel() };
}
