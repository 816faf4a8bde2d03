import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Clock } from "../../../src/base/ports/clock.ts";
import type { Connection } from "../../../src/base/ports/transport.ts";
import { ProbeKind, Probes } from "../../../src/broker/peers/probes.ts";

const APPEND = 2;

/** Two ends of one connection, on a clock that the test moves. */
class Pair {
  now = 0;
  readonly closed: string[] = [];
  /** Kinds of the probes that each end sent. */
  readonly sent: Record<string, number[]> = { leader: [], follower: [] };
  /** What the leader's end has not sent yet. */
  unsentBytes = 0;
  /** Probes reach the other end. */
  carries = true;
  readonly #timers: { readonly at: number; readonly fire: () => void }[] = [];
  readonly #ends: Record<string, { readonly probes: Probes; readonly connection: Connection }>;

  constructor() {
    const clock: Clock = {
      monotonic: () => this.now,
      wall: () => this.now,
      after: (delayMs, fire) => {
        this.#timers.push({ at: this.now + delayMs, fire });
        return { cancel() {} };
      },
      soon: (run) => run(),
    };
    const end = (name: string, other: string) => {
      const pair = this;
      const connection: Partial<Connection> = {
        get unsentBytes() {
          return name === "leader" ? pair.unsentBytes : 0;
        },
        send: (kind) => {
          pair.sent[name]?.push(kind);
          if (pair.carries) pair.hears(other, kind);
        },
        close: (why) => void pair.closed.push(`${name}: ${why}`),
      };
      return { probes: new Probes(clock, () => 1), connection: connection as Connection };
    };
    this.#ends = { leader: end("leader", "follower"), follower: end("follower", "leader") };
    for (const { probes, connection } of Object.values(this.#ends)) {
      probes.watch(connection);
      probes.start();
    }
  }

  hears(name: string, kind: number): void {
    const end = this.#ends[name];
    end?.probes.heard(end.connection, kind);
  }

  pass(ms: number, each: () => void = () => {}): void {
    for (const until = this.now + ms; this.now < until; ) {
      this.now += 100;
      each();
      for (const timer of this.#timers.splice(0)) {
        if (timer.at <= this.now) timer.fire();
        else this.#timers.push(timer);
      }
    }
  }
}

describe("Probes of a connection between brokers", () => {
  it("close it when nothing came for more than five seconds, though they were sent", () => {
    const pair = new Pair();
    pair.carries = false;
    pair.pass(5_000);
    assert.deepEqual(pair.closed, []);
    pair.pass(2_000);
    assert.deepEqual([...new Set(pair.closed)], ["leader: silent for too long", "follower: silent for too long"]);
    assert.ok((pair.sent["leader"] ?? []).includes(ProbeKind.ping));
  });

  it("keep one open that is silent, with a question each three seconds or less often", () => {
    const pair = new Pair();
    pair.pass(60_000);
    assert.deepEqual(pair.closed, []);
    const pings = Object.values(pair.sent).flatMap((kinds) => kinds.filter((kind) => kind === ProbeKind.ping));
    assert.ok(pings.length >= 10 && pings.length <= 40, `${pings.length} pings in a minute`);
  });

  it("keep one open on which all goes one way, and never fast enough to leave room for a question", () => {
    const pair = new Pair();
    pair.unsentBytes = 500_000;
    pair.pass(30_000, () => pair.hears("follower", APPEND));
    assert.deepEqual(pair.closed, []);
    assert.equal((pair.sent["leader"] ?? []).includes(ProbeKind.ping), false, "nothing piles up before a peer that may hang");
  });
});
