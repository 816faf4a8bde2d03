import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { freePorts } from "../../chaos/free-ports.ts";
import { millrace, type RunOptions } from "./run.ts";

const main = fileURLToPath(new URL("../../src/main.js", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "millrace-start-"));
after(() => rmSync(folder, { recursive: true, force: true }));

interface Started {
  readonly process: ReturnType<typeof spawn>;
  readonly ended: Promise<{ readonly code: number | null; readonly said: string }>;
}

async function broker(id: number, data: string, ports?: { readonly client?: number }): Promise<Started> {
  const [free = 0, ...others] = await freePorts(3);
  const [client, peer, admin] = [ports?.client ?? free, ...others].map((port) => `127.0.0.1:${port}`);
  const flags = [
    "--id",
    String(id),
    "--data",
    data,
    "--listen",
    client,
    "--peer-listen",
    peer,
    "--admin-listen",
    admin,
    "--seeds",
    `${id}@${peer}`,
  ];
  const child = spawn(process.execPath, [main, "broker", ...flags.map(String)], { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (bytes: Buffer) => (said += bytes.toString()));
  const ended = new Promise<{ code: number | null; said: string }>((resolve) => child.on("exit", (code) => resolve({ code, said })));
  return { process: child, ended };
}

/** Resolves once the log says that it runs. */
function running(started: Started): Promise<void> {
  return new Promise((resolve, reject) => {
    let said = "";
    const look = (bytes: Buffer): void => {
      said += bytes.toString();
      if (said.includes("broker.running")) resolve();
    };
    started.process.stdout?.on("data", look);
    started.process.stderr?.on("data", look);
    started.process.on("exit", () => reject(new Error(said)));
  });
}

describe("a broker that cannot start says why and ends, exit 1", () => {
  it("second process on a data directory, port in use, directory of another broker", async () => {
    const data = join(folder, "one");
    const first = await broker(1, data);
    await running(first);
    const second = await (await broker(1, data)).ended;
    assert.equal(second.code, 1);
    assert.match(second.said, new RegExp(`another process \\(pid ${first.process.pid}\\)`));
    assert.match(second.said, /stop that broker first, or give this one a directory of its own with --data/);

    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    assert.ok(typeof address === "object" && address !== null);
    const busy = await (await broker(1, join(folder, "two"), { client: address.port })).ended;
    server.close();
    assert.equal(busy.code, 1);
    assert.match(busy.said, /EADDRINUSE/);

    first.process.kill("SIGTERM");
    assert.equal((await first.ended).code, 0);
    // As when the terminal it was started in is closed.
    const again = await broker(1, data);
    await running(again);
    again.process.kill("SIGHUP");
    assert.equal((await again.ended).code, 0);
    const foreign = await (await broker(2, data)).ended;
    assert.equal(foreign.code, 1);
    assert.match(foreign.said, /belongs to broker 1/);
  });
});

describe("an unknown configuration key is refused with the nearest known one, exit 2, and nothing is written (case 54)", () => {
  const file = join(folder, "broker.yaml");
  const environment = { MILLRACE_MAX_MESAGE_BYTES: "65536" };
  const places: [string, string[], RunOptions, RegExp][] = [
    ["--set", ["--set", "max.mesage.bytes=65536"], {}, /max\.mesage\.bytes \(flag\): is not a setting; did you mean max\.message\.bytes\?/],
    ["--set, nothing near", ["--set", "no.such=1"], {}, /no\.such \(flag\): is not a setting/],
    ["--config", ["--config", file], {}, /heartbeat\.mss \(.*broker\.yaml line 2\): is not a setting; did you mean heartbeat\.ms\?/],
    [
      "MILLRACE_…",
      [],
      { env: environment },
      /MILLRACE_MAX_MESAGE_BYTES \(environment\): is not a setting; did you mean MILLRACE_MAX_MESSAGE_BYTES\?/,
    ],
  ];
  for (const [place, more, options, said] of places) {
    it(place, async () => {
      writeFileSync(file, "rack: a\nheartbeat.mss: 100\n");
      const data = join(folder, "refused");
      const ran = await millrace(["broker", "--id", "1", "--data", data, "--seeds", "1@127.0.0.1:1", ...more], options);
      assert.equal(ran.code, 2, ran.stderr);
      assert.match(ran.stderr, said);
      assert.equal(ran.stdout.length, 0);
      assert.equal(existsSync(data), false);
    });
  }
});
