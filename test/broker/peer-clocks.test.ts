import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { BrokerId } from "../../src/base/ids.ts";
import { AgeClock } from "../../src/broker/age-clock.ts";
import { PeerClocks } from "../../src/broker/peer-clocks.ts";
import type { CallDone } from "../../src/broker/peers/peer-calls.ts";
import { SimClock } from "../../src/testing/sim/clock.ts";
import { SimProcess } from "../../src/testing/sim/process.ts";
import { Scheduler } from "../../src/testing/sim/scheduler.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** This broker among others whose wall clocks are so far off the true time, milliseconds; "silent" answers nothing. */
function among(...others: (number | "silent")[]) {
  const scheduler = new Scheduler(1);
  const process = new SimProcess(scheduler, "broker");
  const wall = { offsetMs: 0 };
  const clock = new SimClock(process, wall);
  const truth = new SimClock(process);
  const off = new Map(others.map((each, i) => [(i + 2) as BrokerId, each]));
  const gone = new Set<BrokerId>();
  const call = (to: BrokerId, _method: string, _body: readonly Uint8Array[], _timeoutMs: number, done: CallDone): (() => void) => {
    const there = off.get(to);
    if (there === undefined || there === "silent") return () => {};
    clock.after(20, () => {
      const body = new Uint8Array(8);
      new DataView(body.buffer).setFloat64(0, truth.wall() + there, true);
      clock.after(20, () => done({ body }));
    });
    return () => {};
  };
  const connected = (broker: BrokerId): boolean => !gone.has(broker);
  const peers = new PeerClocks({ clock, links: { connected, call }, others: () => off.keys() });
  const age = new AgeClock(clock, peers);
  for (const broker of off.keys()) peers.peerBack(broker);
  const pass = (ms: number) => scheduler.run(scheduler.now + ms);
  return { wall, off, gone, peers, age, pass };
}

describe("A broker's wall clock (FC1)", () => {
  it("is trusted among clocks that say about the same, whether or not all answer", async () => {
    for (const others of [[0, 0], [50_000, -50_000], [0, "silent"], [59_000], []] as const) {
      const { age, pass } = among(...others);
      await pass(100);
      assert.equal(age.look().trusted, true, String(others));
    }
  });

  it("is not trusted while it is more than a minute off the median, forward or back, however long, from its start on", async () => {
    for (const off of [61_000, -61_000, 30 * DAY_MS]) {
      const { wall, age, pass, peers } = among(0, 0);
      wall.offsetMs = off;
      await pass(3 * HOUR_MS);
      assert.deepEqual([age.look().trusted, age.look().clocks], [false, 3]);
      assert.ok(Math.abs((peers.aheadMs ?? 0) - off) < 1_000);
    }
  });

  it("is trusted when it is another one that is off, and not when both of two may be", async () => {
    const one = among(0, 30 * DAY_MS);
    await one.pass(100);
    assert.equal(one.age.look().trusted, true);
    const two = among(30 * DAY_MS);
    await two.pass(100);
    assert.equal(two.age.look().trusted, false);
    const four = among(0, 30 * DAY_MS, 30 * DAY_MS);
    await four.pass(100);
    assert.equal(four.age.look().trusted, false, "two say so and two say otherwise");
  });

  it("is seen to jump at once, not with the next answer of the others, and is trusted as soon as it agrees again", async () => {
    const { wall, age, pass, peers } = among(0, 0);
    await pass(100);
    wall.offsetMs = DAY_MS;
    assert.ok((peers.aheadMs ?? 0) > DAY_MS - 1_000);
    assert.equal(age.look().trusted, false);
    wall.offsetMs = 0;
    assert.equal(age.look().trusted, true);
  });

  it("is judged by what others said last while they are gone, for an hour", async () => {
    const { wall, gone, off, age, pass } = among(0, 0);
    wall.offsetMs = DAY_MS;
    await pass(100);
    assert.equal(age.look().trusted, false);
    for (const broker of off.keys()) gone.add(broker);
    await pass(HOUR_MS - 1_000);
    assert.deepEqual([age.look().trusted, age.look().clocks], [false, 3]);
    await pass(2_000);
    assert.deepEqual([age.look().trusted, age.look().clocks], [true, 1]);
  });

  it("is not trusted for an hour by a broker that has others and heard none since its start", async () => {
    const { age, pass } = among("silent", "silent");
    await pass(HOUR_MS - 1_000);
    assert.equal(age.look().trusted, false);
    await pass(2_000);
    assert.equal(age.look().trusted, true);
  });

  it("is compared with those that still belong to the cluster", async () => {
    const { age, off, pass, peers } = among(30 * DAY_MS, 30 * DAY_MS);
    await pass(100);
    assert.equal(age.look().trusted, false);
    off.clear();
    assert.deepEqual([peers.expected, peers.count, age.look().trusted], [false, 1, true]);
  });
});
