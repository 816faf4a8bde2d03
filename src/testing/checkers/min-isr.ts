import { type Starved, sendsOf } from "./history.ts";
import type { Checker } from "./verdict.ts";

/** L14: while no broker reaches as many replicas as a topic asks for, nothing that is sent is acknowledged at ALL. */
export const minIsr: Checker = {
  row: "L14",
  promise: "ALL is refused where fewer replicas are reached than it asks for",
  check(evidence, findings) {
    const windows = new Map<string, Starved[]>();
    for (const window of evidence.starved ?? []) {
      const known = windows.get(window.partition);
      if (known === undefined) windows.set(window.partition, [window]);
      else known.push(window);
    }
    for (const known of windows.values()) known.sort((a, b) => a.from - b.from);
    for (const send of sendsOf(evidence)) {
      if (send.acks !== "ALL") continue;
      const window = lastBefore(windows.get(send.partition) ?? [], send.tInv);
      if (window === undefined || send.tInv >= window.to) continue;
      findings.judge(
        send.type !== "ok" || send.tRet >= window.to,
        () =>
          `row ${send.i} (send ALL) to ${send.partition} was made at ${send.tInv} and acknowledged at ${send.tRet}; from ${window.from} to ${window.to} nobody reached enough replicas`,
      );
    }
  },
};

/** The last window that began by then. Windows of one partition do not overlap. */
function lastBefore(windows: readonly Starved[], at: number): Starved | undefined {
  let [low, high] = [0, windows.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((windows[middle]?.from ?? 0) <= at) low = middle + 1;
    else high = middle;
  }
  return windows[low - 1];
}
