import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { jsonLogTo } from "../../src/telemetry/json-log.ts";
import { RecentLines } from "../../src/telemetry/recent-lines.ts";

describe("JSON log", () => {
  const lines: string[] = [];
  const open = () => {
    lines.length = 0;
    return jsonLogTo({ write: (line) => lines.push(line) }, { level: "info", base: { broker: 1 } });
  };

  it("writes one object per line with time, level, event and fields", () => {
    open().log("warn", "log.ring_pinned", { bytes: 3, files: undefined });
    const line = JSON.parse(lines[0] ?? "");
    assert.match(line.time, /^\d{4}-\d\d-\d\dT.*Z$/);
    assert.deepEqual({ ...line, time: "" }, { level: "warn", time: "", broker: 1, event: "log.ring_pinned", bytes: 3 });
  });

  it("leaves out what is below its level", () => {
    const log = open();
    log.log("debug", "producer.resend");
    assert.equal(lines.length, 0);
    log.log("info", "broker.running");
    assert.equal(lines.length, 1);
  });

  it("cannot be made to forge a line by what a caller sent (case 37)", () => {
    const evil = 'x\r\n{"level":"info","event":"all.is_well"}\u0000\u001b[2J';
    open().log("error", "grpc.handler_failed", { path: evil });
    assert.equal(lines.length, 1);
    assert.doesNotMatch((lines[0] ?? "").trimEnd(), /[\p{Cc}]/u);
    assert.equal(JSON.parse(lines[0] ?? "").path, evil);
  });

  it("writes to the output it was told, and all of it before the process ends", () => {
    const module = fileURLToPath(new URL("../../src/telemetry/telemetry.js", import.meta.url));
    for (const output of ["stdout", "stderr"] as const) {
      const script = `import { createTelemetry } from ${JSON.stringify(module)};
        const telemetry = createTelemetry({ level: "info", output: "${output}" });
        for (let i = 0; i < 100; i++) telemetry.log("info", "broker.registered", { brokerEpoch: i });
        telemetry.flush();
        process.exit(0);`;
      const child = spawnSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" });
      assert.equal(child[output].trimEnd().split("\n").length, 100, child.stderr);
      assert.equal(child[output === "stdout" ? "stderr" : "stdout"], "");
    }
  });
});

describe("Recent lines", () => {
  it("keeps the last lines, as many as its bytes allow, and always the last one", () => {
    const recent = new RecentLines(100);
    for (let i = 0; i < 1000; i++) recent.push(`line ${i}\n`);
    const kept = recent.text().trimEnd().split("\n");
    assert.equal(kept.at(-1), "line 999");
    assert.ok(recent.text().length <= 100 && recent.text().length > 90);
    assert.deepEqual(
      kept,
      Array.from({ length: kept.length }, (_, i) => `line ${1000 - kept.length + i}`),
    );
    recent.push("x".repeat(1000));
    assert.equal(recent.text(), "x".repeat(1000));
  });
});
