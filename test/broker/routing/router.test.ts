import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MillraceError } from "../../../src/base/errors.ts";
import type { BrokerId, GroupId, Term } from "../../../src/base/ids.ts";
import type { Clock, Timer } from "../../../src/base/ports/clock.ts";
import { type LeaderView, type RoutedCall, Router } from "../../../src/broker/routing/router.ts";

const group = 9 as GroupId;

/** A clock that a test moves by hand. */
class HandClock implements Clock {
  #now = 0;
  #timers: { readonly at: number; readonly fire: () => void }[] = [];
  monotonic(): number {
    return this.#now;
  }
  wall(): number {
    return this.#now;
  }
  after(delayMs: number, fire: () => void): Timer {
    const timer = { at: this.#now + delayMs, fire };
    this.#timers.push(timer);
    return {
      cancel: () => {
        this.#timers = this.#timers.filter((other) => other !== timer);
      },
    };
  }
  soon(run: () => void): void {
    this.after(0, run);
  }
  advance(ms: number): void {
    this.#now += ms;
    for (const timer of this.#timers.filter(({ at }) => at <= this.#now)) {
      this.#timers = this.#timers.filter((other) => other !== timer);
      timer.fire();
    }
  }
}

class Bench {
  readonly clock = new HandClock();
  readonly trace: string[] = [];
  readonly refusals: ((error: MillraceError) => void)[] = [];
  readonly overs: (() => void)[] = [];
  view: LeaderView = { local: false, becoming: false, remote: undefined };
  abandoned = 0;
  readonly router: Router = new Router({
    clock: this.clock,
    forwardWaitMs: 2_000,
    forwardPendingMaxBytes: 100,
    abandonedBytes: () => this.abandoned,
    view: () => this.view,
  });

  call(name: string, options: { readonly direct?: boolean; readonly bytes?: number; readonly deadline?: number } = {}): () => void {
    const call: RoutedCall = {
      groupId: group,
      bytes: options.bytes ?? 10,
      deadline: options.deadline ?? 60_000,
      direct: options.direct ?? false,
      runHere: () => this.trace.push(`${name} here`),
      runThere: (broker, refused, over) => {
        this.trace.push(`${name} at ${broker}`);
        this.refusals.push(refused);
        this.overs.push(over);
      },
      fail: (error) => this.trace.push(`${name} ${error.code}`),
    };
    return this.router.route(call);
  }
  leads(): void {
    this.view = { local: true, becoming: false, remote: undefined };
    this.router.changed(group);
  }
  leader(broker: number, term: number): void {
    this.view = { local: false, becoming: false, remote: { broker: broker as BrokerId, term: term as Term } };
    this.router.changed(group);
  }
}

const refusal = new MillraceError("NOT_LEADER", "not me");

describe("Router", () => {
  it("runs a call here when this broker leads, at the leader when another does", () => {
    const bench = new Bench();
    bench.leads();
    bench.call("a");
    bench.leader(2, 5);
    bench.call("b");
    assert.deepEqual(bench.trace, ["a here", "b at 2"]);
  });

  it("holds calls while no leader is known, and lets them go in order once one is", () => {
    const bench = new Bench();
    for (const name of ["a", "b", "c"]) bench.call(name);
    assert.deepEqual(bench.trace, []);
    bench.leads();
    assert.deepEqual(bench.trace, ["a here", "b here", "c here"]);
    assert.equal(bench.router.heldBytes, 0);
  });

  it("gives up after forward.wait.ms with LEADER_UNKNOWN, and at the deadline when that is sooner", () => {
    const bench = new Bench();
    bench.call("a");
    bench.call("b", { deadline: 500 });
    bench.clock.advance(500);
    assert.deepEqual(bench.trace, ["b LEADER_UNKNOWN"]);
    bench.clock.advance(1_500);
    assert.deepEqual(bench.trace, ["b LEADER_UNKNOWN", "a LEADER_UNKNOWN"]);
    assert.equal(bench.router.heldBytes, 0);
  });

  it("counts what other brokers have not answered, and refuses what would pass the bound", () => {
    const bench = new Bench();
    bench.leader(2, 5);
    bench.call("a", { bytes: 60 });
    bench.call("b", { bytes: 40 });
    bench.call("c", { bytes: 1 });
    assert.deepEqual(bench.trace, ["a at 2", "b at 2", "c TOO_MANY_REQUESTS"]);
    assert.equal(bench.router.forwardedBytes, 100);
    bench.overs[0]?.();
    bench.overs[0]?.();
    assert.equal(bench.router.forwardedBytes, 40);
    bench.call("d", { bytes: 60 });
    // A refused call is held and counted as that, not twice.
    bench.refusals[2]?.(refusal);
    assert.equal(bench.router.forwardedBytes, 40);
    assert.equal(bench.router.heldBytes, 60);
    bench.call("e", { bytes: 1 });
    assert.deepEqual(bench.trace.slice(3), ["d at 2", "e TOO_MANY_REQUESTS"]);
  });

  it("counts also what was given up and has not left this broker", () => {
    const bench = new Bench();
    bench.leader(2, 1);
    bench.abandoned = 60;
    bench.call("a", { bytes: 40 });
    bench.call("b", { bytes: 1 });
    assert.deepEqual([bench.trace, bench.router.forwardedBytes], [["a at 2", "b TOO_MANY_REQUESTS"], 100]);
    bench.abandoned = 0;
    bench.call("c", { bytes: 60 });
    assert.deepEqual(bench.trace.slice(2), ["c at 2"]);
  });

  it("holds nothing of a call that is given up, and lets the others go in order", () => {
    const bench = new Bench();
    const [giveUp] = ["a", "b", "c"].map((name) => bench.call(name));
    giveUp?.();
    giveUp?.();
    assert.equal(bench.router.heldBytes, 20);
    bench.leads();
    assert.deepEqual(bench.trace, ["b here", "c here"]);
    const here = bench.call("d");
    here();
    bench.clock.advance(10_000);
    assert.deepEqual([bench.trace, bench.router.heldBytes], [["b here", "c here", "d here"], 0]);
  });

  it("answers NOT_LEADER at once to a direct call", () => {
    const bench = new Bench();
    bench.leader(3, 1);
    bench.call("a", { direct: true });
    assert.deepEqual(bench.trace, ["a NOT_LEADER"]);
  });

  it("holds also direct calls while this broker is becoming the leader", () => {
    const bench = new Bench();
    bench.view = { local: false, becoming: true, remote: undefined };
    bench.call("a", { direct: true });
    assert.deepEqual(bench.trace, []);
    bench.leads();
    assert.deepEqual(bench.trace, ["a here"]);
  });

  it("refuses direct calls that were held when another broker leads in the end", () => {
    const bench = new Bench();
    bench.view = { local: false, becoming: true, remote: undefined };
    bench.call("a", { direct: true });
    bench.leader(2, 8);
    assert.deepEqual(bench.trace, ["a NOT_LEADER"]);
  });

  it("waits for a newer term after a refusal, keeps the order, and tries once more only", () => {
    const bench = new Bench();
    bench.leader(2, 5);
    bench.call("a");
    bench.call("b");
    bench.refusals[0]?.(refusal);
    bench.refusals[1]?.(refusal);
    bench.call("c");
    bench.router.changed(group);
    assert.deepEqual(bench.trace, ["a at 2", "b at 2"], "the same term is not asked again");
    bench.leader(3, 6);
    assert.deepEqual(bench.trace.slice(2), ["a at 3", "b at 3", "c at 3"]);
    bench.refusals[2]?.(refusal);
    assert.deepEqual(bench.trace.slice(5), ["a LEADER_UNKNOWN"]);
  });

  it("asks a refusing leader again after a while, and forgets a refusal that says nothing of the term at once", () => {
    const bench = new Bench();
    bench.leader(2, 5);
    bench.call("a");
    bench.refusals[0]?.(refusal);
    bench.clock.advance(499);
    assert.deepEqual(bench.trace, ["a at 2"]);
    bench.clock.advance(1);
    assert.deepEqual(bench.trace, ["a at 2", "a at 2"]);
    const unreached = new Bench();
    unreached.leader(2, 5);
    unreached.call("b");
    for (let i = 0; i < 5; i++) {
      unreached.refusals[i]?.(new MillraceError("LEADER_UNKNOWN", "no connection"));
      unreached.clock.advance(25);
    }
    assert.deepEqual(
      unreached.trace,
      Array.from({ length: 6 }, () => "b at 2"),
    );
    unreached.refusals[5]?.(new MillraceError("LEADER_UNKNOWN", "no connection"));
    unreached.clock.advance(25);
    unreached.call("c");
    assert.equal(unreached.trace.at(-1), "c at 2", "a later call is not held for what happened to an earlier one");
  });

  it("bounds the bytes it holds by forward.pending.max.bytes", () => {
    const bench = new Bench();
    bench.call("a", { bytes: 60 });
    bench.call("b", { bytes: 60 });
    assert.deepEqual(bench.trace, ["b TOO_MANY_REQUESTS"]);
  });

  it("ends every held call when it closes: nothing was written", () => {
    const bench = new Bench();
    bench.call("a");
    bench.router.close();
    bench.call("b");
    assert.deepEqual(bench.trace, ["a SHUTTING_DOWN", "b SHUTTING_DOWN"]);
  });
});
