import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { toLogIndex } from "../../../src/base/ids.ts";
import { type Indexed, IndexFifo } from "../../../src/broker/partition/index-fifo.ts";

interface Item extends Indexed {
  readonly id: number;
}

describe("IndexFifo", () => {
  it("keeps items in order of index, then of arrival, against a sorted list", () => {
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.record({ do: fc.constant("add" as const), index: fc.nat(30) }) },
      { weight: 2, arbitrary: fc.record({ do: fc.constant("take" as const), index: fc.nat(30) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant("cut" as const), index: fc.nat(40) }) },
      { weight: 4, arbitrary: fc.record({ do: fc.constant("remove" as const), index: fc.nat(60) }) },
    );
    fc.assert(
      fc.property(fc.array(step, { minLength: 10, maxLength: 200, size: "max" }), (steps) => {
        const fifo = new IndexFifo<Item>();
        let naive: Item[] = [];
        for (const [id, each] of steps.entries()) {
          if (each.do === "add") {
            const item = { id, index: toLogIndex(each.index), gone: false };
            fifo.add(item);
            naive.push(item);
            naive = naive
              .map((it, at) => ({ it, at }))
              .sort((a, b) => a.it.index - b.it.index || a.at - b.at)
              .map(({ it }) => it);
          } else if (each.do === "take") {
            const expected = naive[0] !== undefined && naive[0].index <= each.index ? naive.shift() : undefined;
            assert.equal(fifo.takeUpTo(toLogIndex(each.index)), expected);
          } else if (each.do === "cut") {
            const last = naive.at(-1);
            const expected = last !== undefined && last.index >= each.index ? naive.pop() : undefined;
            assert.equal(fifo.takeFrom(toLogIndex(each.index)), expected);
          } else {
            const item = naive[each.index % Math.max(1, naive.length)];
            if (item === undefined) continue;
            fifo.remove(item);
            naive = naive.filter((other) => other !== item);
          }
          assert.equal(fifo.size, naive.length);
          assert.equal(fifo.first, naive[0]);
        }
      }),
      { numRuns: 200 },
    );
  });
});
