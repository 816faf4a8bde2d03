import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Incarnation, toBrokerId } from "../../../src/base/ids.ts";
import { DiskMemories } from "../../../src/broker/peers/disk-memory.ts";

const broker = toBrokerId(3);
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
});
