import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Life, Pins, Ring } from "../../src/log/model/ring.ts";

/** A ring of four made files whose first life has a complete checkpoint. */
function ring(): { ring: Ring; first: Life } {
  const made = new Ring(4, 4, [0, 1, 2, 3], []);
  const first = made.begin(1);
  first.checkpointed = true;
  return { ring: made, first };
}

describe("the ring of write-ahead log files", () => {
  it("makes one file ahead of those that are kept free, one at a time, until it has all", () => {
    const fresh = new Ring(4, 0, [], []);
    for (let file = 0; file < 3; file += 1) {
      assert.equal(fresh.toMake(), file);
      assert.equal(fresh.toMake(), undefined);
      fresh.makeDone();
    }
    assert.equal(fresh.toMake(), undefined);
    fresh.begin(1);
    assert.equal(fresh.toMake(), 3);
    fresh.makeDone();
    for (const head of [5, 9, 13]) fresh.begin(head);
    assert.equal(fresh.toMake(), undefined);
    assert.throws(() => fresh.begin(17), /only when it is free/);
  });

  it("keeps its last two files from records, the last one from votes", () => {
    const { ring: made } = ring();
    const may = (): string[] =>
      (["data", "vote", "freeing"] as const).flatMap((need) => [
        ...(made.mayWrite(need) ? [`${need} goes on`] : []),
        ...(made.mayBegin(need) ? [`${need} begins`] : []),
      ]);
    assert.deepEqual(may(), ["data goes on", "data begins", "vote goes on", "vote begins", "freeing goes on", "freeing begins"]);
    made.begin(10);
    assert.deepEqual(may(), ["data goes on", "vote goes on", "vote begins", "freeing goes on", "freeing begins"]);
    made.begin(20);
    assert.deepEqual(may(), ["vote goes on", "freeing goes on", "freeing begins"]);
    made.begin(30);
    assert.deepEqual(may(), ["freeing goes on"]);
  });

  it("lets votes go on in the only file there is, while there is no room for another", () => {
    const young = new Ring(8, 1, [0], []);
    young.begin(1);
    assert.equal(young.toMake(), 1);
    young.makeFailed();
    assert.deepEqual(
      (["data", "vote", "freeing"] as const).map((need) => young.mayWrite(need)),
      [false, true, true],
    );
  });

  it("does not count on a file for which there was no room, and asks for it again", () => {
    const small = new Ring(8, 3, [0, 1, 2], []);
    small.begin(1);
    assert.ok(small.mayWrite("data"));
    assert.equal(small.toMake(), 3);
    small.makeFailed();
    assert.ok(small.mayWrite("data"));
    small.begin(10);
    assert.ok(!small.mayWrite("data"), "of five more files that could be made one was tried in vain");
    assert.ok(small.mayWrite("vote"));
    assert.equal(small.toMake(), 3);
    small.makeDone();
    assert.ok(small.mayWrite("data"));
  });

  it("keeps a file that holds a frame in no synced segment", () => {
    const { ring: made, first } = ring();
    const pins = new Pins();
    pins.add(first, 1);
    const second = made.begin(10);
    second.checkpointed = true;
    assert.equal(made.lowMark(), 1);
    made.durable(made.lowMark());
    assert.equal(made.dirty, 2);
    pins.synced(1);
    assert.equal(made.lowMark(), 10);
    made.durable(10);
    assert.deepEqual([made.dirty, made.ready], [1, 3]);
  });

  it("frees a file only when a durable block says so", () => {
    const { ring: made, first } = ring();
    const pins = new Pins();
    pins.add(first, 1);
    made.begin(10).checkpointed = true;
    const before = made.lowMark();
    pins.synced(1);
    // The block that was in flight when the frame became synced still names the first file.
    made.durable(before);
    assert.equal(made.dirty, 2);
    assert.ok(made.markFrees);
    made.durable(made.lowMark());
    assert.equal(made.dirty, 1);
    assert.ok(!made.markFrees);
  });

  it("needs the older file until the checkpoint of the newer one is complete", () => {
    const { ring: made } = ring();
    const second = made.begin(10);
    assert.equal(made.lowMark(), 1);
    made.durable(made.lowMark());
    assert.equal(made.dirty, 2);
    second.checkpointed = true;
    assert.equal(made.lowMark(), 10);
  });

  it("does not hand out a file that is being read", () => {
    const { ring: made, first } = ring();
    made.begin(10).checkpointed = true;
    first.reads = 1;
    made.durable(made.lowMark());
    assert.equal(made.dirty, 2);
    first.reads = 0;
    made.settle();
    assert.equal(made.dirty, 1);
  });

  it("gets a file more than it was to have when votes may begin none, and all there are were made", () => {
    const full = new Ring(4, 4, [3], [new Life(0, 1), new Life(1, 5), new Life(2, 9)]);
    assert.ok(!full.mayBegin("vote"));
    assert.equal(full.toMake(), undefined);
    assert.ok(full.grow());
    assert.ok(!full.grow(), "one at a time");
    assert.equal(full.toMake(), 4);
    full.makeDone();
    assert.ok(full.mayBegin("vote"));
    assert.ok(!full.grow(), "it has one");
  });

  it("never says less than before", () => {
    const { ring: made } = ring();
    made.begin(10).checkpointed = true;
    made.durable(10);
    assert.throws(() => made.durable(1), /fell/);
  });
});

describe("pins", () => {
  it("of what was appended again in part last until a mark covers the rest, whichever comes first", () => {
    for (const markFirst of [true, false]) {
      const [pins, old, current] = [new Pins(), new Life(0, 1), new Life(1, 9)];
      for (const index of [1, 2, 3, 4]) pins.add(old, index);
      for (const index of [3, 4]) pins.add(current, index);
      const steps = [() => pins.synced(2), () => pins.moved(old, 2)];
      for (const [i, step] of (markFirst ? steps : steps.toReversed()).entries()) {
        step();
        assert.deepEqual([old.pins, current.pins], [1 - i, 1]);
      }
    }
  });

  it("hold exactly the lives with frames above the synced index, whatever is appended, synced, truncated or moved", () => {
    const steps = fc.array(
      fc.oneof(
        fc.record({ kind: fc.constant("append" as const), count: fc.integer({ min: 1, max: 5 }) }),
        fc.record({ kind: fc.constant("life" as const), count: fc.constant(1) }),
        fc.record({ kind: fc.constant("synced" as const), count: fc.integer({ min: 0, max: 8 }) }),
        fc.record({ kind: fc.constant("truncate" as const), count: fc.integer({ min: 1, max: 4 }) }),
        fc.record({ kind: fc.constant("again" as const), count: fc.constant(1) }),
        fc.record({ kind: fc.constant("begin" as const), count: fc.integer({ min: 1, max: 8 }) }),
      ),
      { maxLength: 60 },
    );
    fc.assert(
      fc.property(steps, (all) => {
        const pins = new Pins();
        const lives = [new Life(0, 1)];
        /** Life of each frame by index, from `synced + 1` on. */
        const where = new Map<number, Life>();
        let last = 0;
        let synced = 0;
        for (const { kind, count } of all) {
          const current = lives.at(-1) as Life;
          if (kind === "life") lives.push(new Life(0, lives.length + 1));
          else if (kind === "append") {
            for (let i = 0; i < count; i += 1) {
              last += 1;
              where.set(last, current);
              pins.add(current, last);
            }
          } else if (kind === "synced") {
            synced = Math.min(last, synced + count);
            for (const index of [...where.keys()]) if (index <= synced) where.delete(index);
            pins.synced(synced);
          } else if (kind === "truncate") {
            const from = Math.max(synced + 1, last + 1 - count);
            for (const index of [...where.keys()]) if (index >= from) where.delete(index);
            last = Math.min(last, from - 1);
            pins.truncate(from);
          } else if (kind === "begin") {
            last += count;
            synced = last;
            where.clear();
            pins.begin(last);
          } else {
            const oldest = lives.find((life) => life.pins > 0);
            if (oldest === undefined || oldest === current) continue;
            for (const [index, life] of where) {
              if (life !== oldest) continue;
              where.set(index, current);
              pins.add(current, index);
            }
            pins.moved(oldest, synced);
          }
          // A pin may outlive its last frame (ranges are kept, not frames), but no frame may be without one.
          for (const life of where.values()) assert.equal(life.pins, 1);
          if (where.size === 0 && synced === last) for (const life of lives) assert.equal(life.pins, 0);
        }
      }),
    );
  });
});
