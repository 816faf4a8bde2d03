import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { crc32c } from "../../src/base/crc32c.ts";
import { readEnvelope } from "../../src/cli/envelope.ts";
import { runProgram } from "../../src/cli/program.ts";
import type { Terminal } from "../../src/cli/terminal.ts";
import { Codec } from "../../src/records/frame-types.ts";
import { RecordSetBuilder } from "../../src/records/record-set-builder.ts";
import { draft, noop } from "../log/frames.ts";
import { writeStored } from "./stored.ts";

/** One command line, with what it printed. */
async function run(...args: string[]): Promise<{ code: number; out: string; said: string }> {
  let out = "";
  let said = "";
  const terminal: Terminal = {
    data: (piece) => {
      out += piece.toString();
      return undefined;
    },
    flush: async () => undefined,
    say: (line) => {
      said += `${line}\n`;
    },
  };
  const code = await runProgram(["debug", "log-dump", ...args], terminal);
  return { code, out, said };
}

describe("debug log-dump", () => {
  let folder = "";
  let segment = "";

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "millrace-dump-"));
    segment = await writeStored(folder);
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it("finds a partition by its name, and hashes what is equal on every replica", async () => {
    const { code, out } = await run("orders/2", "--data", folder, "--hash");
    assert.equal(code, 0);
    assert.match(out, /^index 1 term 1 offset 0 type data sha256 [0-9a-f]{64}\n/);
    assert.equal(out.trim().split("\n").length, 3);
    const json = await run("7", "--data", folder, "--format", "json");
    assert.deepEqual(
      json.out
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line).index),
      [1, 2, 3],
    );
  });

  it("says what there is instead of a partition that is not, and of a file that is not", async () => {
    assert.deepEqual((({ code, said }) => ({ code, said }))(await run("orders/9", "--data", folder)), {
      code: 3,
      said: `millrace: ${folder} holds no orders/9; it holds orders/2\n`,
    });
    assert.equal((await run(join(folder, "wal/77"))).code, 2);
  });

  it("prints records as `produce --format json` takes them, compressed or not, and what is none it names", async () => {
    const set = (count: number, timestampMs = 0): Uint8Array => {
      const builder = new RecordSetBuilder();
      for (let i = 0; i < count; i++) builder.append(`k${i}`, `v${i}`, [{ key: "h", value: new Uint8Array([255]) }], timestampMs);
      return builder.take();
    };
    const of = (payload: Uint8Array, recordCount: number, codec: Codec = Codec.none) =>
      draft(1, 0, { payload, payloadCrc: crc32c(payload), recordCount, codec });
    const other = mkdtempSync(join(tmpdir(), "millrace-dump-"));
    try {
      const drafts = [of(set(2, 5), 2), noop(), of(new Uint8Array(gzipSync(set(1))), 1, Codec.gzip), of(set(1), 1)];
      await writeStored(other, drafts);
      const { code, out } = await run("orders/2", "--data", other, "--records");
      assert.equal(code, 0);
      const lines = out.trim().split("\n");
      assert.deepEqual(
        lines.map((line) => JSON.parse(line)).map(({ partition, offset, key, value }) => [partition, offset, key, value]),
        [
          [2, 0, "k0", "v0"],
          [2, 1, "k1", "v1"],
          [2, 2, "k0", "v0"],
          [2, 3, "k0", "v0"],
        ],
      );
      const again = readEnvelope(Buffer.from(lines[1] ?? ""));
      assert.deepEqual([again.timestampMs, again.partition, again.headers?.[0]?.value?.toString()], [5, 2, Buffer.from([255]).toString()]);
    } finally {
      rmSync(other, { recursive: true, force: true });
    }
    // Random bytes that nobody could have sent.
    const { code, out, said } = await run("orders/2", "--data", folder, "--records");
    assert.deepEqual([code, out], [1, ""]);
    assert.match(said, /\.log at byte \d+: the records of frame 1 cannot be read: /);
    assert.equal((await run(segment, "--records")).code, 2);
    assert.equal((await run("orders/2", "--data", folder, "--records", "--hash")).code, 2);
  });

  it("names damage by file and byte, and exits 1", async () => {
    const bytes = readFileSync(segment);
    bytes[bytes.length - 50] = (bytes[bytes.length - 50] ?? 0) ^ 1;
    writeFileSync(segment, bytes);
    const { code, out, said } = await run(segment);
    assert.equal(code, 1);
    assert.match(said, /\.log at byte \d+: the payload of frame \d does not match its CRC\n/);
    assert.match(out, /index 1 term 1/);
  });
});
