import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Draws } from "../../chaos/draws.ts";
import { type Handled, parseHandled, parseTold, type Story, type Told } from "../../chaos/group-story/history.ts";
import { type Judged, judge, type Limits } from "../../chaos/group-story/judge.ts";
import { lateCommit } from "../../chaos/group-story/late-commit.ts";
import { drawPlan } from "../../chaos/group-story/plan.ts";

const DELAY_MS = 50;
const RECORDS = 200;
const KILLED_AT = 5_000;
const limits: Limits = { twiceMax: 21, lateMax: 2, pauseMsMax: 200, failoverMsMax: 2_000, stalled: () => 0 };

/** A worker that handles records of one partition one after the other. */
function handled(worker: number, partition: number, from: number, until: number, at: number): Handled[] {
  return Array.from({ length: until - from }, (_, i) => ({ worker, partition, offset: from + i, at: at + i * DELAY_MS, intact: true }));
}

/**
 * Worker 1 has partitions 0 and 1, worker 2 has 2 and 3. Worker 2 is killed at 5 s with 100 records of each handled; worker 3 takes 2 over at 8 s, 15
 * records before its end, and 3 as exactly as it was. Partition 1 is handed over to worker 3 at record 120. The leader of 0 was killed at 7 s.
 */
function story(change: Partial<Story> = {}): Story {
  const told: Told[] = [
    { worker: 1, at: 0, kind: "assigned", partitions: [0, 1] },
    { worker: 2, at: 0, kind: "assigned", partitions: [2, 3] },
    { worker: 1, at: 6_010, kind: "gave back", partitions: [1] },
    { worker: 3, at: 7_980, kind: "assigned", partitions: [1, 2, 3] },
  ];
  return {
    ends: [RECORDS, RECORDS, RECORDS, RECORDS],
    handlerDelayMs: DELAY_MS,
    handled: [
      ...handled(1, 0, 0, RECORDS, 10),
      ...handled(1, 1, 0, 120, 10),
      ...handled(2, 2, 0, 100, 10),
      ...handled(2, 3, 0, 100, 10),
      ...handled(3, 1, 120, RECORDS, 6_060),
      ...handled(3, 2, 85, RECORDS, 8_000),
      ...handled(3, 3, 100, RECORDS, 8_000),
    ],
    told,
    killed: new Map([[2, KILLED_AT]]),
    stopped: new Map(),
    brokerKilled: { at: 7_000, led: [0] },
    ...change,
  };
}

/** The promises of which something was wrong, shortened to what tells them apart. */
function broken({ verdicts }: Judged): readonly string[] {
  return verdicts.filter(({ wrong }) => wrong.length > 0).map(({ promise, wrong }) => `${promise}: ${wrong[0]}`);
}

function judged(change: Partial<Story>, other: Partial<Limits> = {}): readonly string[] {
  return broken(judge(story(change), { ...limits, ...other }));
}

const without = (skip: (record: Handled) => boolean): readonly Handled[] => story().handled.filter((record) => !skip(record));

/** The records of a partition from an offset on come later. */
const later = (partition: number, from: number, ms: number): readonly Handled[] =>
  story().handled.map((record) => (record.partition === partition && record.offset >= from ? { ...record, at: record.at + ms } : record));

describe("the judge of the group story", () => {
  it("finds nothing wrong where nothing is, and has facts for every promise", () => {
    const found = judge(story(), limits);
    assert.deepEqual(broken(found), []);
    const unshown = found.verdicts.filter(({ facts }) => facts === 0).map(({ promise }) => promise);
    assert.equal(unshown.length, 1, "nobody was stopped");
    assert.match(unshown[0] ?? "", /^of what it has lost a worker that was stopped/);
    assert.deepEqual(found.twice, [0, 0, 15, 0]);
    assert.deepEqual(
      found.moves.map(({ partition, cause, twice }) => [partition, cause, twice]),
      [
        [1, "handed over", 0],
        [2, "killed", 15],
        [3, "killed", 0],
      ],
    );
  });

  it("finds a worker that commits before it handles: what it had in its hands is nobody's", () => {
    const [wrong = "", ...more] = judged({ handled: without(({ partition, offset }) => partition === 3 && offset === 99) });
    assert.match(wrong, /^each record is handled: 3\/99 was not handled/);
    assert.deepEqual(more, []);
  });

  it("finds a record that a worker leaves out, and one that is skipped and then handled elsewhere", () => {
    const [missing = "", jump = ""] = judged({ handled: without(({ partition, offset }) => partition === 0 && offset === 50) });
    assert.match(missing, /^each record is handled: 0\/50/);
    assert.match(jump, /^a worker goes from a record to the next.*: worker 1 went from 0\/49 to 0\/51, and the partition did not leave it/);
  });

  it("finds a record of another topic, and one with another value", () => {
    const strange = { worker: 1, partition: 4, offset: 0, at: 100, intact: true };
    assert.match(
      judged({ handled: [...story().handled, strange] })[0] ?? "",
      /^nothing is handled that was not poured there: .*4\/0, which was never/,
    );
    const changed = story().handled.map((record, i) => (i === 7 ? { ...record, intact: false } : record));
    assert.match(judged({ handled: changed })[0] ?? "", /^nothing is handled that was not poured there: .*0\/7 with another value/);
  });

  it("finds more twice than one in hand and an interval, of a partition whose owner was killed", () => {
    const more = (from: number): readonly Handled[] => [
      ...without(({ worker, partition }) => worker === 3 && partition === 2),
      ...handled(3, 2, from, RECORDS, 8_000),
    ];
    assert.deepEqual(judged({ handled: more(100 - 21) }), []);
    assert.match(
      judged({ handled: more(100 - 22) })[0] ?? "",
      /because its owner was killed or stopped at most 21 .*: partition 2, from worker 2 \(killed\) to 3: 22$/,
    );
  });

  it("counts apart what a stopped worker begins when it goes on, and finds more than two", () => {
    const stopped = new Map([[2, { from: KILLED_AT, until: 20_000 }]]);
    const goesOn = (until: number): readonly Handled[] => [
      ...without(({ worker, partition }) => worker === 3 && partition === 2),
      ...handled(2, 2, 100, until, 20_001),
      ...handled(3, 2, 100 - 21, RECORDS, 8_000),
    ];
    const change = { killed: new Map(), stopped };
    assert.deepEqual(judged({ ...change, handled: goesOn(102) }), []);
    assert.match(
      judged({ ...change, handled: goesOn(103) })[0] ?? "",
      /^of what it has lost a worker that was stopped and goes on begins at most 2 .*\(stopped\) to 3: 24, 3 of them late$/,
    );
  });

  it("finds one record handled twice where a partition was handed over", () => {
    const again = [...without(({ worker, partition }) => worker === 3 && partition === 1), ...handled(3, 1, 119, RECORDS, 6_060)];
    assert.match(
      judged({ handled: again })[0] ?? "",
      /^of a partition that was handed over none is: partition 1, from worker 1 \(handed over\) to 3: 1$/,
    );
  });

  it("finds a record handled twice of a partition that did not move", () => {
    const { handled: all } = story();
    const again = [...all.slice(0, 40), all[39] as Handled, ...all.slice(40)];
    const found = judged({ handled: again });
    assert.ok(
      found.some((wrong) => wrong.includes("the partition did not leave it")),
      found.join("; "),
    );
    // One of two workers that both believe to have it.
    const both = [...all, { worker: 2, partition: 0, offset: 30, at: 2_000, intact: true }];
    assert.match(judged({ handled: both })[0] ?? "", /^of a partition that was handed over none is: partition 0/);
  });

  it("finds a pause of a partition that stays, while members come and go and otherwise", () => {
    assert.deepEqual(judged({ handled: later(0, 110, 200) }), []);
    assert.match(judged({ handled: later(0, 121, 201) })[0] ?? "", /^while members come and go .*: partition 0, worker 1: 201 ms/);
    assert.match(judged({ handled: later(0, 60, 201) })[0] ?? "", /^and at all other times: partition 0, worker 1: 201 ms/);
    const stalled = (from: number, until: number): number => (from < 3_010 && until > 3_000 ? 10 : 0);
    assert.deepEqual(judged({ handled: later(0, 60, 201) }, { stalled }), [], "the machine itself stood still for 10 ms of it");
  });

  it("judges partitions of which the leader was killed by how long that may be felt, and no others", () => {
    assert.deepEqual(judged({ handled: later(0, 145, 2_000) }), []);
    assert.match(
      judged({ handled: later(0, 145, 2_001) })[0] ?? "",
      /^a partition whose leader is killed .*: partition 0, worker 1: 2001 ms/,
    );
    assert.match(judged({ handled: later(0, 145, 300), brokerKilled: { at: 7_000, led: [3] } })[0] ?? "", /^while members come and go/);
  });

  it("has no facts where nothing happened", () => {
    const quiet = judge({ ...story(), handled: [], told: [] }, limits);
    assert.ok(
      quiet.verdicts
        .filter(({ promise }) => promise !== "twice are records of partitions that moved only")
        .every(({ facts }) => facts === 0),
    );
  });

  it("does not count the time in which a worker was stopped", () => {
    const change = { handled: later(0, 60, 4_000), stopped: new Map([[1, { from: 3_000, until: 7_000 }]]) };
    assert.deepEqual(judged(change), []);
  });
});

describe("what a worker prints and says", () => {
  const valueAt = (partition: number, offset: number): string | undefined => (partition === 1 ? `v ${offset}` : undefined);

  it("is read as it was written", () => {
    assert.deepEqual(parseHandled("1 7 1000 v 7", 2, valueAt), { worker: 2, partition: 1, offset: 7, at: 1000, intact: true });
    assert.equal(parseHandled("1 7 1000 v 8", 2, valueAt)?.intact, false);
    assert.equal(parseHandled("9 7 1000 v 7", 2, valueAt)?.intact, false);
    assert.equal(parseHandled("group is gone", 2, valueAt), undefined);
    assert.deepEqual(parseTold("gave back flights 0 12", 2, 5), { worker: 2, at: 5, kind: "gave back", partitions: [0, 12] });
    assert.equal(parseTold("consumed 12 records in group g", 2, 5), undefined);
  });

  const said = [
    { at: 9_000, line: "assigned t 0" },
    { at: 61_050, line: "lost t 0" },
    { at: 61_060, line: "not a member of group g any more: UNKNOWN_MEMBER: gone; joining again" },
    { at: 61_070, line: "commit of t 0:12 refused: UNKNOWN_MEMBER: gone" },
    { at: 61_100, line: "assigned t 0 1" },
  ];
  const told = said.flatMap(({ at, line }) => parseTold(line, 1, at) ?? []);
  const before = handled(1, 0, 0, 11, 10_000);
  const late = handled(1, 0, 11, 13, 61_010);
  const after = handled(1, 0, 400, 410, 61_150);

  it("shows that a late commit was refused, and that it joined and worked again", () => {
    assert.deepEqual(lateCommit({ handled: [...before, ...late, ...after], told, said }, 61_000), {
      refused: true,
      rejoined: true,
      handledLate: 2,
      handledAfter: 10,
      shown: "commit of t 0:12 refused: UNKNOWN_MEMBER: gone",
    });
  });

  it("shows it when the commit was taken, or not said to be refused by a typed error, when it did not join again, or handles nothing", () => {
    const without = (what: RegExp) => said.filter(({ line }) => !what.test(line));
    assert.equal(lateCommit({ handled: [], told, said: without(/refused/) }, 61_000).refused, false);
    const untyped = said.map(({ at, line }) => ({ at, line: line.replace(/refused: UNKNOWN_MEMBER/, "refused: oops") }));
    assert.equal(lateCommit({ handled: [], told, said: untyped }, 61_000).refused, false);
    assert.equal(lateCommit({ handled: [], told, said: without(/joining again/) }, 61_000).rejoined, false);
    assert.equal(lateCommit({ handled: [...before, ...late], told, said }, 61_000).handledAfter, 0);
    assert.equal(lateCommit({ handled: [...before, ...late, ...after], told: told.slice(0, 1), said }, 61_000).handledAfter, 0);
  });
});

describe("the plan of a run", () => {
  const bounds = { workMs: 125_000, stoppedMs: 60_000, apartMs: 5_000 };

  it("follows from the seed, keeps moments apart, and kills no broker while a worker is stopped", () => {
    const plans = new Set<string>();
    for (let seed = 0; seed < 200; seed++) {
      const plan = drawPlan(new Draws(seed), bounds);
      assert.deepEqual(drawPlan(new Draws(seed), bounds), plan);
      plans.add(JSON.stringify(plan));
      const moments = Object.values(plan).sort((a, b) => a - b);
      for (const [i, moment] of moments.slice(1).entries()) assert.ok(moment - (moments[i] as number) >= bounds.apartMs);
      assert.equal(plan.continueAt - plan.stopAt, bounds.stoppedMs);
      assert.ok(plan.brokerAt < plan.stopAt || plan.brokerAt > plan.continueAt);
      assert.ok(plan.continueAt < bounds.workMs, "there is work left for the one that comes back");
    }
    assert.equal(plans.size, 200);
  });

  it("says so when there is no room", () => {
    assert.throws(() => drawPlan(new Draws(1), { ...bounds, apartMs: 100_000 }), /no plan for 125000 ms of work/);
  });
});
