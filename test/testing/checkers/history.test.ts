import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type {
  EndRow,
  Evidence,
  FinalRead,
  HistoryRow,
  MachineDump,
  ReadRow,
  ReplicaDump,
  SendRow,
  TrimRow,
} from "../../../src/testing/checkers/history.ts";
import { InSync } from "../../../src/testing/checkers/in-sync.ts";
import { checkers, checkHistory } from "../../../src/testing/checkers/index.ts";
import { makePayload, readPayload } from "../../../src/testing/checkers/payload.ts";
import { undamaged } from "../../../src/testing/checkers/undamaged.ts";

const P = "t-0";

function send(i: number, values: string[], offset: number | undefined, more: Partial<SendRow> = {}): SendRow {
  const row: SendRow = {
    f: "send",
    i,
    proc: "c1",
    type: "ok",
    tInv: i * 10,
    tRet: i * 10 + 5,
    partition: P,
    producer: "p1",
    acks: "ALL",
    values,
  };
  return { ...row, ...(offset === undefined ? {} : { offset }), ...more };
}

function read(i: number, from: number, values: string[], more: Partial<ReadRow> = {}): ReadRow {
  const records = values.map((value, k) => ({ offset: from + k, value, intact: true }));
  return { f: "read", i, proc: "c2", type: "ok", tInv: i * 10, tRet: i * 10 + 5, partition: P, from, records, ...more };
}

function end(i: number, at: number): EndRow {
  return { f: "end", i, proc: "c2", type: "ok", tInv: i * 10, tRet: i * 10 + 5, partition: P, logStart: 0, end: at };
}

function trim(i: number, before: number, type: TrimRow["type"] = "ok"): TrimRow {
  return {
    f: "trim",
    i,
    proc: "t1",
    type,
    tInv: i * 10,
    tRet: type === "info" ? Number.POSITIVE_INFINITY : i * 10 + 5,
    partition: P,
    before,
  };
}

function final(values: string[], logStart = 0): FinalRead {
  return { partition: P, logStart, records: values.map((value, k) => ({ offset: logStart + k, value, intact: true })) };
}

function dump(replica: string, entries: [term: number, hash: string][], commit = entries.length): ReplicaDump {
  return { partition: P, replica, commit, entries: entries.map(([term, hash], k) => ({ index: k + 1, term, baseOffset: k, hash })) };
}

/** A run in which all went well: a batch of two, an unknown outcome that took effect, one that did not, a refusal, reads, ends, dumps. */
const good = {
  history: [
    send(1, ["a", "b"], 0),
    send(2, ["c"], undefined, { type: "info", tRet: Number.POSITIVE_INFINITY }),
    read(3, 0, ["a", "b"]),
    send(4, ["d"], undefined, { type: "fail" }),
    end(5, 3),
    send(6, ["e"], 3),
    read(7, 1, ["b", "c", "e"]),
    send(8, ["lost"], undefined, { type: "info", tRet: Number.POSITIVE_INFINITY }),
    end(9, 4),
  ] as HistoryRow[],
  finals: [final(["a", "b", "c", "e"])],
  dumps: [
    dump("1", [
      [1, "x"],
      [1, "y"],
      [2, "z"],
    ]),
    dump(
      "2",
      [
        [1, "x"],
        [1, "y"],
        [3, "w"],
      ],
      2,
    ),
    dump("3", [
      [1, "x"],
      [1, "y"],
    ]),
    { ...dump("1", []), partition: "metadata", machine: { start: 5, snapshot: 7, states: [{ index: 8, hash: "m8" }] } },
    { ...dump("2", []), partition: "metadata", machine: { start: 0, snapshot: undefined, states: [{ index: 8, hash: "m8" }] } },
  ],
} satisfies Evidence;

function refusals(evidence: Evidence): string[] {
  return checkHistory(evidence).flatMap((verdict) => verdict.violations.map((violation) => `${verdict.row} ${violation}`));
}

const withRows = (...rows: HistoryRow[]): Evidence => ({ ...good, history: [...good.history, ...rows] });
const withMachine = (machine: MachineDump): Evidence => ({
  ...good,
  dumps: [...good.dumps, { ...dump("3", []), partition: "metadata", machine }],
});
const withFinal = (...values: string[]): Evidence => ({ ...good, finals: [final(values)] });

it("A run in which all went well passes, and every checker judged something", () => {
  assert.deepEqual(refusals(good), []);
  for (const verdict of checkHistory(good)) assert.ok(verdict.judged > 0, `${verdict.row} judged nothing`);
});

it("What retention removed is no loss", () => {
  assert.deepEqual(refusals({ ...withRows(trim(20, 2)), finals: [final(["c", "e"], 2)] }), []);
  assert.deepEqual(refusals({ ...withRows(trim(20, 1, "info")), finals: [final(["b", "c", "e"], 1)] }), [], "nor is the rest of a batch");
});

it("What was written before is somewhere, or was let go of", () => {
  const before = good.history.map((row) => (row.i === 6 ? send(6, ["e"], undefined) : row));
  assert.deepEqual(refusals({ ...good, history: before }), []);
  const trimmed = { ...withRows(trim(20, 2), send(21, ["f"], undefined, { producer: "p2" })), finals: [final(["c", "e"], 2)] };
  assert.deepEqual(refusals(trimmed), []);
});

it("An acknowledgement at NONE or LEADER promises nothing that L2 judges", () => {
  assert.deepEqual(refusals(withRows(send(20, ["gone"], 9, { acks: "LEADER", producer: "p2" }))), []);
});

describe("Every checker refuses its planted history, by its row", () => {
  const planted: readonly { readonly row: string; readonly what: string; readonly evidence: Evidence; readonly says: RegExp }[] = [
    {
      row: "L1",
      what: "two clients read two values at one offset",
      evidence: withRows(read(20, 2, ["other"])),
      says: /t-0@2 is c in row 7 .* other in row 20|t-0@2 is other/,
    },
    {
      row: "L1",
      what: "two sends are acknowledged at one offset",
      evidence: withRows(send(20, ["f"], 0, { producer: "p2" })),
      says: /t-0@0 is a in row 1 \(send\) and f in row 20/,
    },
    {
      row: "L2",
      what: "an acknowledged end is gone",
      evidence: withFinal("a", "b", "c"),
      says: /row 6 \(send ALL\): e .*nothing \(after its end\)/,
    },
    {
      row: "L2",
      what: "an acknowledged middle was overwritten",
      evidence: withFinal("a", "x", "c", "e"),
      says: /row 1 \(send ALL\): b .*has x \(in its middle\)/,
    },
    {
      row: "L2",
      what: "what is said to have been written before is nowhere",
      evidence: withRows(send(20, ["f"], undefined, { producer: "p2" })),
      says: /row 20 \(send ALL\): f was acknowledged as written before, and the final read has it nowhere/,
    },
    {
      row: "L2",
      what: "reads went over an acknowledged value and nobody saw it",
      evidence: { ...good, finals: [], history: [send(1, ["a"], 0), read(2, 0, ["z", "y"])] },
      says: /a at t-0@0 is lost/,
    },
    { row: "L3", what: "a retry was written twice", evidence: withFinal("a", "b", "c", "e", "e"), says: /e is at t-0@3 .* t-0@4/ },
    { row: "L4", what: "a value nobody sent", evidence: withFinal("a", "b", "c", "e", "ghost"), says: /ghost at t-0@4 was never sent/ },
    {
      row: "L4",
      what: "changed bytes",
      evidence: {
        ...good,
        finals: [
          { ...final(["a", "b", "c", "e"]), records: final(["a", "b", "c", "e"]).records.map((r) => ({ ...r, intact: r.offset !== 2 })) },
        ],
      },
      says: /c at t-0@2 has other bytes/,
    },
    {
      row: "L4",
      what: "a value of another partition",
      evidence: withRows(send(20, ["q"], 0, { partition: "t-1", producer: "p2" }), read(21, 4, ["q"])),
      says: /q at t-0@4 was sent to t-1/,
    },
    {
      row: "L4",
      what: "a value read before it was sent",
      evidence: withRows(read(0, 3, ["e"])),
      says: /row 0 \(read\): e at t-0@3 was read before it was sent/,
    },
    { row: "L5", what: "a refused send was written", evidence: withFinal("a", "b", "c", "e", "d"), says: /d was read although row 4/ },
    {
      row: "L6",
      what: "a read value was never committed",
      evidence: withRows(read(20, 4, ["lost"])),
      says: /row 20 \(read\): t-0@4 was lost, the final read has nothing/,
    },
    {
      row: "L7",
      what: "a later send lies below an earlier one",
      evidence: withRows(send(20, ["f"], 2, { producer: "p2" })),
      says: /row 20 \(send\) got t-0@2, but row 6 had been acknowledged up to 3/,
    },
    {
      row: "L8",
      what: "a producer's batches change places",
      evidence: {
        ...withFinal("c", "a", "b", "e"),
        history: [send(1, ["a", "b"], undefined), send(2, ["c"], undefined), send(6, ["e"], 3)],
      },
      says: /row 2 \(send\) lies at t-0@0, before row 1 of p1 at 2/,
    },
    {
      row: "L8",
      what: "half a batch was written",
      evidence: withFinal("a", "c", "e"),
      says: /row 1 \(send\): 1 of 2 values of one batch were written/,
    },
    { row: "L8", what: "a batch was torn apart", evidence: withFinal("a", "c", "b", "e"), says: /row 1 \(send\): one batch lies at 0,2/ },
    { row: "L10", what: "the end goes back", evidence: withRows(end(20, 3)), says: /row 20 \(end\) says t-0 ends at 3, but row (6|9) / },
    {
      row: "L11",
      what: "a place is skipped in the final read",
      evidence: {
        ...good,
        finals: [
          {
            ...final([]),
            records: [
              { offset: 0, value: "a", intact: true },
              { offset: 2, value: "c", intact: true },
            ],
          },
        ],
      },
      says: /t-0@2 stands where 1 is due/,
    },
    {
      row: "L11",
      what: "a read begins behind what was asked for",
      evidence: withRows(read(20, 3, ["e"], { from: 2 })),
      says: /row 20 \(read\): t-0@3 stands where 2 is due/,
    },
    {
      row: "L15",
      what: "records go that nobody let go of",
      evidence: { ...good, finals: [final(["b", "c", "e"], 1)] },
      says: /the final read of t-0 begins at 1, and nobody let anything go/,
    },
    {
      row: "L15",
      what: "more goes than was let go of",
      evidence: { ...withRows(trim(20, 1)), finals: [final(["c", "e"], 2)] },
      says: /the final read of t-0 begins at 2, at most 1 was asked for/,
    },
    {
      row: "L15",
      what: "what was let go of comes back",
      evidence: withRows(trim(20, 2)),
      says: /the final read says t-0 begins at 0, but row 20 \(trim\) had shown 2/,
    },
    {
      row: "L15",
      what: "the log start goes back from one ask to the next",
      evidence: { ...withRows(trim(20, 2, "info"), { ...end(21, 4), logStart: 2 }, end(22, 4)), finals: [final(["c", "e"], 2)] },
      says: /row 22 \(end\) says t-0 begins at 0, but row 21 \(end\) had shown 2/,
    },
    {
      row: "L12",
      what: "two replicas committed two entries",
      evidence: { ...good, dumps: [dump("1", [[1, "x"]]), dump("2", [[1, "other"]])] },
      says: /index 1: 1 has term 1, offset 0, hash x, 2 has term 1, offset 0, hash other/,
    },
    {
      row: "R9",
      what: "two replicas have two states at one index",
      evidence: withMachine({ start: 0, snapshot: 4, states: [{ index: 8, hash: "other" }] }),
      says: /index 8: state m8 on 1, other on 3/,
    },
    {
      row: "R10",
      what: "a log begins behind its newest snapshot",
      evidence: withMachine({ start: 9, snapshot: 7, states: [] }),
      says: /3: the log begins behind 9, the newest snapshot is of 7/,
    },
    {
      row: "R10",
      what: "a log that does not begin at the beginning has no snapshot",
      evidence: withMachine({ start: 9, snapshot: undefined, states: [] }),
      says: /3: the log begins behind 9, the newest snapshot is of nothing/,
    },
  ];
  for (const { row, what, evidence, says } of planted) {
    it(`${row}: ${what}`, () => {
      assert.match(refusals(evidence).join("\n"), new RegExp(`^${row} .*(?:${says.source})`, "m"));
    });
  }

  it("no row is without a planted history", () => {
    const rows = new Set(planted.map((each) => each.row));
    assert.deepEqual(
      checkers.map((checker) => checker.row).filter((row) => !rows.has(row)),
      [],
    );
  });
});

describe("L13: who is recorded in sync", () => {
  const judged = (...acks: [end: number, members: [replica: number, has: number][]][]) => {
    const inSync = new InSync();
    for (const [i, [end, members]] of acks.entries())
      inSync.acknowledged(
        i,
        "t-0",
        end,
        members.map(([replica, has]) => ({ replica, has })),
      );
    return inSync.verdict;
  };

  it("has what is acknowledged at ALL, and whoever is not in sync may lack it", () => {
    const { judged: facts, violations } = judged(
      [
        2,
        [
          [1, 2],
          [2, 3],
        ],
      ],
      [5, [[1, 5]]],
    );
    assert.deepEqual({ facts, violations }, { facts: 3, violations: [] });
  });

  it("is refused when one lacks the batch", () => {
    assert.match(
      judged([
        2,
        [
          [1, 2],
          [2, 1],
        ],
      ]).violations.join(),
      /up to 2, and replica 2, recorded in sync, has it on disk up to 1/,
    );
  });

  it("is refused when one joined without an earlier batch", () => {
    assert.match(
      judged(
        [5, [[1, 5]]],
        [
          4,
          [
            [1, 5],
            [2, 4],
          ],
        ],
      ).violations.join(),
      /row 1 .* up to 5, and replica 2/,
    );
  });
});

describe("L13: disks that nobody damaged", () => {
  it("are not found damaged by anybody who looked", () => {
    const verdict = undamaged(new Map([["log.write_failed", 3]]), 4, ["power-cut"]);
    assert.deepEqual(verdict.violations, []);
    assert.ok(verdict.judged >= 4);
  });

  it("are judged only where no fault damaged one", () => {
    assert.equal(undamaged(new Map([["log.hole_found", 1]]), 4, ["crash", "bit-flip"]).judged, 0);
  });

  for (const event of ["log.hole_found", "log.wal_damaged", "log.wal_found_damaged"])
    it(`refuses ${event}`, () => {
      assert.match(undamaged(new Map([[event, 2]]), 4, ["power-cut"]).violations.join(), new RegExp(`nobody damaged: ${event}, 2 times`));
    });
});

describe("Payloads", () => {
  it("name themselves and notice any changed byte", () => {
    const { value, body } = makePayload("run", "p1", 7, 50);
    assert.deepEqual(readPayload(body), { value, intact: true });
    for (let i = 0; i < body.length; i++) {
      const changed = Uint8Array.from(body);
      changed[i] = (changed[i] ?? 0) ^ 1;
      const found = readPayload(changed);
      assert.ok(!found.intact || found.value !== value, `byte ${i}`);
    }
    assert.equal(readPayload(body.subarray(0, body.length - 1)).intact, false);
  });

  it("differ for every run, producer and number", () => {
    const values = ["r1", "r2"].flatMap((run) =>
      ["p1", "p2"].flatMap((producer) => [1, 2].map((n) => makePayload(run, producer, n, 10).value)),
    );
    assert.equal(new Set(values).size, 8);
  });
});
