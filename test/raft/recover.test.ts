import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TERMS_OF_RECOVERY, termAfterRecovery } from "../../src/raft/recovery-term.ts";
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
    const terms = survivor.log.map((entry) => entry.term);
    assert.deepEqual(terms.slice(0, 3), [1, 1, 3]);
    const [forced = 0, led = 0] = terms.slice(3);
    assert.ok(forced > 9, `${forced}`);
    assert.equal(led, forced + 1);
    assert.equal(survivor.core.commit, 5);
    assert.deepEqual(
      outOf(survivor).filter(({ message }) => message.kind !== "preVote"),
      [],
      "nobody else is asked for anything",
    );
  });

  it("is above its own term where that is higher, also when it had voted in it", () => {
    const away = 1_000_000;
    const survivor = recovered(lone({ log: [2], term: TERMS_OF_RECOVERY + 7, votedFor: 3 }), 4);
    assert.ok((survivor.log[1]?.term ?? 0) > TERMS_OF_RECOVERY + 7 + away);
    assert.equal(survivor.core.role, "leader");
  });

  it("is above the terms of leaders that it has not heard of: nobody else has a vote to give in them", () => {
    const survivor = recovered(lone({ log: [1, 1, 3], commit: 1 }), 3);
    assert.ok((survivor.log[3]?.term ?? 0) > 1_000_000, `${survivor.log[3]?.term}`);
  });

  it("goes on in terms of its own also where another one was gone on from, of which it has not heard", () => {
    const of = (draw: number): number[] => {
      const survivor = recovered(lone({ log: [1, 1, 3], commit: 1, options: { draw: () => draw } }), 3);
      // And once more, the operator being as unlucky again.
      return recovered(survivor, 0)
        .log.map(({ term }) => term)
        .slice(3);
    };
    const [one, other] = [of(0.25), of(0.25 + 2 ** -20)];
    assert.equal(new Set([...one, ...other]).size, one.length + other.length, `${one} and ${other}`);
    const apart = Math.min(...one.flatMap((a) => other.map((b) => Math.abs(a - b))));
    assert.ok(apart > 2 ** 15, "and so do thousands of leaders after it");
  });

  it("stays a whole number that every format holds, however often it is done", () => {
    const last = Number.MAX_SAFE_INTEGER;
    const most = (known: number): number => termAfterRecovery(term(known), () => 1 - 2 ** -32);
    let known = 0;
    let times = 0;
    for (let next = most(known); next - known > 1; next = most(known)) {
      assert.ok(Number.isSafeInteger(next) && next < last - 2 ** 15);
      known = next;
      times += 1;
    }
    assert.ok(times > 100_000, `${times}`);
    assert.equal(most(known), known + 1, "then there is no wide gap left to take");
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
