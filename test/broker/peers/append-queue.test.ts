import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type GroupId, toGroupId } from "../../../src/base/ids.ts";
import { UNSENT_BYTES_HIGH } from "../../../src/base/ports/transport.ts";
import { AppendQueue, LOG_WAITING_MAX } from "../../../src/broker/peers/append-queue.ts";

const KIND = 2;

/** Takes everything and sends nothing until told. */
class Pipe {
  unsentBytes = 0;
  readonly sent: Uint8Array[] = [];

  send(kind: number, chunks: readonly Uint8Array[]): void {
    assert.equal(kind, KIND);
    for (const chunk of chunks) {
      this.sent.push(chunk);
      this.unsentBytes += chunk.length;
    }
  }

  /** Groups in the order they left, by the first byte of each append. */
  get order(): number[] {
    return this.sent.map((chunk) => chunk[0] as number);
  }
}

const group = (n: number): GroupId => toGroupId(n);
const append = (mark: number, bytes: number): Uint8Array[] => [new Uint8Array(bytes).fill(mark)];

describe("AppendQueue", () => {
  it("sends at once while no more than the high mark is unsent, then holds", () => {
    const pipe = new Pipe();
    const queue = new AppendQueue(pipe, KIND);
    queue.send(group(1), append(1, UNSENT_BYTES_HIGH));
    queue.send(group(1), append(2, 1));
    queue.send(group(1), append(3, 10));
    assert.deepEqual(pipe.order, [1, 2]);
    assert.equal(queue.waitingBytes, 10);
    pipe.unsentBytes = 0;
    queue.drained();
    assert.deepEqual(pipe.order, [1, 2, 3]);
    assert.equal(queue.waitingBytes, 0);
  });

  it("lets groups take turns, so that one with much to send does not keep the others waiting", () => {
    const pipe = new Pipe();
    const queue = new AppendQueue(pipe, KIND);
    queue.send(group(9), append(9, UNSENT_BYTES_HIGH + 1));
    for (let n = 0; n < 4; n++) queue.send(group(1), append(1, 100_000));
    queue.send(group(2), append(2, 10));
    queue.send(group(3), append(3, 10));
    queue.send(group(2), append(2, 10));
    pipe.unsentBytes = 0;
    queue.drained();
    assert.deepEqual(pipe.order, [9, 1, 2, 3, 1, 2, 1, 1]);
  });

  it("goes on with the group whose turn it is after the connection was full", () => {
    const pipe = new Pipe();
    const queue = new AppendQueue(pipe, KIND);
    queue.send(group(9), append(9, UNSENT_BYTES_HIGH + 1));
    for (const n of [1, 2, 3, 1, 2]) queue.send(group(n), append(n, UNSENT_BYTES_HIGH + 1));
    while (queue.waitingBytes > 0) {
      pipe.unsentBytes = 0;
      queue.drained();
    }
    assert.deepEqual(pipe.order, [9, 1, 2, 3, 1, 2]);
  });

  it("does not let a new append overtake one that waits, of whatever group", () => {
    const pipe = new Pipe();
    const queue = new AppendQueue(pipe, KIND);
    queue.send(group(1), append(1, UNSENT_BYTES_HIGH + 1));
    queue.send(group(1), append(2, 10));
    pipe.unsentBytes = 0;
    queue.send(group(1), append(3, 10));
    assert.deepEqual(pipe.order, [1]);
    queue.drained();
    assert.deepEqual(pipe.order, [1, 2, 3]);
  });

  it("refuses what would pass its bound, and takes more once there is room", () => {
    const pipe = new Pipe();
    const queue = new AppendQueue(pipe, KIND);
    queue.send(group(1), append(1, UNSENT_BYTES_HIGH + 1));
    assert.equal(queue.send(group(1), append(2, LOG_WAITING_MAX)), true);
    assert.equal(queue.send(group(2), append(3, 1)), false);
    pipe.unsentBytes = 0;
    queue.drained();
    assert.equal(queue.send(group(2), append(4, 1)), true);
    assert.deepEqual(pipe.order, [1, 2]);
  });

  it("keeps the order within each group, loses and doubles nothing, whatever comes when", () => {
    const step = fc.record({ group: fc.integer({ min: 1, max: 4 }), bytes: fc.integer({ min: 1, max: 700_000 }), drains: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const pipe = new Pipe();
        const queue = new AppendQueue(pipe, KIND);
        const said = new Map<number, number[]>();
        const taken = steps.map((one, n) => {
          const chunk = new Uint8Array(one.bytes + 2);
          chunk[0] = one.group;
          chunk[1] = n;
          if (queue.send(group(one.group), [chunk])) said.set(one.group, [...(said.get(one.group) ?? []), n]);
          if (one.drains) {
            pipe.unsentBytes = 0;
            queue.drained();
          }
          return chunk;
        });
        while (queue.waitingBytes > 0) {
          pipe.unsentBytes = 0;
          queue.drained();
        }
        assert.ok(pipe.sent.length <= taken.length);
        for (const [of, numbers] of said) {
          const left = pipe.sent.filter((chunk) => chunk[0] === of).map((chunk) => chunk[1]);
          assert.deepEqual(left, numbers);
        }
      }),
    );
  });
});
