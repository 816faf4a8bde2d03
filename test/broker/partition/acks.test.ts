import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { NO_PRODUCER, toLogIndex, toProducerId, toReplicaId } from "../../../src/base/ids.ts";
import {
  ACKS_LEVELS,
  defaultMinIsr,
  durableReplicas,
  effectiveMinIsr,
  parseAcks,
  refuseLevel,
  refuseReplicas,
} from "../../../src/broker/partition/acks.ts";

describe("acks levels", () => {
  it("are known by their names only", () => {
    assert.equal(parseAcks("QUORUM"), "QUORUM");
    assert.equal(parseAcks("quorum"), undefined);
    assert.equal(parseAcks("__proto__"), undefined);
  });

  it("allow a producer id only with QUORUM and ALL", () => {
    const allowed = ACKS_LEVELS.filter((level) => refuseLevel(level, toProducerId(7), "NONE") === undefined);
    assert.deepEqual(allowed, ["QUORUM", "ALL"]);
    assert.equal(refuseLevel("NONE", NO_PRODUCER, "NONE"), undefined);
  });

  it("obey the least level of the topic", () => {
    assert.equal(refuseLevel("LEADER", NO_PRODUCER, "QUORUM")?.code, "ACKS_NOT_ALLOWED");
    assert.equal(refuseLevel("QUORUM", NO_PRODUCER, "QUORUM"), undefined);
    assert.equal(refuseLevel("QUORUM", NO_PRODUCER, "ALL")?.metadata.least, "ALL");
  });

  it("refuse ALL, and only ALL, below the minimum of in-sync replicas", () => {
    assert.equal(refuseReplicas("ALL", 1, 2)?.code, "NOT_ENOUGH_REPLICAS");
    assert.equal(refuseReplicas("ALL", 2, 2), undefined);
    assert.equal(refuseReplicas("QUORUM", 0, 2), undefined);
  });

  it("have a default minimum of a majority, never more than the replicas", () => {
    assert.deepEqual([1, 2, 3, 4, 5].map(defaultMinIsr), [1, 2, 2, 3, 3]);
    assert.equal(effectiveMinIsr(undefined, 3), 2);
    assert.equal(effectiveMinIsr(3, 1), 1);
  });

  it("name as evidence the replicas that had the frame durable", () => {
    const durable = new Map([
      [1, 5],
      [2, 4],
    ]);
    const voters = [1, 2, 3].map(toReplicaId);
    const had = durableReplicas(toLogIndex(5), voters, (replica) => {
      const index = durable.get(replica);
      return index === undefined ? undefined : toLogIndex(index);
    });
    assert.deepEqual(had, [1]);
  });
});
