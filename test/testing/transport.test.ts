import assert from "node:assert/strict";
import { it } from "node:test";
import type { Connection } from "../../src/base/ports/transport.ts";
import { SimNetwork } from "../../src/testing/sim/network/network.ts";
import { SimTransport } from "../../src/testing/sim/network/sim-transport.ts";
import { SimProcess } from "../../src/testing/sim/process.ts";
import { pump } from "../../src/testing/sim/pump.ts";
import { Scheduler } from "../../src/testing/sim/scheduler.ts";
import { Seen, transportContract } from "../transport/contract.ts";

let port = 7000;

transportContract("simulated", async () => {
  const scheduler = new Scheduler(11);
  const network = new SimNetwork(scheduler);
  let closed: () => void = () => {};
  // Virtual time runs for as long as the case does.
  const running = pump(
    scheduler,
    new Promise<void>((resolve) => (closed = resolve)).then(() => {}),
  );
  const keepGoing = () => void scheduler.after(1, "tick", keepGoing);
  keepGoing();
  return {
    transport: new SimTransport(network, new SimProcess(scheduler, "p"), "h1"),
    freeAddress: () => `h1:${++port}`,
    async close() {
      closed();
      await running;
    },
  };
});

/** Two processes with one connection, dialed by the first. */
async function connected(seed = 1) {
  const scheduler = new Scheduler(seed);
  const network = new SimNetwork(scheduler);
  const [a, b] = [new SimProcess(scheduler, "a"), new SimProcess(scheduler, "b")];
  const accepted: { connection: Connection; seen: Seen }[] = [];
  const listening = new SimTransport(network, b, "hb").listen("hb:1", (connection) =>
    accepted.push({ connection, seen: new Seen(connection) }),
  );
  await pump(scheduler, listening);
  const dialer = await pump(scheduler, new SimTransport(network, a, "ha").dial("hb:1", 1000));
  const seen = new Seen(dialer);
  const other = accepted[0];
  assert.ok(other !== undefined);
  return { scheduler, network, a, b, dialer, seen, other };
}

it("A cut link holds messages back and delivers them, in order, once it is healed", async () => {
  const { scheduler, network, dialer, other } = await connected();
  network.link("ha", "hb").cut();
  for (let kind = 0; kind < 5; kind++) {
    dialer.send(kind, [new Uint8Array(kind)]);
    await scheduler.run(scheduler.now + 10);
  }
  await scheduler.run(scheduler.now + 60_000);
  assert.equal(other.seen.messages.length, 0);
  // The other direction is not cut.
  other.connection.send(9, []);
  await scheduler.run(scheduler.now + 10);
  network.heal();
  await scheduler.run(scheduler.now + 1_000);
  assert.deepEqual(
    other.seen.messages.map(({ kind }) => kind),
    [0, 1, 2, 3, 4],
  );
});

it("The other side learns that a process died, but not over a cut link until it is healed", async () => {
  const { scheduler, network, a, other } = await connected();
  network.link("ha", "hb").cut();
  a.kill();
  await scheduler.run(scheduler.now + 60_000);
  assert.deepEqual(other.seen.closedReasons, []);
  network.heal();
  await scheduler.run(scheduler.now + 1_000);
  assert.equal(other.seen.closedReasons.length, 1);
});

it("Nothing is delivered to a dead process, and its own sends go nowhere", async () => {
  const { scheduler, a, dialer, seen, other } = await connected();
  other.connection.send(1, [new Uint8Array(3)]);
  a.kill();
  dialer.send(2, [new Uint8Array(3)]);
  await scheduler.run(scheduler.now + 1_000);
  assert.equal(seen.messages.length, 0);
  assert.equal(seen.closedReasons.length, 0);
  assert.equal(other.seen.messages.length, 0);
});

it("A power cut tells nobody; who sends afterwards learns it once the machine is up again", async () => {
  const { scheduler, network, a, other } = await connected();
  network.powerOff("ha");
  a.kill();
  other.connection.send(1, []);
  await scheduler.run(scheduler.now + 60_000);
  assert.deepEqual(other.seen.closedReasons, []);
  network.powerOn("ha");
  await scheduler.run(scheduler.now + 1_000);
  assert.deepEqual(other.seen.closedReasons, ["ECONNRESET"]);
});

it("Dialing is refused where nobody listens, and times out into a cut link or a machine without power", async () => {
  const { scheduler, network, a } = await connected();
  const transport = new SimTransport(network, a, "ha");
  await assert.rejects(pump(scheduler, transport.dial("hb:2", 1000)), { code: "ECONNREFUSED" });
  network.link("hb", "ha").cut();
  await assert.rejects(pump(scheduler, transport.dial("hb:1", 1000)), { code: "ETIMEDOUT" });
  network.heal();
  network.powerOff("hb");
  await assert.rejects(pump(scheduler, transport.dial("hb:1", 1000)), { code: "ETIMEDOUT" });
  network.powerOn("hb");
  await pump(scheduler, transport.dial("hb:1", 1000));
});

it("A link that breaks connections tells both sides, and what was under way is lost", async () => {
  const { scheduler, network, dialer, seen, other } = await connected();
  network.link("ha", "hb").breaksPerTenThousand = 10_000;
  dialer.send(1, []);
  await scheduler.run(scheduler.now + 1_000);
  assert.deepEqual(seen.closedReasons, ["ECONNRESET"]);
  assert.deepEqual(other.seen.closedReasons, ["ECONNRESET"]);
  assert.equal(other.seen.messages.length, 0);
});

it("What is sent to a paused process waits in its kernel, and what it sent before still leaves", async () => {
  const { scheduler, a, b, dialer, seen, other } = await connected();
  other.connection.send(1, [new Uint8Array([1])]);
  b.pause();
  dialer.send(2, [new Uint8Array([2])]);
  dialer.send(3, [new Uint8Array([3])]);
  await scheduler.run(scheduler.now + 1_000);
  assert.deepEqual(
    seen.messages.map(({ kind }) => kind),
    [1],
  );
  assert.equal(other.seen.messages.length, 0);
  b.resume();
  await scheduler.run(scheduler.now + 1);
  assert.deepEqual(
    other.seen.messages.map(({ kind }) => kind),
    [2, 3],
  );
  assert.ok(a.alive);
});

it("A lossy link loses no message and changes no order: what is lost comes later, and holds up what follows", async () => {
  const { scheduler, network, dialer, other } = await connected();
  network.link("ha", "hb").lossPercent = 60;
  const began = scheduler.now;
  for (let n = 1; n <= 20; n++) {
    dialer.send(n, [new Uint8Array([n])]);
    await scheduler.run(scheduler.now + 5);
  }
  assert.ok(other.seen.messages.length < 20);
  const last = network.lastArrival;
  await scheduler.run(last - 0.001);
  assert.ok(other.seen.messages.length < 20);
  await scheduler.run(last);
  assert.equal(other.seen.messages.length, 20);
  assert.equal(network.lastArrival, 0);
  await scheduler.run(began + 60_000);
  assert.deepEqual(
    other.seen.messages.map(({ kind }) => kind),
    Array.from({ length: 20 }, (_, i) => i + 1),
  );
});
