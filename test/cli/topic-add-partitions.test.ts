import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { AdminService } from "../../src/protocol/methods.ts";
import { type FakeBrokers, startFakeBrokers } from "./fake-broker.ts";
import { run } from "./run-here.ts";

describe("topic add-partitions", () => {
  let fake: FakeBrokers;
  before(async () => {
    fake = await startFakeBrokers(1);
    fake.cluster.addTopic("t", 3);
  });
  after(async () => {
    for (const server of fake.servers) await server.close(0);
  });
  const grow = (...args: string[]) => run(["topic", "add-partitions", ...args, "--brokers", fake.addresses.join(",")]);

  it("takes the new total, and says it with the old one", async () => {
    const { code, out, talk } = await grow("t", "--partitions", "5");
    assert.deepEqual([code, out], [0, "t has 5 partitions now, 3 before\n"], talk);
    assert.deepEqual(JSON.parse((await grow("t", "--partitions", "6", "--format", "json")).out), { name: "t", before: 5, after: 6 });
  });

  it("changes nothing with --validate-only or when the number is there already, and says so on stderr", async () => {
    const tried = await grow("t", "--partitions", "9", "--validate-only");
    assert.deepEqual([tried.code, tried.out], [0, ""]);
    assert.match(tried.talk, /could have 9 partitions; nothing was changed/);
    const same = await grow("t", "--partitions", "6");
    assert.deepEqual([same.code, same.out], [0, ""]);
    assert.match(same.talk, /has 6 partitions already/);
  });

  it("adds none to another topic that was made under the name after it was looked at", async () => {
    fake.cluster.addTopic("again", 1);
    fake.cluster.before.set(AdminService.AddPartitions.path, () => void fake.cluster.addTopic("again", 2));
    const { code, out, talk } = await grow("again", "--partitions", "4");
    assert.deepEqual([code, out, fake.cluster.logs("again").length], [3, "", 2], talk);
    assert.match(talk, /UNKNOWN_TOPIC/);
  });

  it("exits 1 for fewer, 2 without a number, 3 for no such topic", async () => {
    const fewer = await grow("t", "--partitions", "1");
    assert.equal(fewer.code, 1);
    assert.match(fewer.talk, /INVALID_REQUEST/);
    assert.equal((await grow("t")).code, 2);
    assert.equal((await grow("t", "--partitions", "0")).code, 2);
    assert.equal((await grow("absent", "--partitions", "4")).code, 3);
  });
});

describe("cluster config", () => {
  let fake: FakeBrokers;
  before(async () => {
    fake = await startFakeBrokers(1);
  });
  after(async () => {
    for (const server of fake.servers) await server.close(0);
  });
  const config = (...args: string[]) => run(["cluster", "config", ...args, "--brokers", fake.addresses.join(",")]);

  it("shows every setting with its value and where that comes from", async () => {
    const { code, out } = await config();
    assert.equal(code, 0);
    assert.match(out, /^SETTING +VALUE +SOURCE\n/);
    assert.match(out, /^acks\.min +NONE +default$/m);
    await config("--set", "acks.min=QUORUM");
    const lines = (await config("--format", "json")).out.trimEnd().split("\n");
    const acks = lines.map((line) => JSON.parse(line)).find(({ key }) => key === "acks.min");
    assert.deepEqual(acks, { key: "acks.min", value: "QUORUM", source: "cluster" });
  });

  it("changes settings, all or none, and shows them before and after", async () => {
    const { code, out } = await config("--set", "acks.min=ALL", "--reset", "segment.ms");
    assert.equal(code, 0);
    assert.match(out, /^acks\.min +QUORUM +ALL +cluster$/m);
    assert.match((await config("--reset", "acks.min")).out, /^acks\.min +ALL +NONE +default$/m);
    const tried = await config("--set", "acks.min=ALL", "--validate-only");
    assert.deepEqual([tried.code, tried.out], [0, ""]);
    assert.match((await config()).out, /^acks\.min +NONE +default$/m);
  });

  it("exits 1 for an unknown key, 2 for one both set and reset", async () => {
    const { code, talk } = await config("--set", "acks.mim=ALL");
    assert.equal(code, 1);
    assert.match(talk, /did you mean acks\.min\?/);
    assert.equal((await config("--set", "acks.min=ALL", "--reset", "acks.min")).code, 2);
    assert.equal((await config("--validate-only")).code, 2);
  });
});
