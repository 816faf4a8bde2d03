import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
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
});
