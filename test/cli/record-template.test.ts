import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { recordTemplate } from "../../src/cli/record-template.ts";
import { consumed, type Parts } from "./consumed.ts";

function written(template: string, parts: Parts): Buffer {
  const pieces = recordTemplate("--template", template)(consumed(parts));
  return Buffer.concat(pieces.map((piece) => (typeof piece === "string" ? Buffer.from(piece) : piece)));
}

describe("recordTemplate", () => {
  const headers = [
    { key: "a", value: Buffer.from("1") },
    { key: "b", value: undefined },
  ];

  it("knows the letters of kcat, and %v", () => {
    const parts = { key: "k1", value: "värde", headers, timestampMs: 77 };
    assert.equal(written("%t/%p@%o %T %k=%v|%s %K %S %h 100%%\\n", parts).toString(), "t/3@12 77 k1=värde|värde 2 6 a=1,b=NULL 100%\n");
  });

  it("tells the time at which a record is printed, beside its own", () => {
    const times = [1_000, 2_000];
    const write = recordTemplate("--template", "%T %N", () => times.shift() ?? 0);
    assert.equal(write(consumed({ timestampMs: 77 })).join(""), "77 1000");
    assert.equal(write(consumed({ timestampMs: 78 })).join(""), "78 2000");
  });

  it("prints nothing for what is absent, and -1 for its length", () => {
    assert.equal(written("[%k][%v][%h] %K %S", {}).toString(), "[][][] -1 -1");
    assert.equal(written("%K %S", { key: "", value: "" }).toString(), "0 0");
  });

  it("knows escapes, bytes among them", () => {
    assert.deepEqual([...written("\\n\\t\\r\\0\\\\\\x00\\xfFé", {})], [10, 9, 13, 0, 0x5c, 0, 0xff, 0xc3, 0xa9]);
  });

  it("prints keys and values byte for byte, whatever stands in them", () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.uint8Array(), (key, value) => {
        const expected = Buffer.concat([key, Buffer.from(" "), value, Buffer.from("\n")]);
        assert.ok(written("%k %v\\n", { key, value }).equals(expected));
      }),
    );
  });

  it("prints a text without letters and escapes as it is", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (text) => {
        const plain = text.replaceAll("%", "%%").replaceAll("\\", "\\\\");
        assert.equal(written(plain, { value: "v" }).toString(), Buffer.from(text).toString());
      }),
    );
  });

  it("refuses letters and escapes it does not know, by name", () => {
    const wrong: [string, RegExp][] = [
      ["%q", /--template: "%q" says nothing; known are %t %p/],
      ["a%", /a % at the end says nothing/],
      ["\\q", /"\\q" says nothing/],
      ["\\x1", /"\\x" says nothing/],
      ["\\", /a \\ at the end/],
      ["%😀", /"%😀" says nothing/],
    ];
    for (const [template, message] of wrong)
      assert.throws(() => recordTemplate("--template", template), { exitCode: 2, message }, template);
  });
});
