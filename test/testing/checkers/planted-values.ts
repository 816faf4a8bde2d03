import type { Planted } from "./rows.ts";
import { dump, end, final, good, read, send, withFinal, withRows } from "./rows.ts";

export const plantedValues: readonly Planted[] = [
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
    row: "L12",
    what: "two replicas committed two entries",
    evidence: { ...good, dumps: [dump("1", [[1, "x"]]), dump("2", [[1, "other"]])] },
    says: /index 1: 1 has term 1, offset 0, hash x, 2 has term 1, offset 0, hash other/,
  },
];
