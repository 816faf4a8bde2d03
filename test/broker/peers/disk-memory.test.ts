import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type ClusterId, type Incarnation, toBrokerId } from "../../../src/base/ids.ts";
import type { Connection, ConnectionHandlers } from "../../../src/base/ports/transport.ts";
import { DiskMemories } from "../../../src/broker/peers/disk-memory.ts";
import { type Greeted, PEER_PROTOCOL, type PeerIdentity, shakeHands } from "../../../src/broker/peers/hello.ts";
import { sequenceIn } from "../../../src/broker/peers/probes.ts";
import { supportedLevels } from "../../../src/cluster/feature-levels.ts";
import { BLOCK_SEQUENCE_MAX } from "../../../src/log/model/block-sequence.ts";
import { Hello } from "../../../src/protocol/internal.ts";
import { World } from "../../../src/testing/sim/world.ts";

const broker = toBrokerId(3);
/** Any safe integer could be told. */
const IMPOSSIBLE = 2 ** 53 - 1;
const self: PeerIdentity = {
  brokerId: toBrokerId(1),
  clusterId: "00000000-0000-4000-8000-000000000000" as ClusterId,
  recoveryEpoch: 0,
  incarnation: "11111111-0000-4000-8000-000000000000" as Incarnation,
  startNumber: 1,
  durableBlockSequence: 5,
  admittedBlockSequence: 0,
  levels: supportedLevels,
  clusterLevel: 0,
  recoveries: 0,
};
const disk = (n: number): Incarnation => `disk ${n}` as Incarnation;

describe("What is remembered of the disks of other brokers", () => {
  it("is the greatest block sequence of each, whatever is heard later", () => {
    const memories = new DiskMemories();
    memories.heard(broker, { incarnation: disk(1), blockSequence: 7 });
    memories.heard(broker, { incarnation: disk(1), blockSequence: 5 });
    memories.heard(broker, { incarnation: disk(2), blockSequence: 2 });
    assert.deepEqual(memories.of(broker), [
      { incarnation: disk(1), blockSequence: 7 },
      { incarnation: disk(2), blockSequence: 2 },
    ]);
    assert.deepEqual(memories.of(toBrokerId(1)), []);
  });

  it("starts anew where the disk admits what it lost, and not where it lost more since", () => {
    const memories = new DiskMemories();
    memories.heard(broker, { incarnation: disk(1), blockSequence: 9 });
    memories.heard(broker, { incarnation: disk(1), blockSequence: 4 }, 8);
    assert.equal(memories.of(broker)[0]?.blockSequence, 9);
    memories.heard(broker, { incarnation: disk(1), blockSequence: 4 }, 9);
    assert.equal(memories.of(broker)[0]?.blockSequence, 4);
    memories.heard(broker, { incarnation: disk(1), blockSequence: 12 }, 9);
    memories.heard(broker, { incarnation: disk(1), blockSequence: 10 }, 9);
    assert.equal(memories.of(broker)[0]?.blockSequence, 12);
  });

  it("is bounded: the disk heard of longest ago is forgotten first", () => {
    const memories = new DiskMemories();
    for (let n = 1; n <= 8; n++) memories.heard(broker, { incarnation: disk(n), blockSequence: n });
    memories.heard(broker, { incarnation: disk(1), blockSequence: 1 });
    memories.heard(broker, { incarnation: disk(9), blockSequence: 9 });
    const left = memories.of(broker).map(({ incarnation }) => incarnation);
    assert.equal(left.length, 8);
    assert.ok(left.includes(disk(1)) && !left.includes(disk(2)));
  });

  it("is bounded in brokers: the one heard of longest ago is forgotten first", () => {
    const memories = new DiskMemories();
    for (let n = 1; n <= 1_024; n++) memories.heard(toBrokerId(n), { incarnation: disk(n), blockSequence: n });
    memories.heard(toBrokerId(1), { incarnation: disk(1), blockSequence: 2 });
    memories.heard(toBrokerId(1_025), { incarnation: disk(0), blockSequence: 9 });
    assert.deepEqual(
      [1, 2, 3, 1_025].map((n) => memories.of(toBrokerId(n)).length),
      [1, 0, 1, 1],
    );
  });

  it("is nothing that no disk can have got to, and nothing is forgotten for an admission of that kind", () => {
    const memories = new DiskMemories();
    memories.heard(broker, { incarnation: disk(1), blockSequence: 9 });
    memories.heard(broker, { incarnation: disk(1), blockSequence: IMPOSSIBLE });
    assert.deepEqual(memories.of(broker), [{ incarnation: disk(1), blockSequence: 9 }]);
    memories.heard(broker, { incarnation: disk(1), blockSequence: 4 }, IMPOSSIBLE);
    assert.equal(memories.of(broker)[0]?.blockSequence, 9);
    memories.heard(broker, { incarnation: disk(1), blockSequence: BLOCK_SEQUENCE_MAX });
    assert.equal(memories.of(broker)[0]?.blockSequence, BLOCK_SEQUENCE_MAX);
  });

  it("is taken from a probe and from a hello only if it can be true: a made-up number would make a disk deaf for ever", () => {
    const probe = (sequence: number): Uint8Array => new Uint8Array(new Float64Array([sequence]).buffer);
    assert.deepEqual(
      [BLOCK_SEQUENCE_MAX, IMPOSSIBLE, -1, 0.5].map((told) => sequenceIn(probe(told))),
      [BLOCK_SEQUENCE_MAX, undefined, undefined, undefined],
    );
    assert.deepEqual([BLOCK_SEQUENCE_MAX, IMPOSSIBLE].map(toldInHello), [BLOCK_SEQUENCE_MAX, 0]);
  });
});

/** What a broker that is greeted believes of its own disk. */
function toldInHello(blockSequence: number): number {
  const handlers: ConnectionHandlers = { message() {}, drain() {}, closed() {} };
  const connection: Connection = { remote: "b3", send() {}, unsentBytes: 0, pause() {}, resume() {}, close() {}, handlers };
  const { clock } = new World(1).machine("b1").boot();
  let remembers = -1;
  const greeted = (peer: Greeted): void => {
    remembers = peer.remembers;
  };
  shakeHands(
    connection,
    clock,
    () => self,
    undefined,
    greeted,
    (reason) => assert.fail(reason),
  );
  const { brokerId: _, levels: __, ...same } = self;
  const remembered = [{ incarnation: self.incarnation, blockSequence }];
  const hello = {
    ...same,
    protocol: PEER_PROTOCOL,
    featureLevel: supportedLevels.max,
    fromBroker: 3,
    toBroker: 1,
    kind: "control",
    remembered,
  };
  connection.handlers.message(0, Hello.encode(hello));
  return remembers;
}
