import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Malformed } from "../../src/log/model/bytes.ts";
import { openSealedJson, sealJson } from "../../src/log/model/sealed-json.ts";

const fields = { format: 1, brokerId: 2, incarnation: "0f8b2c9e-5a61-4d6b-9c1e-2f6f0d6d7a10", logMade: true, form: "0a0b" };
const known = new Set(Object.keys(fields));

describe("openSealedJson", () => {
  it("gives back what sealJson was given, which stays JSON for everybody else", () => {
    const text = sealJson({ ...fields, clusterId: undefined, newer: 1 });
    assert.deepEqual(openSealedJson(text, known), { ...fields, newer: 1 });
    assert.equal((JSON.parse(text) as { readonly brokerId: number }).brokerId, 2);
  });

  it("takes a text from before there was a CRC, with the fields of then", () => {
    assert.deepEqual(openSealedJson(`${JSON.stringify(fields, null, 2)}\n`, known), fields);
    assert.throws(() => openSealedJson(JSON.stringify({ ...fields, newer: 1 }), known), Malformed);
  });

  it("takes no text in which a single bit changed, or that was cut, or that is null", () => {
    const bytes = Buffer.from(sealJson(fields));
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const changed = Buffer.from(bytes);
      changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
      assert.throws(() => openSealedJson(new TextDecoder().decode(changed), known), Malformed, `bit ${bit}`);
    }
    for (let length = 0; length < bytes.length; length += 1)
      assert.throws(() => openSealedJson(bytes.toString("utf8", 0, length), known), Malformed, `cut at ${length}`);
    assert.throws(() => openSealedJson("null\n", known), Malformed);
  });
});
