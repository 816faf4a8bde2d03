import { parentPort } from "node:worker_threads";
import type { Stall } from "./stall-watch.ts";

/** Shorter ones are how timers are. */
const STALL_MS = 20;
const SLEEP_MS = 5;

const nothing = new Int32Array(new SharedArrayBuffer(4));
for (;;) {
  const due = performance.now() + SLEEP_MS;
  Atomics.wait(nothing, 0, 0, SLEEP_MS);
  const until = performance.now();
  if (until - due >= STALL_MS)
    parentPort?.postMessage({ from: performance.timeOrigin + due, until: performance.timeOrigin + until } satisfies Stall);
}
