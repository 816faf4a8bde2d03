import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type BrokerId, toBrokerId } from "../../src/base/ids.ts";
import { InvariantViolated } from "../../src/base/invariant.ts";
import { type PlacementBroker, placeReplicas } from "../../src/cluster/placement.ts";

const broker = (id: number, rack?: string, leaders = 0, replicas = leaders): PlacementBroker => ({
  id: toBrokerId(id),
  rack,
  leaders,
  replicas,
  leadersHere: 0,
  replicasHere: 0,
});
const spread = (counts: Iterable<number>): number => Math.max(...counts) - Math.min(...counts);

function count(
  brokers: readonly PlacementBroker[],
  placed: readonly (readonly BrokerId[])[],
  of: (replicas: readonly BrokerId[]) => readonly BrokerId[],
): Map<BrokerId, number> {
  const counts = new Map(brokers.map(({ id }) => [id, 0]));
  for (const id of placed.flatMap(of)) counts.set(id, (counts.get(id) ?? 0) + 1);
  return counts;
}

describe("placeReplicas", () => {
  it("puts replicas in different racks while there are some", () => {
    const brokers = [broker(1, "a"), broker(2, "a"), broker(3, "b"), broker(4, "b"), broker(5, "c"), broker(6, "c")];
    for (const replicas of placeReplicas(brokers, 30, 3, 4)) {
      assert.equal(new Set(replicas.map((id) => brokers.find((each) => each.id === id)?.rack)).size, 3, replicas.join());
    }
  });

  it("uses every rack before one twice, also when racks are uneven", () => {
    const brokers = [broker(1, "a"), broker(2, "a"), broker(3, "a"), broker(4, "b")];
    for (const replicas of placeReplicas(brokers, 12, 3, 0)) assert.ok(replicas.includes(toBrokerId(4)));
  });

  it("starts where the seed says when all are equal, and gives the leader to whoever has fewest", () => {
    const equal = [broker(1), broker(2), broker(3)];
    const leaders = [0, 1, 2, 3].map((seed) => placeReplicas(equal, 1, 1, seed)[0]?.[0]);
    assert.deepEqual(leaders, [1, 2, 3, 1]);
    assert.equal(placeReplicas([broker(1, undefined, 5), broker(2, undefined, 4), broker(3, undefined, 5)], 1, 1, 0)[0]?.[0], 2);
  });

  it("does not send a whole topic to the one broker that is empty", () => {
    const brokers = [broker(1, undefined, 50), broker(2, undefined, 50), broker(3)];
    const placed = placeReplicas(brokers, 9, 1, 0);
    assert.deepEqual([...count(brokers, placed, (replicas) => replicas).values()], [3, 3, 3]);
  });

  it("goes on from what the topic has already", () => {
    const brokers = [1, 2, 3].map((id) => ({ ...broker(id), leadersHere: id === 2 ? 0 : 2, replicasHere: id === 2 ? 0 : 2 }));
    const placed = placeReplicas(brokers, 2, 1, 0);
    assert.deepEqual(
      placed.map(([leader]) => leader),
      [2, 2],
    );
  });

  it("refuses more replicas than brokers: the caller has checked", () => {
    assert.throws(() => placeReplicas([broker(1)], 1, 2, 0), InvariantViolated);
  });

  const someBrokers = fc.uniqueArray(
    fc.record({ id: fc.integer({ min: 1, max: 40 }), rack: fc.constantFrom(undefined, "a", "b", "c"), leaders: fc.nat(5) }),
    {
      selector: ({ id }) => id,
      minLength: 1,
      maxLength: 9,
    },
  );

  it("chooses distinct brokers, balances leaders within one, is the same for the same seed and any order", () => {
    fc.assert(
      fc.property(
        someBrokers,
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 1, max: 5 }),
        fc.nat(),
        (given, partitions, wanted, seed) => {
          const brokers = given.map(({ id, rack, leaders }) => broker(id, rack, leaders));
          const replicas = Math.min(wanted, brokers.length);
          const placed = placeReplicas(brokers, partitions, replicas, seed);
          assert.equal(placed.length, partitions);
          for (const chosen of placed) assert.equal(new Set(chosen).size, replicas, "distinct (M4)");
          assert.ok(spread(count(brokers, placed, (chosen) => chosen.slice(0, 1)).values()) <= 1);
          assert.deepEqual(placeReplicas([...brokers].reverse(), partitions, replicas, seed), placed);
        },
      ),
    );
  });

  it("balances all replicas within two when racks do not interfere", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 60 }),
        fc.integer({ min: 1, max: 5 }),
        fc.nat(),
        (size, partitions, wanted, seed) => {
          const brokers = Array.from({ length: size }, (_, at) => broker(at + 1));
          const placed = placeReplicas(brokers, partitions, Math.min(wanted, size), seed);
          assert.ok(spread(count(brokers, placed, (chosen) => chosen).values()) <= 2);
        },
      ),
    );
  });
});
