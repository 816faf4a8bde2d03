import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { RpcClient } from "../../src/base/ports/rpc-client.ts";
import { AVOID_KNOWN_MAX_MS, AVOID_UNKNOWN_MAX_MS, Brokers } from "../../src/client/brokers.ts";
import { World } from "./fake/world.ts";

const BOOTSTRAP = "entry:1";
const ADVERTISED = ["inside-1:1", "inside-2:1", "inside-3:1"];

/** A client behind a port-forward: it reaches one address, and metadata names three others. */
function setup() {
  const world = new World(11);
  const rpc: RpcClient = { channel: () => assert.fail("nothing is called here") };
  const brokers = new Brokers([BOOTSTRAP], rpc, world, world.random);
  brokers.learn(ADVERTISED);
  /** How long an address is avoided after it failed now. */
  const avoided = (address: string): number => {
    brokers.failed(address);
    const from = world.now;
    while (brokers.isAvoided(address)) world.now += 100;
    return world.now - from;
  };
  return { world, brokers, avoided };
}

describe("The addresses a client knows", () => {
  it("are avoided longer each time they fail without ever having answered, up to a minute", () => {
    const { avoided } = setup();
    const waits = Array.from({ length: 10 }, () => avoided("inside-1:1"));
    assert.ok((waits[0] ?? 0) <= 1_100, `${waits}`);
    assert.ok(
      waits.slice(7).every((ms) => ms >= AVOID_UNKNOWN_MAX_MS / 2 && ms <= AVOID_UNKNOWN_MAX_MS + 100),
      `${waits}`,
    );
  });

  it("are tried again soon when they answered once: such a broker may be starting again", () => {
    const { brokers, avoided } = setup();
    brokers.answered("inside-1:1");
    const waits = Array.from({ length: 10 }, () => avoided("inside-1:1"));
    assert.ok(Math.max(...waits) <= AVOID_KNOWN_MAX_MS + 100, `${waits}`);
    brokers.answered("inside-1:1");
    assert.ok(avoided("inside-1:1") <= 1_100, "an answer begins the count anew");
  });

  it("count calls that fail together as one failure", () => {
    const { world, brokers } = setup();
    for (let n = 0; n < 20; n++) brokers.failed("inside-1:1");
    world.now += 1_000;
    assert.equal(brokers.isAvoided("inside-1:1"), false);
  });

  it("are picked where one answers, not where they failed and never did; those come when there is no other", () => {
    const { world, brokers } = setup();
    brokers.answered(BOOTSTRAP);
    for (const address of ADVERTISED) brokers.failed(address);
    world.now += 2_000;
    for (let n = 0; n < 8; n++) assert.equal(brokers.pick(), BOOTSTRAP);
    const others = new Set(Array.from({ length: 9 }, () => brokers.pick(BOOTSTRAP)));
    assert.deepEqual([...others].sort(), ADVERTISED);
  });

  it("are worth leaving a broker for that answers only if they were never tried, or answered themselves", () => {
    const { world, brokers } = setup();
    assert.equal(brokers.isWorthMoving("inside-1:1"), true);
    brokers.failed("inside-1:1");
    world.now += 120_000;
    assert.deepEqual([brokers.isAvoided("inside-1:1"), brokers.isWorthMoving("inside-1:1")], [false, false]);
    brokers.answered("inside-2:1");
    brokers.failed("inside-2:1");
    assert.equal(brokers.isWorthMoving("inside-2:1"), false);
    world.now += 1_000;
    assert.equal(brokers.isWorthMoving("inside-2:1"), true);
  });
});
