import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ReplicaId } from "../../../src/base/ids.ts";
import { type Candidate, commitsWithout, fullVoters, heldReplicas, successor } from "../../../src/broker/partition/full-disks.ts";
import type { Configuration } from "../../../src/raft/types.ts";

const id = (n: number): ReplicaId => n as ReplicaId;
const ids = (...ns: number[]): ReplicaId[] => ns.map(id);
const of = (voters: readonly number[], old?: readonly number[]): Configuration => ({
  voters: ids(...voters),
  ...(old === undefined ? {} : { old: ids(...old) }),
  learners: [],
});
const three = of([1, 2, 3]);
/** Replica 3 is being replaced by 4: both sets must commit. */
const joint = of([1, 2, 4], [1, 2, 3]);

describe("Records", () => {
  it("are refused when too few disks have room for a majority, of both sets while joint", () => {
    assert.equal(commitsWithout(three, ids(2)), true);
    assert.equal(commitsWithout(three, ids(2, 3)), false);
    assert.equal(commitsWithout(of([1, 2]), ids(2)), false);
    assert.equal(commitsWithout(of([1]), []), true);
    assert.equal(commitsWithout(joint, ids(2)), true);
    assert.equal(commitsWithout(joint, ids(2, 3)), false, "the old set could not commit");
    assert.equal(commitsWithout(joint, ids(2, 4)), false, "nor could the new one");
    assert.equal(commitsWithout(joint, ids(3, 4)), true, "two of each have room");
  });
});

describe("A full replica", () => {
  it("is held while the others are a quorum that keeps up, and sent what it needs for the commit when they are not", () => {
    const keeping = (...ns: number[]) => heldReplicas(three, ids(2), (voter) => ns.includes(voter));
    assert.deepEqual(keeping(1, 3), ids(2));
    assert.deepEqual(keeping(1), [], "the third is down, far behind, or in quarantine");
    assert.deepEqual(
      heldReplicas(three, ids(2, 3), () => true),
      [],
    );
  });

  it("is not held while the old set needs it, although the new one does not (scenario 55)", () => {
    const keepsUp = (voter: ReplicaId) => voter !== 3;
    assert.deepEqual(heldReplicas(joint, ids(2), keepsUp), [], "3 is lost: only 1 and 2 can commit in the old set");
    assert.deepEqual(heldReplicas(of([1, 2, 4]), ids(2), keepsUp), ids(2));
  });

  it("is one of either set, and never the leader itself", () => {
    assert.deepEqual(
      fullVoters(joint, id(1), () => true),
      ids(2, 4, 3),
    );
  });
});

describe("A leader without room hands its partition", () => {
  const fit = (replicaId: number, match: number, more: Partial<Candidate> = {}): Candidate => ({
    replicaId: id(replicaId),
    inSync: true,
    able: true,
    match,
    ...more,
  });
  const self = fit(1, 100, { able: false });

  it("to the in-sync replica with room that has most", () => {
    assert.equal(successor(three, id(1), [], [self, fit(2, 90), fit(3, 95)]), id(3));
    assert.equal(successor(three, id(1), [], [self, fit(2, 90), fit(3, 95, { inSync: false })]), id(2));
    assert.equal(successor(three, id(1), [], [self, fit(2, 90), fit(3, 95, { able: false })]), id(2));
  });

  it("to nobody that is full too, and to nobody when records could not be committed there either", () => {
    assert.equal(successor(three, id(1), ids(3), [self, fit(2, 90), fit(3, 95)]), undefined, "two of three are full");
    const five = of([1, 2, 3, 4, 5]);
    assert.equal(successor(five, id(1), ids(3), [self, fit(2, 90), fit(3, 95), fit(4, 80)]), id(2));
    assert.equal(successor(of([1, 2]), id(1), [], [self, fit(2, 90)]), undefined);
    assert.equal(successor(of([1]), id(1), [], [self]), undefined);
  });

  it("to nobody who leaves the configuration", () => {
    assert.equal(successor(joint, id(1), [], [self, fit(3, 95), fit(2, 90)]), id(2));
  });
});
