import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { refuseTopicName } from "../../src/cluster/names.ts";

describe("topic names (case 44)", () => {
  it("may be 1 to 249 of a-z A-Z 0-9 . _ -", () => {
    for (const name of [
      "a",
      "Orders-2.eu_west",
      "...",
      "_",
      "_x",
      "constructor",
      "toString",
      "hasOwnProperty",
      "x".repeat(249),
      "-",
      "CON",
    ]) {
      assert.equal(refuseTopicName(name), undefined, name);
    }
  });

  it("are refused when empty, too long, a directory, internal, or of anything else", () => {
    const wrong = [
      "",
      "x".repeat(250),
      ".",
      "..",
      "/",
      "a/b",
      "a\\b",
      "\0",
      "a\0b",
      "__proto__",
      "__groups",
      "é",
      "😀",
      "a b",
      "a\n",
      "ａ",
      "%2e%2e",
      "a:b",
      " a",
    ];
    for (const name of wrong) assert.equal(refuseTopicName(name)?.code, "INVALID_NAME", JSON.stringify(name));
  });

  it("are shown escaped, so that a name cannot forge a line of the log", () => {
    assert.match(refuseTopicName("a\nb")?.message ?? "", /"a\\nb"/);
  });
});
