import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";

const heap = fileURLToPath(new URL("../../src/host/heap.js", import.meta.url));

const PASSED_BYTES = 2e9;

/** Collections of the old generation while two gigabytes pass through buffers, beside a heap of some megabytes. */
function collections(first: string): number {
  const program = `
    const { PerformanceObserver } = require("node:perf_hooks");
    import(${JSON.stringify(heap)}).then((heap) => {
      ${first}
      let collections = 0;
      new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) if (entry.detail.kind === 4) collections += 1;
      }).observe({ entryTypes: ["gc"] });
      const held = Array.from({ length: 100_000 }, (_, i) => ({ i, text: "x" + i }));
      let passed = 0;
      (function turn() {
        const buffers = Array.from({ length: 16 }, () => Buffer.allocUnsafeSlow(65_536));
        passed += 65_536 * buffers.length;
        if (passed < ${PASSED_BYTES}) return setTimeout(turn, 1);
        setImmediate(() => console.log(collections + held.length - 100_000));
      })();
    });`;
  return Number(execFileSync(process.execPath, ["-e", program], { encoding: "utf8" }));
}

describe("the heap of a broker", () => {
  it("is collected at most once in 60 MB of buffers that come and go", () => {
    const most = Math.floor(PASSED_BYTES / 60e6);
    const ours = collections("heap.collectLessOften();");
    assert.ok(ours <= most, `${ours} collections, ${most} allowed`);
  });
});
