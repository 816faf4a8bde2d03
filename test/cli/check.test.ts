import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { spread } from "../../src/cli/check/report.ts";
import { LogService } from "../../src/protocol/methods.ts";
import { type FakeBrokers, startFakeBrokers } from "./fake-broker.ts";
import { run } from "./run-here.ts";

describe("check", () => {
  let fake: FakeBrokers;
  let flags: string[];

  before(async () => {
    fake = await startFakeBrokers(3);
    flags = ["--brokers", fake.addresses.join(","), "-n", "12"];
  });
  after(async () => {
    for (const server of fake.servers) await server.close(0);
  });

  async function checkJson(...args: string[]) {
    const { code, out, talk } = await run(["check", ...flags, "--format", "json", ...args]);
    return { code, talk, report: JSON.parse(out) as { verdict: string; written: number; brokers: Record<string, unknown>[] } };
  }

  it("creates its topic, writes at acks=all and reads everything back through every broker", async () => {
    const { code, out, talk } = await run(["check", ...flags]);
    assert.equal(code, 0, talk);
    const [head, names, ...rows] = out.trimEnd().split("\n");
    assert.match(head ?? "", /^millrace-check: 12 of 12 records written to 3 partitions at acks=all: p50 [\d.]+ ms, p99 [\d.]+ ms, max/);
    assert.match(names ?? "", /^BROKER +ADDRESS +READ +MISSING +CHANGED +FETCH P50 +MAX +RESULT$/);
    assert.deepEqual(
      rows.map((row) => row.split(/ {2,}/).filter((_, column) => [0, 1, 2, 3, 4, 7].includes(column))),
      fake.addresses.map((address, i) => [`${i + 1}`, address, "12", "0", "0", "ok"]),
    );
    assert.equal(fake.cluster.logs("millrace-check").length, 3);
  });

  it("uses the topic again, and reads only what it wrote itself", async () => {
    const { code, report } = await checkJson();
    assert.equal(code, 0);
    assert.deepEqual(
      report.brokers.map(({ read, missing, changed, error }) => [read, missing, changed, error]),
      fake.addresses.map(() => [12, 0, 0, null]),
    );
  });

  it("exits 1 when a broker gives back less than was acknowledged, or something else, and says which", async () => {
    const [, second = "", third = ""] = fake.addresses;
    fake.cluster.lies.set(second, "forgets").set(third, "changes");
    const { code, talk, report } = await checkJson();
    fake.cluster.lies.clear();
    assert.equal(code, 1);
    assert.deepEqual(
      report.brokers.map(({ read, missing, changed }) => [read, missing, changed]),
      [
        [12, 0, 0],
        [0, 12, 0],
        [0, 0, 12],
      ],
    );
    assert.match(talk, /did not come back as they were written: broker 2: 12 missing, 0 changed; broker 3: 0 missing, 12 changed/);
  });

  it("judges no record by another topic that was made under the name: exit 3, not 1", async () => {
    fake.cluster.before.set(LogService.Fetch.path, () => void fake.cluster.addTopic("millrace-check", 3));
    const { code, talk, report } = await checkJson();
    assert.equal(code, 3, talk);
    assert.deepEqual(
      report.brokers.map(({ read, missing, changed, error }) => [read, missing, changed, error]),
      fake.addresses.map(() => [0, 0, 0, "UNKNOWN_TOPIC"]),
    );
  });

  it("exits 3 when a record cannot be written in time", async () => {
    fake.cluster.faults = { ...fake.cluster.faults, refuse: 1 };
    const { code, talk, report } = await checkJson("--timeout", "300ms");
    fake.cluster.faults = { ...fake.cluster.faults, refuse: 0 };
    assert.equal(code, 3, talk);
    assert.equal(report.written, 0);
    assert.match(talk, /a record could not be written: /);
  });

  it("exits 3 when a broker cannot be read through, and names it", async () => {
    await fake.servers[2]?.close(0);
    const logs = fake.cluster.addTopic("led-by-two", 2);
    for (const log of logs) log.leader = fake.addresses[0] ?? "";
    const { code, talk, report } = await checkJson("--topic", "led-by-two");
    assert.equal(code, 3, talk);
    assert.match(talk, /broker 3 could not be read through: BROKERS_UNREACHABLE/);
    assert.deepEqual(
      report.brokers.map(({ read, error }) => [read, error]),
      [
        [12, null],
        [12, null],
        [0, "BROKERS_UNREACHABLE"],
      ],
    );
  });

  it("exits 3 when nobody is there, and 2 for a number of records that is none", async () => {
    assert.equal((await run(["check", "--brokers", "127.0.0.1:1"])).code, 3);
    assert.equal((await run(["check", "-n", "0"])).code, 2);
  });
});

describe("spread", () => {
  it("takes the nearest rank, and null when there is nothing", () => {
    const values = Array.from({ length: 200 }, (_, i) => 200 - i);
    assert.deepEqual(spread(values), { p50: 100, p99: 198, max: 200 });
    assert.deepEqual(spread([7]), { p50: 7, p99: 7, max: 7 });
    assert.deepEqual(spread([]), { p50: null, p99: null, max: null });
  });
});
