import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { PAGE_GROUPS_MAX, pageOf } from "../../src/consumer-groups/groups-page.ts";

const names = (count: number): readonly string[] => Array.from({ length: count }, (_, n) => `g${String(n).padStart(5, "0")}`).reverse();
const page = (all: readonly string[], pageSize: number, pageToken = "") => pageOf(all, (name) => name, { pageSize, pageToken });

describe("A page of groups", () => {
  it("has those behind the token by name, and says whether there are more", () => {
    assert.deepEqual(page(names(3), 2), { listed: ["g00000", "g00001"], more: true });
    assert.deepEqual(page(names(3), 2, "g00001"), { listed: ["g00002"], more: false });
    assert.deepEqual(page(names(3), 2, "g00002"), { listed: [], more: false });
    assert.deepEqual(page(names(4), 2, "g00001"), { listed: ["g00002", "g00003"], more: false });
    // Of a group that was deleted since.
    assert.deepEqual(page(names(2), 2, "g000000"), { listed: ["g00001"], more: false });
  });

  it("has no more than may be told at once, whatever is asked", () => {
    const { listed, more } = page(names(PAGE_GROUPS_MAX + 1), 1_000_000);
    assert.deepEqual([listed.length, more], [PAGE_GROUPS_MAX, true]);
  });

  it("is everything without a size", () => {
    assert.equal(page(names(PAGE_GROUPS_MAX + 1), 0).listed.length, PAGE_GROUPS_MAX + 1);
  });
});
