import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { makePayload, readPayload } from "../../../src/testing/checkers/payload.ts";

describe("Payloads", () => {
  it("name themselves and notice any changed byte", () => {
    const { value, body } = makePayload("run", "p1", 7, 50);
    assert.deepEqual(readPayload(body), { value, intact: true });
    for (let i = 0; i < body.length; i++) {
      const changed = Uint8Array.from(body);
      changed[i] = (changed[i] ?? 0) ^ 1;
      const found = readPayload(changed);
      assert.ok(!found.intact || found.value !== value, `byte ${i}`);
    }
    assert.equal(readPayload(body.subarray(0, body.length - 1)).intact, false);
  });

  it("differ for every run, producer and number", () => {
    const values = ["r1", "r2"].flatMap((run) =>
      ["p1", "p2"].flatMap((producer) => [1, 2].map((n) => makePayload(run, producer, n, 10).value)),
    );
    assert.equal(new Set(values).size, 8);
  });
});
