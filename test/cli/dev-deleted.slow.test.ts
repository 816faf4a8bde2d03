import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { freePort } from "../../chaos/free-ports.ts";
import { DevFolder } from "../../src/cli/dev/dev-folder.ts";
import { devBroker } from "../../src/cli/dev/layout.ts";
import { isAlive } from "../../src/cli/dev/processes.ts";
import { stopBrokers } from "../../src/cli/dev/supervisor.ts";

const main = fileURLToPath(new URL("../../src/main.js", import.meta.url));

const newFolder = (): string => mkdtempSync(join(tmpdir(), "millrace-dev-"));

/** Sees that what a failed test left does not outlive it. */
function killed(pids: readonly number[], mark: string): void {
  for (const pid of pids) if (isAlive(pid, mark)) process.kill(pid, "SIGKILL");
}

// case 73
describe("millrace dev whose folder is deleted", { timeout: 180_000 }, () => {
  for (const instead of ["nothing", "a file"] as const)
    it(`says so, and stops every broker on Ctrl-C all the same, without making the folder again (${instead} in its place)`, async () => {
      const folder = newFolder();
      const port = await freePort(3);
      const dev = spawn(process.execPath, [main, "dev", "--data", folder, "--port", `${port}`], { stdio: ["ignore", "pipe", "pipe"] });
      let said = "";
      const until = async (what: RegExp): Promise<void> => {
        while (!what.test(said)) {
          assert.equal(dev.exitCode, null, said);
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
      };
      for (const stream of [dev.stdout, dev.stderr]) {
        stream.setEncoding("utf8").on("data", (text: string) => {
          said += text;
        });
      }
      const ended = once(dev, "close") as Promise<[number | null]>;
      await until(/^millrace ready /m);
      const pids = [...said.matchAll(/^broker \d .* pid (\d+)/gm)].map(([, pid]) => Number(pid));
      const mark = "broker";
      try {
        assert.equal(pids.length, 3);
        rmSync(folder, { recursive: true });
        if (instead === "a file") writeFileSync(folder, "");
        await until(/ was deleted: the brokers lose all they store/);
        for (const pid of pids) assert.ok(isAlive(pid, mark), `broker ${pid} is gone:\n${said}`);
        assert.doesNotMatch(said, /is gone/);
        dev.kill("SIGINT");
        const [code] = await ended;
        assert.equal(code, 0, said);
        assert.match(said, /^stopping$/m);
        for (const pid of pids) assert.equal(isAlive(pid, mark), false, `process ${pid} is still there:\n${said}`);
        assert.equal(existsSync(join(folder, "dev.json")), false, "the folder was made again");
      } finally {
        dev.kill("SIGKILL");
        killed(pids, mark);
        rmSync(folder, { recursive: true, force: true });
      }
    });

  it("kills a broker that does not stop, and says so", async () => {
    const folder = newFolder();
    const layout = { folder, brokers: 1, port: 1 };
    const broker = devBroker(layout, 1);
    // Deaf to the word that stops it; what its command line names is how it is known again.
    const deaf = spawn(
      process.execPath,
      ["-e", "process.on('SIGTERM', () => {}); console.log('up'); setInterval(() => {}, 1000)", broker.data],
      {
        stdio: ["ignore", "pipe", "ignore"],
      },
    );
    const pid = deaf.pid ?? 0;
    try {
      await once(deaf.stdout, "data");
      const dev = new DevFolder(folder);
      dev.writePid(broker, pid);
      rmSync(folder, { recursive: true });
      const told: string[] = [];
      const terminal = { data: () => undefined, flush: async () => undefined, say: (line: string) => void told.push(line) };
      await stopBrokers(dev, [broker], terminal, { patienceMs: 200 });
      assert.deepEqual(told, [`broker 1 (pid ${pid}) did not stop within 0.2 s: killed`]);
      assert.equal(isAlive(pid, broker.data), false);
      assert.equal(dev.pidOf(broker), undefined);
    } finally {
      killed([pid], broker.data);
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
