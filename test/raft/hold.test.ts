import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { replica, type TestReplica } from "./harness.ts";
import { appendReply, leading, outOf } from "./lone.ts";

/** Entries sent to each since the last look. */
function sentTo(leader: TestReplica, to: number): number {
  let entries = 0;
  for (const each of outOf(leader)) if (each.to === to && each.message.kind === "append") entries += each.message.entries.length;
  return entries;
}

function hold(leader: TestReplica, held: boolean): void {
  leader.core.hold(replica(2), held);
  leader.pump();
}

describe("A follower that is held (ADR 0010)", () => {
  it("is sent no entries, and all of them once it is released", () => {
    const leader = leading();
    for (const follower of [2, 3]) leader.step(follower, appendReply(leader.core.term, 1));
    outOf(leader);
    hold(leader, true);
    assert.equal(leader.core.progress(replica(2))?.held, true);
    leader.propose("a", "b");
    assert.equal(sentTo(leader, 2), 0);
    leader.propose("c");
    assert.equal(sentTo(leader, 3), 1);
    hold(leader, false);
    assert.equal(sentTo(leader, 2), 3);
  });

  it("is still asked where its log parts from the leader's", () => {
    const leader = leading();
    hold(leader, true);
    outOf(leader);
    leader.propose("a");
    const { term } = leader.core;
    leader.step(2, { ...appendReply(term, 0), refused: { prevIndex: 0, hintIndex: 0, hintTerm: 0 } } as never);
    assert.equal(sentTo(leader, 2), 0);
    leader.step(2, appendReply(term, 0));
    assert.equal(sentTo(leader, 2), 0);
    hold(leader, false);
    assert.ok(sentTo(leader, 2) > 0);
  });

  it("does not keep the others from committing", () => {
    const leader = leading();
    hold(leader, true);
    leader.step(3, appendReply(leader.core.term, 1));
    leader.propose("a");
    leader.step(3, appendReply(leader.core.term, 2));
    leader.finishWrites();
    assert.equal(leader.core.commit, 2);
  });
});
