import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { freePort } from "../../chaos/free-ports.ts";
import { brokerArguments, devBrokers } from "../../src/cli/dev/layout.ts";
import { isAlive } from "../../src/cli/dev/processes.ts";
import { millrace } from "./run.ts";
import { run } from "./run-here.ts";

const main = fileURLToPath(new URL("../../src/main.js", import.meta.url));
/** Far from the default, so that a developer's own cluster may run. */
/** Of the first cluster with three brokers, of the others with four at most. */
const PORT = await freePort(3 + 4);
const ADDRESSES = [0, 10, 20].map((more) => `127.0.0.1:${PORT + more}`);

class Dev {
  readonly child: ChildProcess;
  stdout = "";
  stderr = "";
  readonly closed: Promise<number | null>;

  constructor(folder: string, port = PORT, more: readonly string[] = []) {
    this.child = spawn(process.execPath, [main, "dev", "--data", folder, "--port", `${port}`, ...more]);
    this.child.stdout?.on("data", (piece: Buffer) => {
      this.stdout += piece.toString();
    });
    this.child.stderr?.on("data", (piece: Buffer) => {
      this.stderr += piece.toString();
    });
    this.closed = new Promise((resolve) => this.child.on("close", resolve));
  }

  /** Resolves once stdout or stderr shows it. */
  async until(said: RegExp): Promise<void> {
    while (!said.test(this.stdout + this.stderr)) {
      assert.equal(this.child.exitCode, null, this.stderr);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

describe("millrace dev", { timeout: 180_000 }, () => {
  let folder: string;
  let dev: Dev;
  const flags = ["--brokers", ADDRESSES.join(",")];

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "millrace-dev-"));
    dev = new Dev(folder);
    await dev.until(/^millrace ready /m);
  });
  after(async () => {
    dev.child.kill("SIGINT");
    await dev.closed;
    rmSync(folder, { recursive: true, force: true });
  });

  function pidOf(id: number): number {
    return (JSON.parse(readFileSync(join(folder, `broker-${id}.json`), "utf8")) as { pid: number }).pid;
  }

  it("prints address, pid and restart command of each broker, then the ready line", () => {
    const lines = dev.stdout.trimEnd().split("\n");
    assert.equal(lines.length, 4);
    for (const id of [1, 2, 3]) {
      assert.equal(
        lines[id - 1],
        `broker ${id}  ${ADDRESSES[id - 1]}  pid ${pidOf(id)}  start again: npx millrace dev start ${id} --data ${folder}`,
      );
    }
    assert.equal(lines[3], `millrace ready ${ADDRESSES.join(",")}`);
  });

  it("is refused a second time, also to start a broker that runs", async () => {
    for (const args of [
      ["dev", "--data", folder, "--port", `${PORT}`],
      ["dev", "start", "2", "--data", folder],
    ]) {
      const { code, stderr } = await millrace(args);
      assert.equal(code, 1);
      assert.match(stderr, /already running|runs already/);
    }
  });

  it("loses nothing, doubles nothing and keeps the order of keys when a broker is killed in the middle", async () => {
    assert.equal((await millrace(["topic", "create", "events", "--partitions", "3", ...flags])).code, 0);
    const lines = Array.from({ length: 6_000 }, (_, i) => `{"key":"k${i % 13}","n":${i}}`);
    const sending = millrace(["produce", "events", "--key-field", "key", "--rate", "1500", ...flags], {
      input: Buffer.from(lines.join("\n")),
    });
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    process.kill(pidOf(2), "SIGKILL");
    await dev.until(/broker 2 \(pid \d+\) is gone; start it again: npx millrace dev start 2/);
    assert.equal((await millrace(["dev", "start", "2", "--data", folder])).code, 0);
    const sent = await sending;
    assert.equal(sent.code, 0, sent.stderr);
    const healthy = await millrace(["cluster", "health", "--wait", "--timeout", "60s", ...flags]);
    assert.equal(healthy.code, 0, healthy.stderr + healthy.stdout.toString());
    const read = await millrace(["consume", "events", ...flags]);
    const got = read.stdout.toString().trimEnd().split("\n");
    assert.deepEqual(got.toSorted(), lines.toSorted());
    for (let key = 0; key < 13; key++) {
      const mark = `"k${key}"`;
      assert.deepEqual(
        got.filter((line) => line.includes(mark)),
        lines.filter((line) => line.includes(mark)),
      );
    }
  });

  it("stops and starts one broker on request", async () => {
    const stopped = await millrace(["dev", "stop", "3", "--data", folder]);
    assert.equal(stopped.code, 0, stopped.stderr);
    assert.equal((await millrace(["dev", "stop", "3", "--data", folder])).code, 3);
    assert.equal((await millrace(["cluster", "health", ...flags])).code, 3);
    assert.equal((await millrace(["dev", "start", "3", "--data", folder])).code, 0);
    assert.equal((await millrace(["cluster", "health", "--wait", ...flags])).code, 0);
  });

  it("leaves no process behind after Ctrl-C, and starts again on the same data after all were killed", async () => {
    for (const id of [1, 2, 3]) process.kill(pidOf(id), "SIGKILL");
    dev.child.kill("SIGINT");
    assert.equal(await dev.closed, 0);
    dev = new Dev(folder);
    await dev.until(/^millrace ready /m);
    const read = await millrace(["consume", "events", ...flags]);
    assert.equal(read.stdout.toString().trimEnd().split("\n").length, 6_000);
    const pids = [1, 2, 3].map(pidOf);
    dev.child.kill("SIGINT");
    assert.equal(await dev.closed, 0);
    for (const pid of pids) assert.equal(isAlive(pid, "broker"), false, `process ${pid} is still there`);
  });
});

describe("millrace dev with as many brokers as one likes", { timeout: 120_000 }, () => {
  const port = PORT + 30;

  function readyWith(brokers: number): RegExp {
    const addresses = Array.from({ length: brokers }, (_, i) => `127.0.0.1:${port + 10 * i}`);
    return new RegExp(`^millrace ready ${addresses.join(",")}$`, "m");
  }

  it("says with 4, of which not all are seeds, which broker it waits for, and gets ready once that one is", async () => {
    const folder = mkdtempSync(join(tmpdir(), "millrace-dev-"));
    const dev = new Dev(folder, port, ["--brokers", "4"]);
    try {
      await dev.until(/^broker 4 .* pid (\d+)/m);
      const pid = Number(/^broker 4 .* pid (\d+)/m.exec(dev.stdout)?.[1]);
      process.kill(pid, "SIGSTOP");
      await dev.until(/^waiting: .*broker 4 is not ready: .*broker-4\.log/m);
      assert.doesNotMatch(dev.stdout, /millrace ready/);
      process.kill(pid, "SIGCONT");
      await dev.until(readyWith(4));
    } finally {
      dev.child.kill("SIGINT");
      assert.equal(await dev.closed, 0);
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it("has 1, 3 or 5 seeds: as many as there are of those; the others join by the first", () => {
    for (const [brokers, seeds] of [
      [1, 1],
      [2, 1],
      [3, 3],
      [4, 3],
      [5, 5],
      [9, 5],
    ] as const) {
      const layout = { folder: "/f", brokers, port: 7_400 };
      const each = devBrokers(layout).map((broker) => brokerArguments(layout, broker));
      for (const [i, args] of each.entries()) {
        const named = args[args.indexOf("--seeds") + 1]?.split(",") ?? [];
        assert.deepEqual(
          named,
          Array.from({ length: seeds }, (_, n) => `${n + 1}@127.0.0.1:${7_401 + 10 * n}`),
        );
        assert.deepEqual(args.includes("--join") ? args[args.indexOf("--join") + 1] : undefined, i < seeds ? undefined : "127.0.0.1:7401");
      }
    }
  });

  it("knows which numbers there are", async () => {
    const folder = mkdtempSync(join(tmpdir(), "millrace-dev-"));
    writeFileSync(join(folder, "dev.json"), JSON.stringify({ brokers: 3, port, pid: 0 }));
    for (const verb of ["start", "stop"]) {
      const absent = await run(["dev", verb, "9", "--data", folder]);
      assert.equal(absent.code, 3);
      assert.match(absent.talk, /there is no broker 9: the cluster in .* has brokers 1 to 3/);
      assert.equal((await run(["dev", verb, "nine", "--data", folder])).code, 2);
    }
    rmSync(folder, { recursive: true, force: true });
  });
});
