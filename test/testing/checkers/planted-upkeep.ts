import type { BrokerLife, TermSeen } from "../../../src/testing/checkers/history.ts";
import type { Planted } from "./rows.ts";
import { good } from "./rows.ts";

const life = (end: BrokerLife["end"], error?: string): BrokerLife => ({
  broker: 2,
  life: 3,
  from: 10,
  end,
  ...(error === undefined ? {} : { error }),
});

/** One term more each second, from the first one on. */
const rising = (terms: number): readonly TermSeen[] =>
  Array.from({ length: terms }, (_, k) => ({ group: "group 7", at: 1_000 * (k + 1), term: k + 1 }));

export const plantedUpkeep: readonly Planted[] = [
  {
    row: "V2",
    what: "a broker ends by itself",
    evidence: { ...good, brokerLives: [life("stopped"), life("killed"), life("explained"), life("by itself", "no such segment")] },
    says: /broker 2 ended by itself in its life 3: no such segment/,
  },
  {
    row: "V2",
    what: "a broker keeps files open that are gone",
    evidence: { ...good, held: [{ broker: 1, what: "open files that have no name any more", count: 1, most: 0 }] },
    says: /broker 1 holds 1 open files that have no name any more while nothing is asked of it, at most 0 are due/,
  },
  {
    row: "V2",
    what: "elections do not end",
    evidence: { ...good, terms: rising(14), troubles: [5_000] },
    says: /group 7 went from term 1 to 14 between 1000 and 14000 ms, at most 12 are due after what happened/,
  },
  {
    row: "V2",
    what: "somebody is elected though nobody troubles anything",
    evidence: {
      ...good,
      terms: [
        { group: "group 7", at: 900, term: 1 },
        { group: "group 7", at: 1_000, term: 2 },
        { group: "group 7", at: 4_000, term: 3 },
      ],
      quietSince: 1_000,
    },
    says: /group 7 went from term 2 to 3 between 1000 and 4000 ms, while nobody troubled it/,
  },
];
