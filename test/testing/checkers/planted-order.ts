import type { Planted } from "./rows.ts";
import { dump, end, final, good, read, send, time, topic, trim, withMachine, withRows } from "./rows.ts";

export const plantedOrder: readonly Planted[] = [
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
    row: "L15",
    what: "records go before their time",
    evidence: {
      ...withRows({ ...end(12, 4), logStart: 4 }),
      finals: [final([], 4)],
      retention: [{ partition: "t-0", retentionMs: 100 }],
      clockAheadMs: 0,
    },
    says: /row 12 \(end\) says that t-0@3 is gone, 65 ms after row 6 sent it; it is kept for 100 ms/,
  },
  {
    row: "L15",
    what: "a replica obeys a trim that was never committed",
    evidence: {
      ...withRows(trim(20, 1), trim(21, 2, "info")),
      finals: [final(["b", "c", "e"], 1)],
      dumps: [
        { ...dump("1", [[1, "x"]]), logStart: 1, trims: [{ index: 1, before: 1 }] },
        {
          ...dump(
            "2",
            [
              [1, "x"],
              [1, "y"],
            ],
            1,
          ),
          logStart: 2,
          trims: [
            { index: 1, before: 1 },
            { index: 2, before: 2 },
          ],
        },
      ],
    },
    says: /2 has let go of t-0 up to 2, and no committed entry says more than 1/,
  },
  {
    row: "L9",
    what: "a consumer skips a record between two polls",
    evidence: withRows(read(20, 0, ["a"], { session: 2 }), read(21, 2, ["c"], { session: 2, from: 2 })),
    says: /row 21 \(read\): c2, session 2 of t-0, skips from 1 to 2/,
  },
  {
    row: "L9",
    what: "a consumer steps back",
    evidence: withRows(read(20, 0, ["a", "b"], { session: 2 }), read(21, 1, ["b"], { session: 2 })),
    says: /row 21 \(read\): c2, session 2 of t-0, steps back from 2 to 1/,
  },
  {
    row: "L9",
    what: "a consumer skips a record inside of one poll",
    evidence: withRows({
      ...read(20, 0, [], { session: 2 }),
      records: [
        { offset: 0, value: "a", intact: true },
        { offset: 2, value: "c", intact: true },
      ],
    }),
    says: /row 20 \(read\): c2, session 2 of t-0, skips from 1 to 2/,
  },
  {
    row: "L9",
    what: "a consumer begins behind where it was put",
    evidence: withRows(read(20, 1, ["b"], { session: 2, from: 0 })),
    says: /row 20 \(read\): c2, session 2 of t-0, skips from 0 to 1/,
  },
  {
    row: "L14",
    what: "ALL is acknowledged while too few replicas are reached",
    evidence: { ...withRows(send(20, ["f"], 4, { tInv: 191, tRet: 198 })), finals: [final(["a", "b", "c", "e", "f"])] },
    says: /row 20 \(send ALL\) to t-0 was made at 191 and acknowledged at 198; from 186 to 199/,
  },
  {
    row: "L17",
    what: "a search by time finds a later record than the first",
    evidence: withRows(time(20, 111, 3, 130)),
    says: /row 20 \(time\): t-0 from 111 on begins at 3 \(130\), in the final read at 2 \(120\)/,
  },
  {
    row: "L17",
    what: "a search by time finds an older record",
    evidence: withRows(time(20, 111, 1, 110)),
    says: /row 20 \(time\): t-0 from 111 on begins at 1 \(110\), in the final read at 2/,
  },
  {
    row: "L17",
    what: "a search by time finds nothing",
    evidence: withRows(time(20, 111, undefined)),
    says: /row 20 \(time\): t-0 from 111 on begins at nothing, in the final read at 2/,
  },
  {
    row: "M1",
    what: "two brokers answer as leaders of one term",
    evidence: withRows({ ...end(20, 4), leaderEpoch: 3, broker: 3 }),
    says: /t-0 in term 3 is led by broker 2 \(inside\) and by broker 3 \(row 20\)/,
  },
  {
    row: "M2",
    what: "a later ask is answered in an older term",
    evidence: withRows({ ...end(20, 4), leaderEpoch: 2, broker: 1 }),
    says: /row 20 says the term of t-0 is 2; row 9 had said 3/,
  },
  {
    row: "M2",
    what: "a client is shown an older version of the metadata",
    evidence: withRows({ f: "metadata", i: 20, proc: "c2", type: "ok", tInv: 200, tRet: 205, version: 6 }),
    says: /row 20 says the metadata version of c2 is 6; row 18 had said 7/,
  },
  {
    row: "M3",
    what: "a topic is made while there is one of its name",
    evidence: withRows(topic(20, "create", "id3")),
    says: /n: no order explains what was answered/,
  },
  {
    row: "M3",
    what: "a topic is said to exist that was deleted",
    evidence: withRows(topic(20, "delete", "id2"), topic(21, "create", undefined, { type: "fail", error: "TOPIC_EXISTS" })),
    says: /n: no order explains what was answered/,
  },
  {
    row: "M3",
    what: "a topic is made anew under its old id",
    evidence: withRows(topic(20, "delete", "id2"), topic(21, "create", "id2")),
    says: /n: rows 15 and 21 \(create\) were both given the id id2/,
  },
  {
    row: "M3",
    what: "what was sent to a topic is in the next one of its name",
    evidence: withRows(
      send(20, ["q"], 0, { partition: "n#id1-0", producer: "p2", acks: "LEADER" }),
      read(21, 0, ["q"], { partition: "n#id2-0" }),
    ),
    says: /row 21 \(read\): q is in n#id2-0 and was sent to n#id1-0/,
  },
  {
    row: "M4",
    what: "two replicas are on one broker",
    evidence: { ...good, placements: good.placements.map((row) => ({ ...row, brokers: [1, 2, 2] })) },
    says: /t-0, by fact 4, is on brokers 1,2,2, and 3 replicas were asked for/,
  },
  {
    row: "M4",
    what: "somebody is in sync who is no replica",
    evidence: { ...good, placements: good.placements.map((row) => ({ ...row, inSync: [11, 14] })) },
    says: /has 14 in sync, which is none of its replicas 11,12,13/,
  },
  {
    row: "M4",
    what: "somebody leads who is no replica",
    evidence: { ...good, placements: good.placements.map((row) => ({ ...row, leader: 14 })) },
    says: /is led by 14, which is none of its replicas/,
  },
  {
    row: "M4",
    what: "a broker leads on which nothing was placed",
    evidence: { ...good, leaders: [...good.leaders, { partition: "t-0", term: 5, broker: 4 }] },
    says: /t-0 is led by broker 4 in term 5, and is placed on 1,2,3/,
  },
  {
    row: "M4",
    what: "two successive sets of voters need not meet",
    evidence: {
      ...good,
      dumps: [
        {
          ...dump("1", [
            [1, "x"],
            [1, "y"],
          ]),
          configurations: [
            { index: 1, voters: [11, 12, 13] },
            { index: 2, voters: [11, 14, 15] },
          ],
        },
      ],
    },
    says: /majorities of 11,12,13 \(index 1\) and of the next configuration 11,14,15 \(index 2\) need not meet/,
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
