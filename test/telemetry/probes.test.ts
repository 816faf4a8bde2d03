import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { probesOf } from "../../src/telemetry/probes.ts";

describe("Probes", () => {
  it("say in each state of a broker what an orchestrator shall do", () => {
    // started is what stays true once a broker has served.
    const table: readonly (readonly [state: string, started: boolean, live: boolean, ready: boolean])[] = [
      ["starting", false, true, false],
      ["joining", false, true, false],
      ["waiting", false, true, false],
      ["running", true, true, true],
      ["leaving", true, true, false],
      ["stopping", true, true, false],
      ["stopped", true, true, false],
      ["stopping", false, true, false],
    ];
    for (const [state, started, live, ready] of table) {
      const probes = probesOf(() => ({ state, started }));
      const said = [probes.started().ok, probes.live().ok, probes.ready().ok];
      assert.deepEqual(said, [started, live, ready], state);
      for (const probe of [probes.live, probes.started, probes.ready]) assert.equal(probe().detail, state);
    }
  });
});
