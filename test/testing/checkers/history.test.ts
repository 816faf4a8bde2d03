import assert from "node:assert/strict";
import { it } from "node:test";
import type { TopicRow } from "../../../src/testing/checkers/history.ts";
import { checkHistory } from "../../../src/testing/checkers/index.ts";
import { dump, end, final, good, refusals, send, topic, trim, withRows } from "./rows.ts";

const P = "t-0";

it("A run in which all went well passes, and every checker judged something", () => {
  assert.deepEqual(refusals(good), []);
  for (const verdict of checkHistory(good)) assert.ok(verdict.judged > 0, `${verdict.row} judged nothing`);
});

it("What retention removed is no loss", () => {
  assert.deepEqual(refusals({ ...withRows(trim(20, 2)), finals: [final(["c", "e"], 2)] }), []);
  assert.deepEqual(refusals({ ...withRows(trim(20, 1, "info")), finals: [final(["b", "c", "e"], 1)] }), [], "nor is the rest of a batch");
});

it("A trim whose entry is gone with what it let go of was seen before", () => {
  const dumps = [{ ...dump("1", [[1, "x"]]), logStart: 2 }];
  const gone = { ...withRows(trim(20, 2)), finals: [final(["c", "e"], 2)], dumps };
  assert.deepEqual(refusals({ ...gone, trimmed: new Map([[P, 2]]) }), []);
  assert.match(
    refusals({ ...gone, trimmed: new Map([[P, 1]]) }).join(),
    /has let go of t-0 up to 2, and no committed entry says more than 1/,
  );
});

it("What was written before is somewhere, or was let go of", () => {
  const before = good.history.map((row) => (row.i === 6 ? send(6, ["e"], undefined) : row));
  assert.deepEqual(refusals({ ...good, history: before }), []);
  const trimmed = { ...withRows(trim(20, 2), send(21, ["f"], undefined, { producer: "p2" })), finals: [final(["c", "e"], 2)] };
  assert.deepEqual(refusals(trimmed), []);
});

it("What a topic keeps for a time only is gone after that time", () => {
  const aged = { finals: [final([], 4)], retention: [{ partition: P, retentionMs: 100 }], clockAheadMs: 0 };
  assert.deepEqual(refusals({ ...withRows({ ...end(20, 4), logStart: 4 }), ...aged }), []);
  const early = { ...withRows({ ...end(12, 4), logStart: 4 }), ...aged };
  assert.deepEqual(refusals({ ...early, clockAheadMs: 50 }), [], "as the clock that said so was");
  const { clockAheadMs: _, ...unknown } = early;
  assert.deepEqual(refusals(unknown), [], "and by clocks of which nobody knows anything");
});

it("What was sent before too few were reached, or is acknowledged after, is acknowledged rightly", () => {
  const asked = (from: number, to: number) =>
    refusals({
      ...withRows(send(30, ["h"], 4, { tInv: 400, tRet: 450 })),
      finals: [final(["a", "b", "c", "e", "h"])],
      starved: [{ partition: P, from, to }],
    });
  assert.deepEqual(asked(410, 500), []);
  assert.deepEqual(asked(390, 440), []);
});

it("A step of unknown outcome is taken at any time after, or never", () => {
  const rows = (...given: TopicRow[]) => refusals({ ...good, history: [...good.history.filter(({ f }) => f !== "topic"), ...given] });
  const info = { type: "info", tRet: Number.POSITIVE_INFINITY } as const;
  assert.deepEqual(rows(topic(20, "create", undefined, info), topic(21, "delete", "late")), []);
  assert.deepEqual(rows(topic(20, "create", undefined, info), topic(21, "create", "id1")), []);
  assert.deepEqual(
    rows(topic(20, "create", "id1", { tRet: 260 }), topic(21, "create", undefined, { type: "fail", error: "TOPIC_EXISTS" })),
    [],
  );
});

it("An acknowledgement at NONE or LEADER promises nothing that L2 judges", () => {
  assert.deepEqual(refusals(withRows(send(20, ["gone"], 9, { acks: "LEADER", producer: "p2" }))), []);
});
