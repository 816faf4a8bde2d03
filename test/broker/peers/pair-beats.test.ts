import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type ReplicaId, toBrokerId } from "../../../src/base/ids.ts";
import { PairBeats, type Rest } from "../../../src/broker/peers/pair-beats.ts";
import { BadPeerMessage } from "../../../src/broker/peers/raft-codec.ts";

const HEARTBEAT_MS = 100;
const SILENT_MS = 500;

/** Two brokers and the beats between them; each direction may be cut. */
class Pair {
  now = 1_000;
  readonly cut = { a: false, b: false };
  /** Beats that left, by who sent them. */
  readonly sent = { a: 0, b: 0 };
  readonly a: PairBeats = this.#side("a", () => this.b, 2);
  readonly b: PairBeats = this.#side("b", () => this.a, 1);
  /** Whose rest ended. */
  readonly ended: string[] = [];

  #side(name: "a" | "b", other: () => PairBeats, otherBroker: number): PairBeats {
    const ports = { heartbeatMs: HEARTBEAT_MS, silentMs: SILENT_MS, blockSequence: () => 7, wakeAt() {} };
    return new PairBeats({
      ...ports,
      clock: { monotonic: () => this.now } as never,
      send: (broker, body) => {
        assert.equal(broker, otherBroker);
        this.sent[name]++;
        if (!this.cut[name]) other().heard(toBrokerId(3 - otherBroker), body);
      },
    });
  }

  /** The replica at `a` leads, the one at `b` follows. @param times groups */
  rest(times = 1): void {
    for (let i = 0; i < times; i++) {
      this.a.begin(this.#rest("a", 2, true));
      this.b.begin(this.#rest("b", 1, false));
    }
  }

  #rest(name: string, broker: number, leads: boolean): Rest {
    return { broker: toBrokerId(broker), with: 9 as ReplicaId, leads, ended: () => void this.ended.push(name) };
  }

  pass(ms: number): void {
    for (const end = this.now + ms; ; ) {
      const next = Math.min(this.a.nextDeadline, this.b.nextDeadline);
      if (next > end) {
        this.now = end;
        return;
      }
      this.now = Math.max(this.now, next);
      if (this.a.nextDeadline <= this.now) this.a.tick();
      if (this.b.nextDeadline <= this.now) this.b.tick();
    }
  }
}

describe("Beats of a pair of brokers", () => {
  it("are one per heartbeat in each direction, however many groups rest, and end with the last of them", () => {
    const pair = new Pair();
    pair.rest(1_000);
    pair.pass(10_000);
    assert.deepEqual(pair.ended, []);
    assert.deepEqual(pair.sent, { a: 100, b: 100 });
    const idle = new Pair();
    idle.pass(10_000);
    assert.deepEqual(idle.sent, { a: 0, b: 0 });
  });

  it("that are not heard for as long as a follower waits end every rest, on both sides, whichever direction is cut", () => {
    for (const cut of ["a", "b"] as const) {
      const pair = new Pair();
      pair.rest(2);
      pair.pass(1_000);
      pair.cut[cut] = true;
      pair.pass(SILENT_MS - 2 * HEARTBEAT_MS);
      assert.deepEqual(pair.ended, [], cut);
      // One whose word is lost has its last answer one beat later.
      pair.pass(3 * HEARTBEAT_MS);
      assert.deepEqual(pair.ended.sort(), ["a", "a", "b", "b"], cut);
    }
  });

  it("count for a leader only as answers: what it hears of one that does not hear it is no contact", () => {
    const pair = new Pair();
    pair.rest();
    pair.pass(1_000);
    const cutAt = pair.now;
    pair.cut.a = true;
    pair.pass(300);
    const asLeader = { broker: toBrokerId(2), with: 9 as ReplicaId, leads: true, ended() {} };
    assert.ok(pair.a.contact(asLeader) <= cutAt + HEARTBEAT_MS);
    assert.ok(pair.a.contact({ ...asLeader, leads: false }) >= pair.now - HEARTBEAT_MS);
  });

  it("tell that the other side gave up, when that could not be said otherwise", () => {
    const pair = new Pair();
    pair.rest();
    pair.pass(1_000);
    pair.a.dropped(toBrokerId(2));
    assert.deepEqual(pair.ended, ["a"]);
    // Another group comes to rest: its beats bear the news of the first.
    pair.rest();
    pair.pass(HEARTBEAT_MS);
    assert.deepEqual(pair.ended.slice(1), ["b", "b"]);
  });

  it("and a lost connection end what rests on them at once", () => {
    const pair = new Pair();
    pair.rest(3);
    pair.pass(1_000);
    pair.a.lost(toBrokerId(2));
    assert.deepEqual(pair.ended, ["a", "a", "a"]);
    pair.a.lost(toBrokerId(5));
  });

  it("that a stopped process could not read are waited for a little longer", () => {
    const pair = new Pair();
    pair.rest();
    pair.pass(1_000);
    pair.now += 60_000;
    pair.a.tick();
    assert.deepEqual(pair.ended, []);
    // Nothing was to be read.
    pair.cut.b = true;
    for (let i = 0; i < 4; i++) {
      pair.now += HEARTBEAT_MS;
      pair.a.tick();
    }
    assert.deepEqual(
      pair.ended.filter((name) => name === "a"),
      ["a"],
    );
  });

  it("carry the durable block sequence; bytes that are no beat are refused by name", () => {
    const pair = new Pair();
    const beat = (...numbers: number[]): Uint8Array => {
      const body = new Uint8Array(8 * numbers.length);
      for (const [i, n] of numbers.entries()) new DataView(body.buffer).setFloat64(8 * i, n, true);
      return body;
    };
    assert.equal(pair.a.heard(toBrokerId(2), beat(1, 0, 1, 42)), 42);
    for (const bad of [
      beat(1, 0, 1),
      beat(1, 0, 1, 42, 0),
      beat(0.5, 0, 1, 42),
      beat(1, Number.NaN, 1, 42),
      beat(1, 0, 1, -1),
      new Uint8Array(0),
    ])
      assert.throws(() => pair.a.heard(toBrokerId(2), bad), BadPeerMessage);
  });
});
