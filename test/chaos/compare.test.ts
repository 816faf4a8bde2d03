import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { compare, isClean, Ledger } from "../../chaos/compare.ts";

interface Line {
  readonly key: string;
  readonly line: number;
  readonly text: string;
}

const lines: readonly Line[] = Array.from({ length: 200 }, (_, i) => ({ key: `k${i % 7}`, line: i + 1, text: `line ${i}` }));

function ledgerOf(records: readonly Line[], numbered: boolean): Ledger {
  const ledger = new Ledger();
  for (const { key, line, text } of records) ledger.add(key, numbered ? line : 0, Buffer.from(text));
  return ledger;
}

/** What `compare` counts when `read` came back of `lines`. */
function counts(read: readonly Line[], numbered: boolean): readonly number[] {
  const { missing, extra, reordered, changed } = compare(ledgerOf(lines, true), ledgerOf(read, numbered));
  return [missing, extra, reordered, changed];
}

/** The line after `at` with the same key. */
const nextOfKey = (at: number): number => at + 7;

describe("the comparison of what was poured with what was read", () => {
  for (const numbered of [true, false]) {
    const how = numbered ? "by line number and digest" : "by digest, when records tell no number";

    it(`finds nothing where nothing is wrong, whatever the keys' order among each other, ${how}`, () => {
      assert.deepEqual(counts(lines, numbered), [0, 0, 0, 0]);
      assert.deepEqual(
        counts(
          [...lines].sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0)),
          numbered,
        ),
        [0, 0, 0, 0],
      );
    });

    it(`counts one of each kind of fault, wherever it is, ${how}`, () => {
      fc.assert(
        fc.property(fc.integer({ min: 0, max: 192 }), (at) => {
          const line = lines[at] as Line;
          const later = lines[nextOfKey(at)] as Line;
          const lost = lines.filter((_, i) => i !== at);
          assert.deepEqual(counts(lost, numbered), [1, 0, 0, 0]);
          assert.deepEqual(counts([...lines, line], numbered), [0, 1, 0, 0]);
          const swapped = lines.map((one, i) => (i === at ? later : i === nextOfKey(at) ? line : one));
          assert.deepEqual(counts(swapped, numbered), [0, 0, 1, 0]);
          const changed = lines.map((one, i) => (i === at ? { ...one, text: `${one.text}!` } : one));
          assert.deepEqual(counts(changed, numbered), [0, 0, 0, 1]);
        }),
      );
    });
  }

  it("takes a line that moved to another key for lost and extra", () => {
    const moved = lines.map((one, i) => (i === 3 ? { ...one, key: "elsewhere" } : one));
    assert.deepEqual(counts(moved, true), [1, 1, 0, 0]);
  });

  it("tells a record without a key from one with an empty key", () => {
    const sent = new Ledger();
    sent.add(undefined, 1, Buffer.from("a"));
    const read = new Ledger();
    read.add("", 1, Buffer.from("a"));
    assert.equal(isClean(compare(sent, read)), false);
  });
});
