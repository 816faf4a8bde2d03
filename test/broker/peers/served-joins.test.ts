import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MillraceError } from "../../../src/base/errors.ts";
import { toBrokerId } from "../../../src/base/ids.ts";
import { ServedJoins } from "../../../src/broker/peers/join-call.ts";
import { type IncomingCall, PeerCalls } from "../../../src/broker/peers/peer-calls.ts";
import { World } from "../../../src/testing/sim/world.ts";

/** Broker a has dialed broker b. */
async function dialed() {
  const world = new World(1);
  const [a, b] = [world.machine("a"), world.machine("b")];
  const { clock, transport } = b.boot();
  const dialer = a.boot();
  const joins = new ServedJoins(clock);
  const incoming: IncomingCall[] = [];
  void transport.listen("b:1", (connection) =>
    joins.serve(
      { connection, broker: toBrokerId(1) },
      (call) => incoming.push(call),
      (take) => assert.ok(take()),
    ),
  );
  const pass = async (ms: number): Promise<void> => void (await world.scheduler.run(world.now + ms));
  await pass(10);
  const connection = await Promise.all([dialer.transport.dial("b:1", 1_000), pass(10)]).then(([made]) => made);
  const calls = new PeerCalls(connection, dialer.clock, toBrokerId(2), (call) => call.fail(new MillraceError("NOT_IMPLEMENTED", "")));
  connection.handlers = { message: (kind, body) => void calls.message(kind, body), drain() {}, closed: () => calls.closed() };
  return { a, pass, calls, incoming, joins, open: () => world.network.connections("b", "a") };
}

describe("the side that serves join connections", () => {
  it("closes one whose dialer lost power before it said goodbye, when its call must be over", async () => {
    const { a, pass, calls, incoming, open } = await dialed();
    calls.call("who", [], 1_000, () => {});
    await pass(10);
    incoming[0]?.reply([]);
    a.powerCut();
    await pass(500);
    assert.deepEqual([incoming.length, open()], [1, 1]);
    await pass(5_000);
    assert.equal(open(), 0);
  });

  it("closes one on which nothing is asked", async () => {
    const { pass, open } = await dialed();
    await pass(1_000);
    assert.equal(open(), 1);
    await pass(2_000);
    assert.equal(open(), 0);
  });

  it("keeps one for as long as its call may take", async () => {
    const { pass, calls, incoming, open } = await dialed();
    const outcomes: string[] = [];
    calls.call("who", [], 8_000, (outcome) => void outcomes.push("body" in outcome ? "answered" : outcome.error.code));
    await pass(7_500);
    assert.equal(open(), 1);
    incoming[0]?.reply([]);
    await pass(100);
    assert.deepEqual(outcomes, ["answered"]);
  });

  it("closes them all with the broker", async () => {
    const { pass, joins, open } = await dialed();
    joins.close();
    await pass(10);
    assert.equal(open(), 0);
  });
});
