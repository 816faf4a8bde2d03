import type {
  EndRow,
  Evidence,
  FinalRead,
  HistoryRow,
  MachineDump,
  ReadRow,
  ReplicaDump,
  SendRow,
  TimeRow,
  TopicRow,
  TrimRow,
} from "../../../src/testing/checkers/history.ts";
import { checkHistory } from "../../../src/testing/checkers/index.ts";

const P = "t-0";

export function send(i: number, values: string[], offset: number | undefined, more: Partial<SendRow> = {}): SendRow {
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

export function read(i: number, from: number, values: string[], more: Partial<ReadRow> = {}): ReadRow {
  const records = values.map((value, k) => ({ offset: from + k, value, intact: true }));
  return { f: "read", i, proc: "c2", type: "ok", tInv: i * 10, tRet: i * 10 + 5, partition: P, from, records, ...more };
}

export function end(i: number, at: number): EndRow {
  return { f: "end", i, proc: "c2", type: "ok", tInv: i * 10, tRet: i * 10 + 5, partition: P, logStart: 0, end: at };
}

export function time(i: number, timeMs: number, offset: number | undefined, timestampMs = timeMs): TimeRow {
  const found = offset === undefined ? {} : { offset, timestampMs };
  return { f: "time", i, proc: "c2", type: "ok", tInv: i * 10, tRet: i * 10 + 5, partition: P, timeMs, logStart: 0, end: 4, ...found };
}

export function topic(i: number, op: TopicRow["op"], id: string | undefined, more: Partial<TopicRow> = {}): TopicRow {
  const row: TopicRow = { f: "topic", i, proc: "c3", type: "ok", tInv: i * 10, tRet: i * 10 + 5, name: "n", op };
  return { ...row, ...(id === undefined ? {} : { id }), ...more };
}

export function trim(i: number, before: number, type: TrimRow["type"] = "ok"): TrimRow {
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

export function final(values: string[], logStart = 0): FinalRead {
  const records = values.map((value, k) => ({ offset: logStart + k, value, intact: true, timestampMs: 100 + 10 * (logStart + k) }));
  return { partition: P, logStart, records };
}

export function dump(replica: string, entries: [term: number, hash: string][], commit = entries.length): ReplicaDump {
  return { partition: P, replica, commit, entries: entries.map(([term, hash], k) => ({ index: k + 1, term, baseOffset: k, hash })) };
}

/** A run in which all went well: a batch of two, an unknown outcome that took effect, one that did not, a refusal, reads, ends, dumps. */
export const good = {
  history: [
    send(1, ["a", "b"], 0),
    send(2, ["c"], undefined, { type: "info", tRet: Number.POSITIVE_INFINITY }),
    read(3, 0, ["a", "b"], { session: 1 }),
    send(4, ["d"], undefined, { type: "fail" }),
    { ...end(5, 3), leaderEpoch: 2, broker: 1 },
    send(6, ["e"], 3),
    read(7, 1, ["b", "c", "e"]),
    send(8, ["lost"], undefined, { type: "info", tRet: Number.POSITIVE_INFINITY }),
    { ...end(9, 4), leaderEpoch: 3, broker: 2 },
    read(10, 2, ["c", "e"], { session: 1 }),
    time(11, 111, 2, 120),
    time(12, 131, undefined),
    topic(13, "create", "id1"),
    topic(14, "delete", undefined, { type: "info", tRet: Number.POSITIVE_INFINITY }),
    topic(15, "create", "id2"),
    topic(16, "create", undefined, { type: "fail", error: "TOPIC_EXISTS" }),
    topic(17, "delete", "id1", { type: "fail", error: "UNKNOWN_TOPIC" }),
    { f: "metadata", i: 18, proc: "c2", type: "ok", tInv: 180, tRet: 185, version: 7 },
    // Sent while too few were reached; it was written when they were.
    send(19, ["g"], undefined, { type: "info", tRet: Number.POSITIVE_INFINITY }),
  ] as HistoryRow[],
  starved: [{ partition: P, from: 186, to: 199 }],
  leaders: [
    { partition: P, term: 2, broker: 1 },
    { partition: P, term: 3, broker: 2 },
  ],
  placements: [{ index: 4, partition: P, wanted: 3, brokers: [1, 2, 3], replicas: [11, 12, 13], inSync: [11, 12], leader: 11 }],
  brokerLives: [
    { broker: 1, life: 1, from: 0, end: "running" },
    { broker: 2, life: 1, from: 0, end: "explained", error: "EIO" },
  ],
  held: [{ broker: 1, what: "connections to other brokers", count: 3, most: 6 }],
  terms: [{ group: "group 7", at: 1_000, term: 2 }],
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
    {
      ...dump("3", [
        [1, "x"],
        [1, "y"],
      ]),
      configurations: [
        { index: 1, voters: [11, 12, 13] },
        { index: 2, voters: [11, 12, 14], old: [11, 12, 13] },
        { index: 3, voters: [14] },
      ],
    },
    { ...dump("1", []), partition: "metadata", machine: { start: 5, snapshot: 7, states: [{ index: 8, hash: "m8" }] } },
    { ...dump("2", []), partition: "metadata", machine: { start: 0, snapshot: undefined, states: [{ index: 8, hash: "m8" }] } },
  ],
} satisfies Evidence;

export function refusals(evidence: Evidence): string[] {
  return checkHistory(evidence).flatMap((verdict) => verdict.violations.map((violation) => `${verdict.row} ${violation}`));
}

export const withRows = (...rows: HistoryRow[]): Evidence => ({ ...good, history: [...good.history, ...rows] });
export const withMachine = (machine: MachineDump): Evidence => ({
  ...good,
  dumps: [...good.dumps, { ...dump("3", []), partition: "metadata", machine }],
});
export const withFinal = (...values: string[]): Evidence => ({ ...good, finals: [final(values)] });

/** A history in which something is wrong, the row that must refuse it, and what it says. */
export interface Planted {
  readonly row: string;
  readonly what: string;
  readonly evidence: Evidence;
  readonly says: RegExp;
}
