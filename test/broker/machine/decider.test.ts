import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MillraceError } from "../../../src/base/errors.ts";
import type { LogIndex, Term } from "../../../src/base/ids.ts";
import { Decider, type LedReplica } from "../../../src/broker/machine/decider.ts";
import type { FrameDraft } from "../../../src/records/frame-types.ts";
import { index, term } from "../../log/frames.ts";
import { HandClock } from "../groups/coordinator-run.ts";
import { said } from "./machine-run.ts";
import { type Add, Tally, tallyMachine } from "./tally.ts";

/** A replica whose role and commits are said by hand; three entries are in its log, and committed. */
class Led implements LedReplica {
  serves = true;
  takes = true;
  readonly core: { role: "leader" | "follower"; term: Term; lastIndex: LogIndex } = { role: "leader", term: term(2), lastIndex: index(3) };
  readonly committed = { image: new Tally([["a", 5]]), applied: index(3) };
  readonly drafts: FrameDraft[] = [];
  readonly told: string[] = [];
  readonly clock = new HandClock();
  /** An addition of nothing may be answered by who is deposed. */
  bearsStale = false;
  /** Asked whether it leads still, and not answered yet. */
  readonly asked: ((at: LogIndex | undefined) => void)[] = [];
  /** Bytes of the largest frame there is room for. */
  room = 1_000;
  readonly decider: Decider<Tally, Add, { name: string; by: number }, number>;

  constructor() {
    const tell = (what: string) => () => void this.told.push(what);
    const hooks = { began: tell("began"), ended: tell("ended") };
    const admit = (bytes: number) => (bytes > this.room ? new MillraceError("PENDING_FULL", "no room") : undefined);
    const confirmed = (done: (at: LogIndex | undefined) => void) => {
      this.asked.push(done);
      return () => {};
    };
    const machine = { ...tallyMachine, bearsStale: ({ by }: Add) => by === 0 && this.bearsStale };
    this.decider = new Decider(this.clock, this, this.committed, machine, hooks, confirmed, admit);
    this.decider.advanced();
  }

  propose([draft]: readonly FrameDraft[]): ReturnType<LedReplica["propose"]> {
    if (!this.takes || draft === undefined) return { kind: "refused", why: "not-leader" };
    this.drafts.push(draft);
    this.core.lastIndex = index(this.core.lastIndex + 1);
    return { kind: "accepted", firstIndex: this.core.lastIndex, lastIndex: this.core.lastIndex, term: this.core.term };
  }

  add(command: Add): () => void {
    return this.decider.submit(command, (answer) => void this.told.push(String(said(answer))));
  }

  /** What others say of its leadership, to all that was asked. @returns how often it was */
  confirm(leads = true): number {
    this.clock.turn();
    const asked = this.asked.splice(0);
    for (const done of asked) done(leads ? this.committed.applied : undefined);
    return asked.length;
  }

  /** All up to there is committed and replayed. */
  commit(at: number): void {
    for (; this.committed.applied < at; this.committed.applied = index(this.committed.applied + 1)) {
      const draft = this.drafts[this.committed.applied - 3];
      for (const fact of draft === undefined ? [] : tallyMachine.facts.decode(draft.payload))
        this.committed.image.replay(fact, index(this.committed.applied + 1));
    }
    this.decider.advanced();
  }
}

describe("who decides for a machine", () => {
  it("answers in order when what it rests on is committed, refusals too", () => {
    const led = new Led();
    led.add({ name: "a", by: 1 });
    led.add({ name: "a", by: 1, atMost: 6 });
    led.add({ name: "a", by: 2 });
    assert.deepEqual(led.told, ["began"]);
    led.commit(4);
    assert.equal(led.confirm(), 1);
    assert.deepEqual(led.told, ["began", "6", "INVALID_REQUEST"]);
    led.commit(5);
    assert.deepEqual(led.told, ["began", "6", "INVALID_REQUEST", "8"]);
    led.add({ name: "a", by: 1, atMost: 8 });
    assert.equal(led.told.length, 4, "nothing is open, but another one may lead");
    led.confirm();
    assert.deepEqual(led.told.slice(4), ["INVALID_REQUEST"]);
    assert.deepEqual([led.drafts.length, led.drafts[0]?.recordCount], [2, 2]);
  });

  it("refuses nothing, and says nothing of what it did not record, unless it leads still", () => {
    const led = new Led();
    led.add({ name: "a", by: 1, atMost: 5 });
    led.add({ name: "a", by: 0 });
    assert.deepEqual([led.confirm(false), led.told], [1, ["began", "NOT_LEADER", "NOT_LEADER"]], "those of one turn share a question");
    led.add({ name: "a", by: 1, atMost: 5 });
    led.clock.turn();
    led.add({ name: "a", by: 0 });
    assert.equal(led.asked.length, 1, "it was asked before the second one");
    led.asked.shift()?.(index(3));
    assert.deepEqual(led.told.slice(3), ["INVALID_REQUEST"]);
    led.confirm();
    assert.deepEqual(led.told.slice(4), ["5"]);
    led.bearsStale = true;
    led.add({ name: "a", by: 0 });
    assert.deepEqual([led.told.slice(5), led.confirm()], [["5"], 0], "one that bears it is answered at once");
    led.add({ name: "a", by: 0, atMost: 4 });
    assert.equal(led.told.length, 6, "a refusal never does");
  });

  it("takes no word for it that is of a later term of its own", () => {
    const led = new Led();
    led.add({ name: "a", by: 1, atMost: 5 });
    Object.assign(led.core, { term: term(4) });
    led.decider.advanced();
    led.confirm();
    assert.deepEqual(led.told, ["began", "ended", "began", "NOT_LEADER"]);
  });

  it("has recorded nothing of a refusal that waits when its leadership goes", () => {
    const led = new Led();
    led.bearsStale = true;
    led.add({ name: "a", by: 1 });
    led.add({ name: "a", by: 1, atMost: 5 });
    led.add({ name: "a", by: 0 });
    led.core.role = "follower";
    led.decider.advanced();
    assert.deepEqual(led.told, ["began", "ended", "LEADERSHIP_LOST", "NOT_LEADER", "NOT_LEADER"]);
    assert.equal(led.confirm(), 0);
  });

  it("asks nobody for who went away", () => {
    const led = new Led();
    led.add({ name: "a", by: 1 });
    const waits = led.add({ name: "a", by: 1, atMost: 5 });
    waits();
    led.commit(4);
    const asks = led.add({ name: "a", by: 1, atMost: 5 });
    asks();
    asks();
    assert.equal(led.confirm(), 0);
    const late = led.add({ name: "a", by: 1, atMost: 5 });
    led.clock.turn();
    late();
    led.confirm();
    assert.deepEqual(led.told, ["began", "6"]);
  });

  it("throws everything away with its leadership, says first that it ended, and later begins from what is committed", () => {
    const led = new Led();
    led.add({ name: "a", by: 1 });
    led.add({ name: "b", by: 1 });
    led.core.role = "follower";
    led.decider.advanced();
    assert.deepEqual(led.told, ["began", "ended", "LEADERSHIP_LOST", "LEADERSHIP_LOST"]);
    led.add({ name: "a", by: 1 });
    assert.equal(led.told.at(-1), "NOT_LEADER");
    // Another leader cut the second one off, and its no-op stands there.
    led.drafts.pop();
    Object.assign(led.core, { role: "leader", term: term(4) });
    led.decider.advanced();
    assert.equal(led.decider.active, false, "not everything that was appended is replayed");
    led.commit(5);
    assert.deepEqual([led.told.at(-1), led.decider.image.sum("a"), led.decider.image.sum("b")], ["began", 6, 0]);
  });

  it("is over when the replica takes nothing any more, and nothing was written", () => {
    const led = new Led();
    led.takes = false;
    led.add({ name: "a", by: 1 });
    assert.deepEqual(led.told, ["began", "ended", "NOT_READY"]);
    led.takes = true;
    led.decider.advanced();
    assert.equal(led.decider.image.sum("a"), 5, "what was refused is in nobody's image");
  });

  it("refuses what there is no room for before it is anywhere, at once, and goes on", () => {
    const led = new Led();
    led.add({ name: "a", by: 1 });
    led.room = 0;
    led.add({ name: "a", by: 1 });
    assert.deepEqual(led.told, ["began", "PENDING_FULL"], "it rests on nothing");
    led.room = 1_000;
    led.add({ name: "a", by: 1 });
    assert.deepEqual([led.decider.waiting, led.drafts.length], [2, 2]);
    led.commit(5);
    assert.deepEqual(led.told, ["began", "PENDING_FULL", "6", "7"]);
    assert.equal(led.decider.waiting, 0);
  });

  it("does not answer who went away, and what was decided stays", () => {
    const led = new Led();
    const forget = led.add({ name: "a", by: 1 });
    led.add({ name: "a", by: 1 });
    forget();
    forget();
    led.commit(5);
    assert.deepEqual(led.told, ["began", "7"]);
    forget();
    led.add({ name: "a", by: 1 });
    led.commit(6);
    assert.deepEqual(led.told, ["began", "7", "8"]);
  });
});
