import assert from "node:assert/strict";
import { it } from "node:test";
import { nodeVersionWarning } from "../../src/config/node-version.ts";

it("A Node past its end of life gets one line, from the day after", () => {
  const lastDay = Date.parse("2026-04-30T23:59:59Z");
  assert.equal(nodeVersionWarning("20.20.2", lastDay), undefined);
  assert.match(nodeVersionWarning("20.20.2", lastDay + 1000) ?? "", /^Node 20\.20\.2 gets no security fixes since 2026-04-30/);
});

it("A supported or unknown Node gets none", () => {
  const day = Date.parse("2026-11-22T00:00:00Z");
  for (const version of ["22.22.2", "24.21.0", "26.0.0", "25.1.0"]) assert.equal(nodeVersionWarning(version, day), undefined);
});
