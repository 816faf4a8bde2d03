import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MillraceError } from "../../../src/base/errors.ts";
import { limits } from "../../../src/base/limits.ts";
import { TimeSearches } from "../../../src/broker/partition/time-searches.ts";

/** Searches that end when they are told to, in the order they began. */
function searches(max: number) {
  const places = new TimeSearches(max);
  const begun: { readonly name: number; readonly stopped: () => boolean; end(): void }[] = [];
  const begin = (name: number): (() => void) | MillraceError =>
    places.run((stopped) => new Promise((resolve) => begun.push({ name, stopped, end: resolve })));
  return {
    places,
    begun,
    begin,
    /** Begins or waits. */
    add(name: number): () => void {
      const giveUp = begin(name);
      if (giveUp instanceof MillraceError) return assert.fail(giveUp);
      return giveUp;
    },
    async end(at: number): Promise<void> {
      begun[at]?.end();
      await new Promise((resolve) => setImmediate(resolve));
    },
    get names(): readonly number[] {
      return begun.map(({ name }) => name);
    },
  };
}

describe("TimeSearches", () => {
  it("runs as many as it may, and the others in the order they came", async () => {
    const it = searches(2);
    for (const name of [1, 2, 3, 4, 5]) it.add(name);
    assert.deepEqual([it.names, it.places.running, it.places.waiting], [[1, 2], 2, 3]);
    await it.end(1);
    assert.deepEqual(it.names, [1, 2, 3]);
    await it.end(0);
    await it.end(2);
    assert.deepEqual([it.names, it.places.running, it.places.waiting], [[1, 2, 3, 4, 5], 2, 0]);
    await it.end(3);
    await it.end(4);
    assert.equal(it.places.running, 0);
  });

  it("forgets one that is given up while it waits, and keeps the place of a running one until it has ended", async () => {
    const it = searches(1);
    const [first, second] = [it.add(1), it.add(2)];
    it.add(3);
    second();
    first();
    assert.deepEqual([it.begun[0]?.stopped(), it.names, it.places.waiting], [true, [1], 1]);
    await it.end(0);
    assert.deepEqual([it.names, it.begun[1]?.stopped()], [[1, 3], false]);
    first();
    second();
    assert.deepEqual([it.places.running, it.begun[1]?.stopped()], [1, false]);
  });

  it("refuses more than may wait (time.searches.waiting), by name and with when to ask again, and takes one when one was given up", () => {
    const it = searches(1);
    const last = Array.from({ length: 1 + limits["time.searches.waiting"].value }, (_, n) => it.add(n)).at(-1);
    const refused = it.begin(-1);
    assert.ok(refused instanceof MillraceError);
    assert.deepEqual([refused.code, refused.metadata["limit"]], ["TOO_MANY_REQUESTS", "time.searches.waiting"]);
    assert.ok(refused.retryAfterMs !== undefined);
    last?.();
    it.add(-1);
  });
});
