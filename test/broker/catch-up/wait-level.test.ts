import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { WaitLevel } from "../../../src/broker/catch-up/wait-level.ts";

const EVERY_MS = 25;

/** A level, and the time of its last wait. */
class Heard {
  readonly level = new WaitLevel();
  now = 1_000_000;

  /** `count` waits, one every 25 ms, taken from `waits` in turns. @returns whether they were long after each */
  hear(count: number, ...waits: readonly number[]): boolean[] {
    return Array.from({ length: count }, (_, at) => {
      this.now += EVERY_MS;
      this.level.add(this.now, waits[at % waits.length] as number);
      return this.level.long(this.now);
    });
  }

  /** The same, and whether they are long at the end. */
  ends(count: number, ...waits: readonly number[]): boolean {
    return this.hear(count, ...waits).at(-1) as boolean;
  }
}

/** As measured on a shared disk with nothing else going on. */
const calm = [2, 3, 6, 2, 9, 4, 3, 7, 5, 24];

describe("Waits are long", () => {
  it("when most take several times what they took", () => {
    const heard = new Heard();
    assert.ok(!heard.hear(400, ...calm).includes(true));
    const busy = heard.hear(40, 12, 38, 20, 56, 29);
    assert.ok(busy.indexOf(true) < 12, `heard after ${busy.indexOf(true)} waits`);
    assert.ok(busy.slice(12).every((long) => long));
    assert.ok(!heard.ends(40, ...calm));
  });

  it("not because of one sync that stood still, however long, nor of the block that waited behind it", () => {
    for (const stalled of [200, 5_000]) {
      const heard = new Heard();
      heard.hear(400, ...calm);
      assert.ok(!heard.hear(2, stalled, stalled / 2).includes(true));
      assert.ok(!heard.hear(100, ...calm).includes(true));
    }
  });

  it("never on a disk that is slow for everybody: it is its own measure", () => {
    for (const factor of [1, 10, 40]) assert.ok(!new Heard().hear(2_000, ...calm.map((ms) => ms * factor)).includes(true));
  });

  it("only as long as somebody waits", () => {
    const heard = new Heard();
    heard.hear(400, ...calm);
    assert.ok(heard.ends(40, 80));
    assert.ok(!heard.level.long(heard.now + 1_001));
  });

  it("not before there is anything to compare with", () => {
    const heard = new Heard();
    assert.ok(!heard.hear(20, 3).includes(true));
    assert.ok(!heard.hear(11, 300).includes(true));
  });

  it("against what was within a minute: a load that stays becomes the measure", () => {
    const heard = new Heard();
    heard.hear(400, ...calm);
    assert.ok(heard.ends(40, 60));
    assert.ok(!heard.ends((62 * 1000) / EVERY_MS, 60));
  });

  it("not at all in a simulation whose timers are never late", () => {
    assert.ok(!new Heard().hear(200, 0).includes(true));
  });
});
