import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { DevFolder } from "../../src/cli/dev/dev-folder.ts";
import { type DevBroker, devBroker } from "../../src/cli/dev/layout.ts";
import { isAlive } from "../../src/cli/dev/processes.ts";
import { stopBrokers } from "../../src/cli/dev/supervisor.ts";

// case 73
describe("The brokers that `dev` stops", () => {
  let folder: string;
  let broker: DevBroker;
  let processes: ChildProcess[];
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "millrace-dev-"));
    broker = devBroker({ folder, brokers: 1, port: 1 }, 1);
    processes = [];
  });
  afterEach(() => {
    for (const one of processes) one.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  });

  /** A process that looks like the broker. */
  async function start(): Promise<number> {
    const script = "console.log('up'); setInterval(() => {}, 1000)";
    const one = spawn(process.execPath, ["-e", script, broker.data], { stdio: ["ignore", "pipe", "ignore"] });
    processes.push(one);
    await once(one.stdout, "data");
    return one.pid ?? assert.fail();
  }

  const talk = (told: string[] = []) => ({ data: async () => {}, flush: async () => {}, say: (line: string) => void told.push(line) });

  it("are its own, also when its folder was deleted and is another one's by now", async () => {
    const [mine, theirs] = [await start(), await start()];
    const first = new DevFolder(folder);
    first.write({ folder, brokers: 1, port: 1, pid: process.pid });
    first.writePid(broker, mine);
    assert.equal(first.gone, false);
    rmSync(folder, { recursive: true });
    mkdirSync(folder);
    const second = new DevFolder(folder);
    second.write({ folder, brokers: 1, port: 2, pid: theirs });
    second.writePid(broker, theirs);
    assert.equal(first.gone, true);
    await stopBrokers(first, [broker], talk(), { patienceMs: 5_000 });
    assert.deepEqual([isAlive(mine, broker.data), isAlive(theirs, broker.data)], [false, true]);
    assert.equal(second.pidOf(broker), theirs, "what the other wrote is there");
  });

  it("are those that somebody starts again meanwhile, too, and none is killed that stopped at once", async () => {
    const [mine, again] = [await start(), await start()];
    const dev = new DevFolder(folder);
    dev.writePid(broker, mine);
    const told: string[] = [];
    const stopping = stopBrokers(dev, [broker], talk(told), { patienceMs: 5_000 });
    new DevFolder(folder).writePid(broker, again);
    await stopping;
    assert.deepEqual(told, [`broker 1 was started again as pid ${again}: stopping it too`]);
    assert.deepEqual([isAlive(mine, broker.data), isAlive(again, broker.data)], [false, false]);
  });

  // Whoever looks every moment must not end of what it sees there: its brokers would outlive it.
  for (const [what, gone, meddle] of [
    [
      "a file stands in place of their folder",
      true,
      () => {
        rmSync(folder, { recursive: true });
        writeFileSync(folder, "");
      },
    ],
    ["a folder stands in place of what says whose it is, and of their numbers", true, () => replaced((path) => mkdirSync(path))],
    ["neither can be read", false, () => replaced((path) => symlinkSync(path, path))],
    ["neither is what was written", false, () => replaced((path) => writeFileSync(path, "{"))],
  ] as const)
    it(`are its own, also where ${what}`, async () => {
      const mine = await start();
      const dev = new DevFolder(folder);
      dev.write({ folder, brokers: 1, port: 1, pid: process.pid });
      dev.writePid(broker, mine);
      meddle();
      assert.equal(dev.gone, gone);
      assert.equal(dev.pidOf(broker), mine);
      await stopBrokers(dev, [broker], talk(), { patienceMs: 5_000 });
      assert.equal(isAlive(mine, broker.data), false);
      assert.equal(dev.pidOf(broker), undefined);
    });

  /** Puts something else in place of the files that `dev` reads. */
  function replaced(make: (path: string) => void): void {
    for (const path of [join(folder, "dev.json"), broker.stateFile]) {
      rmSync(path);
      make(path);
    }
  }

  it("are not another's, when two claimed the folder at the same moment", async () => {
    const [mine, theirs] = [await start(), await start()];
    const [first, second] = [new DevFolder(folder), new DevFolder(folder)];
    first.write({ folder, brokers: 1, port: 1, pid: mine });
    second.write({ folder, brokers: 1, port: 1, pid: theirs });
    second.writePid(broker, theirs);
    first.writePid(broker, mine);
    assert.equal(new DevFolder(folder).pidOf(broker), theirs, "what the other wrote is there");
    await stopBrokers(second, [broker], talk(), { patienceMs: 5_000 });
    assert.deepEqual([isAlive(mine, broker.data), isAlive(theirs, broker.data)], [true, false]);
    await stopBrokers(first, [broker], talk(), { patienceMs: 5_000 });
    assert.equal(isAlive(mine, broker.data), false);
  });

  it("are its own first, and then whichever stands under their number", async () => {
    const [mine, other] = [await start(), await start()];
    const dev = new DevFolder(folder);
    dev.write({ folder, brokers: 1, port: 1, pid: process.pid });
    dev.writePid(broker, mine);
    new DevFolder(folder).writePid(broker, other);
    assert.equal(dev.pidOf(broker), mine);
    await stopBrokers(dev, [broker], talk(), { patienceMs: 5_000 });
    assert.deepEqual([isAlive(mine, broker.data), isAlive(other, broker.data)], [false, false]);
  });
});
