import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TestCluster } from "./harness.ts";

describe("Raft core", () => {
  it("elects one leader from a cold start, commits, and survives losing it", () => {
    const cluster = TestCluster.of([1, 2, 3]);
    cluster.until(() => cluster.leaders().length === 1);
    const first = cluster.leader();
    first.propose("a", "b");
    cluster.advance(200);
    for (const each of cluster.replicas.values()) {
      assert.deepEqual(each.payloads(), [undefined, "a", "b"]);
      assert.equal(each.core.commit, 3);
    }
    first.crash();
    cluster.until(() => cluster.leaders().length === 1);
    assert.ok(cluster.leader().core.term > first.core.term);
    cluster.leader().propose("c");
    first.restart();
    cluster.advance(300);
    for (const each of cluster.replicas.values()) assert.deepEqual(each.payloads(), [undefined, "a", "b", undefined, "c"]);
  });

  it("leads alone in a group of one, after its own write", () => {
    const cluster = TestCluster.of([1]);
    const only = cluster.at(1);
    only.slowDisk = true;
    cluster.advance(1);
    assert.equal(only.core.role, "candidate");
    only.finishWrite();
    assert.equal(only.core.role, "leader");
    assert.equal(only.core.commit, 0);
    only.finishWrite();
    assert.equal(only.core.commit, 1);
  });
});
