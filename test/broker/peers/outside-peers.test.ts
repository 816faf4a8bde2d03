import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type BrokerId, type ClusterId, type Incarnation, toBrokerId } from "../../../src/base/ids.ts";
import type { Telemetry } from "../../../src/base/ports/telemetry.ts";
import type { Connection } from "../../../src/base/ports/transport.ts";
import { PEER_PROTOCOL } from "../../../src/broker/peers/hello.ts";
import { PeerLinks } from "../../../src/broker/peers/peer-links.ts";
import type { FeatureLevels } from "../../../src/cluster/feature-levels.ts";
import { Hello } from "../../../src/protocol/internal.ts";
import { World } from "../../../src/testing/sim/world.ts";

const HELLO = 0;
const clusterId = "00000000-0000-4000-8000-000000000000" as ClusterId;
const ONE = toBrokerId(1);

interface Seen {
  readonly kind: string;
  /** Message kinds that came after the hello. */
  readonly messages: number[];
  open: boolean;
}

/** Broker 2, whose cluster is at level 3, dials broker 1, which answers every hello, as those did that knew of no level of a cluster. */
async function meeting() {
  const world = new World(1);
  const one = world.machine("b1").boot();
  const seen: Seen[] = [];
  let levels: FeatureLevels = { min: 0, max: 2 };
  const accept = (connection: Connection): void => {
    let mine: Seen | undefined;
    connection.handlers = {
      message(kind, body) {
        if (mine !== undefined) return void mine.messages.push(kind);
        assert.equal(kind, HELLO);
        const hello = Hello.decode(body);
        mine = { kind: hello.kind, messages: [], open: true };
        seen.push(mine);
        const answer = { ...hello, fromBroker: 1, toBroker: 2, incarnation: "disk 1", startNumber: 1, clusterLevel: 0, remembered: [] };
        const { min, max } = levels;
        connection.send(HELLO, [Hello.encode({ ...answer, protocol: PEER_PROTOCOL, featureLevel: max, featureLevelMin: min })]);
      },
      drain() {},
      closed() {
        if (mine !== undefined) mine.open = false;
      },
    };
  };
  void one.transport.listen("b1:7401", accept);
  const { clock, random, transport } = world.machine("b2").boot();
  const events: (readonly [string, Readonly<Record<string, unknown>>])[] = [];
  const telemetry: Telemetry = { log: (_, event, fields) => void events.push([event, fields ?? {}]), count() {}, observe() {} };
  const told: string[] = [];
  const identity = () => ({
    brokerId: toBrokerId(2),
    clusterId,
    recoveryEpoch: 0,
    incarnation: "disk 2" as Incarnation,
    startNumber: 2,
    durableBlockSequence: 0,
    admittedBlockSequence: 0,
    recoveries: 0,
    levels: { min: 1, max: 3 },
    clusterLevel: 3,
  });
  const links = new PeerLinks({ clock, random, transport, telemetry }, identity, 150, Number.MAX_SAFE_INTEGER, {
    raft() {},
    call() {},
    beat: () => undefined,
    unheard() {},
    peerBack: (broker: BrokerId) => void told.push(`${broker} is back`),
    peerGone: (broker: BrokerId) => void told.push(`${broker} is gone`),
    callable() {},
    remembers() {},
    outdated() {},
    recoveries() {},
    liveDisk: () => undefined,
    taken() {},
    unsupported: () => assert.fail("this side understands the level"),
  });
  links.know(ONE, "b1:7401");
  return {
    ...{ world, links, seen, events, told },
    pass: (ms: number) => world.scheduler.run(world.now + ms),
    become: (now: FeatureLevels) => {
      levels = now;
    },
  };
}

const of = (seen: readonly Seen[], kind: string): readonly Seen[] => seen.filter((each) => each.kind === kind);

// case 72
describe("A broker of before that the level of the cluster leaves outside, and which takes every caller for a peer (ADR 0020)", () => {
  it("sees the connections it counts on once, then one that asks whether it is another version by now; its refusal is told once", async () => {
    const { links, seen, events, told, pass } = await meeting();
    await pass(120_000);
    for (const kind of ["control", "log"]) assert.ok(of(seen, kind).length <= 1, `${of(seen, kind).length} of ${kind}`);
    const asked = of(seen, "bulk").length;
    assert.ok(asked >= 10 && asked <= 130, `${asked} in two minutes`);
    assert.ok(
      seen.every(({ open, messages }) => !open && messages.length === 0),
      "nothing is said to it that it would not understand",
    );
    assert.deepEqual([links.connected(ONE), links.callable(ONE), told], [false, false, []]);
    const refusals = events.filter(([event]) => event === "peer.level_unsupported");
    assert.equal(refusals.length, 1, JSON.stringify(events));
    assert.deepEqual([refusals[0]?.[1]["broker"], refusals[0]?.[1]["address"]], [ONE, "b1:7401"]);
    assert.match(String(refusals[0]?.[1]["reason"]), /Cannot run broker 1: it understands feature levels 1 to 2, the cluster is at 3/);
    assert.ok(!events.some(([event]) => event === "peer.unreachable"), "it is reached");
    await links.close();
  });

  it("is connected in full within seconds once it runs a version that understands the level", async () => {
    const { links, seen, events, told, pass, become } = await meeting();
    await pass(60_000);
    become({ min: 1, max: 3 });
    await pass(5_000);
    assert.deepEqual([links.connected(ONE), links.callable(ONE), told], [true, true, ["1 is back"]]);
    assert.deepEqual(
      seen
        .filter(({ open }) => open)
        .map(({ kind }) => kind)
        .sort(),
      ["bulk", "control", "log"],
    );
    await links.close();
    assert.equal(events.filter(([event]) => event === "peer.level_unsupported").length, 1);
  });
});
