import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FrameType } from "../../src/records/frame-types.ts";
import { replica, type TestReplica, term } from "./harness.ts";
import { lone, messagesOf, outOf, vote } from "./lone.ts";

/** It is told that nobody else is left, and given time. */
function recovered(of: TestReplica, after: number): TestReplica {
  assert.equal(of.core.recover(term(after), of.cluster.now), true);
  of.pump();
  for (let i = 0; i < 5; i++) {
    of.cluster.now += 1_000;
    of.core.tick(of.cluster.now);
    of.pump();
  }
  return of;
}

const types = (of: TestReplica): readonly number[] => of.log.map(({ type }) => type);

describe("A replica whose operator gave up the others (ADR 0014, scenario 62)", () => {
  it("leads alone in a term above all that are known, and commits whatever it has", () => {
    const survivor = recovered(lone({ log: [1, 1, 3], commit: 1 }), 9);
    assert.equal(survivor.core.role, "leader");
    assert.deepEqual(survivor.core.configuration, { voters: [replica(1)], learners: [] });
    assert.deepEqual(types(survivor).slice(3), [FrameType.config, FrameType.noop]);
    assert.deepEqual(
      survivor.log.map((entry) => entry.term),
      [1, 1, 3, 10, 11],
    );
    assert.equal(survivor.core.commit, 5);
    assert.deepEqual(
      outOf(survivor).filter(({ message }) => message.kind !== "preVote"),
      [],
      "nobody else is asked for anything",
    );
  });

  it("is above its own term where that is higher, also when it had voted in it", () => {
    const survivor = recovered(lone({ log: [2], term: 7, votedFor: 3 }), 4);
    assert.equal(survivor.log[1]?.term, 8);
    assert.equal(survivor.core.role, "leader");
  });

  it("leaves quarantine: nobody is left who could end it", () => {
    const survivor = recovered(lone({ log: [1, 1], quarantined: true }), 0);
    assert.equal(survivor.core.quarantined, false);
    assert.equal(survivor.core.role, "leader");
    assert.equal(survivor.core.commit, 4);
  });

  it("does nothing before its configuration is durable, so that a crash leaves the old one or the new one", () => {
    const survivor = lone({ log: [1] });
    survivor.slowDisk = true;
    assert.equal(survivor.core.recover(term(0), survivor.cluster.now), true);
    survivor.pump();
    survivor.cluster.now += 1_000;
    survivor.core.tick(survivor.cluster.now);
    survivor.pump();
    assert.notEqual(survivor.core.role, "leader");
    assert.equal(survivor.core.commit, 0);
    survivor.finishWrites();
    assert.equal(survivor.core.role, "leader");
  });

  it("stops following whom it followed", () => {
    const survivor = lone({ log: [1], term: 1 });
    survivor.step(2, { kind: "heartbeat", term: term(1), commit: 0, round: 0 } as never);
    assert.equal(survivor.core.leader, replica(2));
    recovered(survivor, 1);
    assert.equal(survivor.core.leader, replica(1));
    survivor.step(2, vote(2, 1, 1));
    assert.equal(
      messagesOf(survivor, "voteReply").some(({ granted }) => granted),
      false,
    );
  });

  it("waits while frames are written past its log", () => {
    const survivor = lone({ log: [1], term: 1 });
    survivor.step(2, { kind: "extend", term: term(1), matched: 1, nextTerm: term(1), upTo: 3 } as never);
    assert.equal(survivor.core.extendLocally(2 as never), true);
    assert.equal(survivor.core.recover(term(0), survivor.cluster.now), false);
    survivor.core.extendedLocally([], survivor.cluster.now);
    assert.equal(survivor.core.recover(term(0), survivor.cluster.now), true);
  });
});
