import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { GroupRun, type Tally } from "./group-run.ts";

/** Always the same runs, so that all that is counted below is met. With another seed they are others. */
const SEED = 5;
const RUNS = 24;

/** What may happen, and how often beside the others. */
const weights = {
  join: 30,
  rejoin: 2,
  talk: 24,
  beat: 12,
  arrive: 14,
  hear: 14,
  finish: 12,
  work: 40,
  land: 30,
  crash: 1,
  cut: 1,
  leave: 2,
  away: 2,
  pass: 3,
  topics: 2,
  seek: 2,
  outside: 2,
  forget: 2,
  machine: 4,
} as const;
type Happening = keyof typeof weights;

const happening = fc.noBias(
  fc.tuple(
    fc.oneof(...(Object.entries(weights) as [Happening, number][]).map(([what, weight]) => ({ weight, arbitrary: fc.constant(what) }))),
    fc.nat(4),
    fc.nat(11),
  ),
);

const subscriptions = [["t", "u"], ["t"], ["^[tu]$"], ["u", "^t.*"]] as const;

function happen(run: GroupRun, what: Happening, who: number, n: number): void {
  switch (what) {
    case "join":
      if (run.clients[who]?.epoch !== 0) return;
      return run.join(who, subscriptions[n % 4] ?? ["t"]);
    case "rejoin":
      return run.join(who, subscriptions[n % 4] ?? ["t"]);
    case "work":
      run.work(who, n);
      return run.processed();
    case "land":
      return run.land(who, n);
    case "leave":
      return run.leave(who, true);
    case "away":
      return run.leave(who, false);
    case "pass":
      return run.pass(n === 0 ? 46_000 : n * 1_500);
    case "talk":
    case "beat":
    case "arrive":
    case "hear":
    case "finish":
    case "crash":
    case "cut":
      return run[what](who);
    default:
      return run[what](n);
  }
}

describe("the coordinator of a group", () => {
  it("does what a naive reference does, whatever crosses, breaks, dies and comes back; C2–C4 and C6–C8 hold after each step", () => {
    const tally: Tally = new Map();
    fc.assert(
      fc.property(fc.noBias(fc.array(happening, { minLength: 1, maxLength: 400, size: "max" })), (happenings) => {
        const run = new GroupRun(tally);
        for (const who of [0, 1, 2]) run.join(who, ["t", "u"]);
        for (const [what, who, n] of happenings) happen(run, what, who, n);
        run.settle();
      }),
      { numRuns: RUNS, seed: SEED, includeErrorInReport: true },
    );
    // Every way out was taken.
    for (const what of [
      "join ok",
      "join INSTANCE_ID_IN_USE",
      "heartbeat ok",
      "heartbeat UNKNOWN_MEMBER",
      "heartbeat MEMBER_FENCED",
      "leave ok",
      "expireMember ok",
      "refreshTopics ok",
      "seekGroup ok",
      "seekGroup GROUP_NOT_EMPTY",
      "commitOffsets UNKNOWN_MEMBER",
      "commitOffsets GROUP_NOT_EMPTY",
      "deleteGroup GROUP_NOT_EMPTY",
      "expireOffsets ok",
      "offset ok",
      "offset PARTITION_NOT_OWNED",
      "offset COMMIT_BEHIND",
      "granted again",
      "join by pattern",
      "refreshTopics by pattern",
    ])
      assert.ok((tally.get(what) ?? 0) > 0, `${what}: ${tally.get(what) ?? 0} times`);
  });
});
