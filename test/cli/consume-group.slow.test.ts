import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { freePorts } from "../../chaos/free-ports.ts";
import { connect } from "../../src/client-entry.ts";
import { millrace } from "./run.ts";

const main = fileURLToPath(new URL("../../src/main.js", import.meta.url));
const SESSION_MS = 3_000;

/** A process and all it has said. */
class Running {
  readonly child: ChildProcess;
  readonly ended: Promise<number | null>;
  out = "";
  talk = "";
  #look: () => void = () => undefined;

  constructor(args: readonly string[]) {
    this.child = spawn(process.execPath, [main, ...args], { stdio: ["ignore", "pipe", "pipe"] });
    this.child.stdout?.on("data", (bytes: Buffer) => {
      this.out += bytes.toString();
      this.#look();
    });
    this.child.stderr?.on("data", (bytes: Buffer) => {
      this.talk += bytes.toString();
      this.#look();
    });
    this.ended = new Promise((resolve) => this.child.on("exit", resolve));
  }

  /** Resolves once stdout or stderr shows it; rejects when the process ended without. */
  said(what: RegExp): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#look = (): void => {
        if (what.test(this.out + this.talk)) resolve();
      };
      void this.ended.then(() => reject(new Error(`ended without ${what}: ${this.out}${this.talk}`)));
      this.#look();
    });
  }

  get lines(): readonly string[] {
    return this.out.split("\n").filter((line) => line !== "");
  }
}

describe("consume --group, and group consumers, on a real broker", { timeout: 120_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), "millrace-group-"));
  let broker: Running;
  let address: string;

  before(async () => {
    const [client, peer, admin] = (await freePorts(3)).map((port) => `127.0.0.1:${port}`);
    address = client as string;
    const places = ["--listen", address, "--peer-listen", String(peer), "--admin-listen", String(admin), "--seeds", `1@${peer}`];
    const sets = ["--set", `group.session.timeout.ms=${SESSION_MS}`, "--set", "group.heartbeat.interval.ms=500"];
    broker = new Running(["broker", "--id", "1", "--data", join(folder, "b1"), ...places, ...sets]);
    await broker.said(/broker\.running/);
    assert.equal((await millrace(["topic", "create", "t", "--partitions", "2", "--brokers", address])).code, 0);
    await produce("t", 20);
  });
  after(async () => {
    broker.child.kill("SIGKILL");
    await broker.ended;
    rmSync(folder, { recursive: true, force: true });
  });

  /** So many records to each of two partitions. */
  async function produce(topic: string, count: number): Promise<void> {
    const client = connect({ brokers: [address] });
    const producer = client.producer();
    await Promise.all(Array.from({ length: 2 * count }, (_, i) => producer.send({ topic, partition: i % 2, value: `${i}` })));
    await client.close();
  }

  /** Resolves once the coordinator says that nobody is in the group any more. */
  async function removed(group: string): Promise<void> {
    const client = connect({ brokers: [address] });
    const { groups } = client.admin();
    while ((await groups.describe(group)).members.length > 0) await new Promise((resolve) => setTimeout(resolve, 50));
    await client.close();
  }

  const member = (group: string, ...more: readonly string[]): Running =>
    new Running(["consume", "t", "-g", group, "-f", "%p %o\\n", "--brokers", address, ...more]);

  it("prints what it is given, leaves at Ctrl-C, and the next one goes on there", async () => {
    const first = member("one", "-n", "15");
    assert.equal(await first.ended, 0, first.talk);
    assert.equal(first.lines.length, 15);
    assert.match(first.talk, /assigned t 0 1\n[\s\S]*gave back t [\s\S]*consumed 15 records in group one\n$/);
    const second = member("one");
    await second.said(/(?:.*\n){25}/);
    second.child.kill("SIGINT");
    assert.equal(await second.ended, 0, second.talk);
    assert.equal(new Set([...first.lines, ...second.lines]).size, 40);
    assert.equal(second.lines.length, 25, "nothing twice");
    assert.match(second.talk, /consumed 25 records in group one \(interrupted\)\n$/);
  });

  it("by pattern prints the records of all topics that match, of one that is made meanwhile too", async () => {
    for (const topic of ["eu.orders", "other"])
      assert.equal((await millrace(["topic", "create", topic, "--partitions", "2", "--brokers", address])).code, 0);
    await produce("eu.orders", 2);
    await produce("other", 2);
    const args = ["-f", "%t %p %o\\n", "--brokers", address, "-n", "8"];
    const reading = new Running(["consume", "-g", "by-pattern", "--topic-pattern", "(eu|us)\\..*", ...args]);
    await reading.said(/(?:.*\n){4}/);
    assert.equal((await millrace(["topic", "create", "us.orders", "--partitions", "2", "--brokers", address])).code, 0);
    await produce("us.orders", 2);
    assert.equal(await reading.ended, 0, reading.talk);
    const expected = ["eu.orders", "us.orders"].flatMap((topic) =>
      [0, 1].flatMap((partition) => [0, 1].map((offset) => `${topic} ${partition} ${offset}`)),
    );
    assert.deepEqual([...reading.lines].sort(), expected);
    assert.match(reading.talk, /assigned eu\.orders 0 1\n[\s\S]*assigned us\.orders 0 1\n/);
    const bad = await millrace(["consume", "-g", "by-pattern", "--include", "eu(", "--brokers", address]);
    assert.equal(bad.code, 1);
    assert.match(bad.stderr, /INVALID_REQUEST: topic_pattern: a \( is not closed at position 3/);
  });

  it("one that was stopped for longer than its session has its late commit refused by name, shows that, and joins again", async () => {
    const stopped = member("two", "--handler-delay", "300ms");
    await stopped.said(/(?:.*\n){8}/);
    stopped.child.kill("SIGSTOP");
    await removed("two");
    stopped.child.kill("SIGCONT");
    await stopped.said(/commit of t .* refused: (?:UNKNOWN_MEMBER|MEMBER_FENCED): /);
    await stopped.said(/not a member of group two any more: .*; joining again[\s\S]*assigned t 0 1/);
    stopped.child.kill("SIGTERM");
    assert.equal(await stopped.ended, 0, stopped.talk);
  });

  it("a handler that blocks the thread for longer than the session moves no partition", async () => {
    const client = connect({ brokers: [address] });
    const lost: string[] = [];
    const consumer = client.consumer({ group: "three", onLost: (_, error) => void lost.push(error.code) });
    let handled = 0;
    await consumer.run({
      topics: ["t"],
      handler: () => {
        if (handled === 3) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2 * SESSION_MS);
        if (++handled === 40) consumer.close().catch(() => undefined);
      },
    });
    assert.deepEqual([handled, lost], [40, []]);
    const seen = await millrace(["consume", "t", "-g", "three", "-n", "1", "--brokers", address, "--from", "0"]);
    assert.equal(seen.code, 2, "an offset is no place for a group to begin");
    await client.close();
  });
});
