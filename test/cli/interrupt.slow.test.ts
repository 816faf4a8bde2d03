import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { LogService } from "../../src/protocol/methods.ts";
import type { CliCluster } from "./cli-cluster.ts";
import { startAgain, startFakeBroker } from "./fake-broker.ts";
import { begin, run } from "./run-here.ts";

const ctrlC = (): void => void process.emit("SIGINT");

describe("Ctrl-C", { timeout: 60_000 }, () => {
  let address: string;
  let cluster: CliCluster;
  let close: () => Promise<void>;
  let folder: string;
  let file: string;

  before(async () => {
    const fake = await startFakeBroker();
    address = fake.address;
    cluster = fake.cluster;
    close = () => fake.server.close(0);
    folder = mkdtempSync(join(tmpdir(), "millrace-interrupt-"));
    file = join(folder, "lines");
    writeFileSync(file, Array.from({ length: 1000 }, (_, i) => `line ${i}\n`).join(""));
  });
  after(async () => {
    await close();
    rmSync(folder, { recursive: true, force: true });
  });

  it("ends produce with what was acknowledged, exit 0", async () => {
    cluster.addTopic("slow", 1);
    const producing = begin(["produce", "slow", "--file", file, "--rate", "20", "--brokers", address]);
    while ((cluster.logs("slow")[0]?.end ?? 0) < 3) await new Promise((resolve) => setTimeout(resolve, 10));
    ctrlC();
    const { code, talk } = await producing.ended;
    assert.equal(code, 0, talk);
    const [, records] = /produced interrupted: (\d+) records, .*; 0 failed, /.exec(talk) ?? [];
    assert.equal(Number(records), cluster.logs("slow")[0]?.end);
    assert.equal(process.listenerCount("SIGINT"), 0);
  });

  it("twice gives acknowledgements up that do not come, says how many are of unknown outcome, and exits 1", async () => {
    cluster.addTopic("held", 1);
    const serve = cluster.serve.bind(cluster);
    // The first message of a stream grants credit; those that acknowledge are lost.
    cluster.serve = (path, wire) => {
      let replies = 0;
      const reply = (message: Uint8Array): void => void (replies++ === 0 && wire.reply(message));
      return serve(path, path === LogService.ProduceStream.path ? { ...wire, reply } : wire);
    };
    const few = join(folder, "few");
    writeFileSync(few, "a\nb\nc\n");
    const producing = begin(["produce", "held", "--file", few, "--brokers", address]);
    while (cluster.logs("held")[0]?.end !== 3) await new Promise((resolve) => setTimeout(resolve, 10));
    ctrlC();
    await producing.said(/interrupted: waiting for 3 acknowledgements; Ctrl-C again gives them up/);
    ctrlC();
    const { code, talk } = await producing.ended;
    cluster.serve = serve;
    assert.equal(code, 1);
    assert.match(talk, /^produced interrupted: 0 records, 0 bytes in .*; 0 failed, outcome unknown of 3, 0 batches sent again$/m);
    assert.match(talk, /^millrace: 3 records of unknown outcome: given up before the acknowledgement$/m);
    assert.equal(process.listenerCount("SIGINT"), 0);
  });

  it("ends consume with how much it read and how far it came, exit 0", async () => {
    cluster.addTopic("two", 2);
    assert.equal((await run(["produce", "two", "--file", file, "-p", "1", "--brokers", address])).code, 0);
    const few = join(folder, "one");
    writeFileSync(few, "alone\n");
    assert.equal((await run(["produce", "two", "--file", few, "-p", "0", "--brokers", address])).code, 0);
    const reading = begin(["consume", "two", "--follow", "--brokers", address]);
    await reading.said(/alone/);
    await reading.said(/line 999\n/);
    ctrlC();
    const { code, talk } = await reading.ended;
    assert.equal(code, 0);
    assert.equal(talk, "consumed 1001 records (interrupted); last offset by partition 0:0 1:999\n");
  });

  it("is not needed to learn that consume --follow hears from nobody: it says so once, and once when somebody is back", async () => {
    const fake = await startFakeBroker();
    fake.cluster.addTopic("quiet", 1);
    const reading = begin(["consume", "quiet", "--follow", "--brokers", fake.address]);
    while (!fake.cluster.calls.some((call) => call.includes("Subscribe")) && fake.server.openCalls === 0)
      await new Promise((resolve) => setTimeout(resolve, 10));
    await fake.server.close(0);
    await reading.said(/no broker can be reached; trying again/);
    const again = await startAgain(fake.cluster, fake.address);
    await reading.said(/a broker can be reached again; going on/);
    ctrlC();
    const { code, talk } = await reading.ended;
    await again.close(0);
    assert.equal(code, 0);
    assert.deepEqual(talk.trimEnd().split("\n"), [
      "no broker can be reached; trying again",
      "a broker can be reached again; going on",
      "consumed 0 records (interrupted)",
    ]);
  });
});
