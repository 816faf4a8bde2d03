import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { DevFolder } from "../../src/cli/dev/dev-folder.ts";
import { startOf } from "../../src/cli/dev/processes.ts";
import { superviseDev } from "../../src/cli/dev/supervisor.ts";
import { CommandFailed, ExitCode } from "../../src/cli/exit-code.ts";

describe("The folder of `dev`", () => {
  let folder: string;
  let processes: ChildProcess[];
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "millrace-dev-"));
    processes = [];
  });
  afterEach(() => {
    for (const one of processes) one.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  });

  /** A process with these words in its command line. */
  async function start(...words: readonly string[]): Promise<number> {
    const one = spawn(process.execPath, ["-e", "console.log('up'); setInterval(() => {}, 1000)", ...words], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    processes.push(one);
    await once(one.stdout, "data");
    return one.pid ?? assert.fail();
  }

  const state = (pid: number) => ({ folder, brokers: 1, port: 1, pid });
  const file = (name = "dev.json"): string => join(folder, name);

  it("is kept by the process that wrote so, as long as it is that one", async () => {
    const [dev, other] = [await start("dev"), await start("nothing")];
    const ours = new DevFolder(folder);
    assert.equal(ours.keeper, undefined);
    ours.write(state(dev));
    assert.equal(ours.keeper, dev);
    // The number was given to another process that has the word in its command line too, as \`npm run dev\` has.
    const written = JSON.parse(readFileSync(file(), "utf8"));
    assert.equal(written.started, startOf(dev));
    if (startOf(dev) !== undefined) {
      writeFileSync(file(), JSON.stringify({ ...written, started: "1" }));
      assert.equal(ours.keeper, undefined);
    }
    // As written by an earlier version, or where the system does not tell.
    writeFileSync(file(), JSON.stringify({ ...written, started: undefined }));
    assert.equal(ours.keeper, dev);
    if (process.platform === "linux") {
      ours.write(state(other));
      assert.equal(ours.keeper, undefined);
    }
    ours.write(state(process.pid));
    assert.equal(ours.keeper, undefined);
    ours.write(state(0));
    assert.equal(ours.keeper, undefined);
  });

  it("is claimed by one at a time, who looks whether it is another's by then", async () => {
    const [theirs, mine] = [await start("dev"), await start("dev")];
    const second = new DevFolder(folder);
    const refuse = (): void => {
      if (second.keeper !== undefined) throw new Error(`kept by ${second.keeper}`);
    };
    // Another one is at it.
    writeFileSync(file("dev.lock"), "");
    const claiming = second.claim(state(mine), refuse);
    const refused = assert.rejects(claiming, { message: `kept by ${theirs}` });
    new DevFolder(folder).write(state(theirs));
    rmSync(file("dev.lock"));
    await refused;
    assert.equal(new DevFolder(folder).read()?.pid, theirs);
    assert.equal(existsSync(file("dev.lock")), false);
    new DevFolder(folder).write(state(0));
    await second.claim(state(mine), refuse);
    assert.equal(new DevFolder(folder).keeper, mine);
    assert.equal(existsSync(file("dev.lock")), false);
  });

  it("is refused to a `dev` that began at the same moment and came second", { timeout: 20_000 }, async () => {
    const theirs = await start("dev");
    writeFileSync(file("dev.lock"), "");
    const terminal = { data: async () => {}, flush: async () => {}, say: () => {} };
    // Without brokers: whether it may begin is all that is asked.
    const refused = assert.rejects(superviseDev(new DevFolder(folder), { folder, brokers: 0, port: 1 }, terminal), {
      message: `already running: process ${theirs} looks after ${folder}; Ctrl-C there stops it`,
    });
    // It has looked, and found nobody.
    await new Promise((resolve) => setImmediate(resolve));
    new DevFolder(folder).write(state(theirs));
    rmSync(file("dev.lock"));
    await refused;
    assert.equal(new DevFolder(folder).read()?.pid, theirs);
  });

  it("is claimed although somebody was killed who was about to", async () => {
    writeFileSync(file("dev.lock"), "");
    await new DevFolder(folder).claim(state(process.pid), () => {});
    assert.equal(new DevFolder(folder).read()?.pid, process.pid);
    assert.equal(existsSync(file("dev.lock")), false);
  });

  it("is refused by name when what is there is not what `dev` writes", () => {
    const refused = (at: string, pattern: RegExp): void =>
      assert.throws(
        () => new DevFolder(at).read(),
        (error) => {
          assert.ok(error instanceof CommandFailed && error.exitCode === ExitCode.failure, String(error));
          assert.match(error.message, pattern);
          return true;
        },
      );
    writeFileSync(file("a-file"), "");
    refused(file("a-file"), /^cannot read .*a-file\/dev\.json \(ENOTDIR\): .* choose another --data$/);
    mkdirSync(file());
    refused(folder, /\(EISDIR\)/);
    rmSync(file(), { recursive: true });
    symlinkSync(file(), file());
    refused(folder, /\(ELOOP\)/);
    rmSync(file());
    writeFileSync(file(), "{}");
    refused(folder, /is not what `millrace dev` writes; remove it$/);
  });
});
