import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import { supportedLevels, TOPIC_ID_LEVEL } from "../../src/cluster/feature-levels.ts";
import { AdminService } from "../../src/protocol/methods.ts";
import { defaultOf } from "./cli-cluster.ts";
import { type FakeBrokers, startFakeBrokers } from "./fake-broker.ts";
import { run } from "./run-here.ts";

describe("topic alter", () => {
  let fake: FakeBrokers;
  let topics = 0;
  let topic: string;

  before(async () => {
    fake = await startFakeBrokers(1);
  });
  after(async () => {
    for (const server of fake.servers) await server.close(0);
  });
  beforeEach(() => {
    topic = `t${topics++}`;
    fake.cluster.addTopic(topic, 1);
  });

  const alter = (...args: string[]) => run(["topic", "alter", topic, "--brokers", fake.addresses.join(","), ...args]);

  it("shows what it changed, before and after, and nothing else", async () => {
    assert.equal((await alter("--config", "acks.min=QUORUM")).code, 0);
    const { code, out, talk } = await alter("--config", "retention.ms=86400000", "--reset", "acks.min");
    assert.equal(code, 0, talk);
    const rows = out
      .trimEnd()
      .split("\n")
      .map((line) => line.split(/ {2,}/));
    assert.deepEqual(rows, [
      ["SETTING", "BEFORE", "AFTER", "SOURCE"],
      ["acks.min", "QUORUM", "NONE", "default"],
      ["retention.ms", defaultOf("retention.ms"), "86400000", "topic"],
    ]);
  });

  it("alters no other topic that was made under the name after it was looked at", async () => {
    fake.cluster.before.set(AdminService.AlterTopic.path, () => void fake.cluster.addTopic(topic, 1));
    const { code, out, talk } = await alter("--config", "acks.min=QUORUM");
    assert.deepEqual([code, out], [3, ""], talk);
    assert.match(talk, /UNKNOWN_TOPIC/);
    assert.match((await alter("--reset", "acks.min")).out, /^acks\.min +NONE +NONE +default$/m);
  });

  it("goes by the name while brokers of before may take the call", async () => {
    fake.cluster.featureLevel = TOPIC_ID_LEVEL - 1;
    const { code, out, talk } = await alter("--config", "acks.min=QUORUM");
    fake.cluster.featureLevel = supportedLevels.max;
    assert.equal(code, 0, talk);
    assert.match(out, /^acks\.min +NONE +QUORUM +topic$/m);
  });

  it("says it as JSON, one setting a line, and knows --set too", async () => {
    const { out } = await alter("--set", "acks.min=ALL", "--format", "json");
    assert.deepEqual(JSON.parse(out), { key: "acks.min", before: "NONE", after: "ALL", source: "topic" });
  });

  it("changes nothing with --validate-only, and prints no data", async () => {
    const { code, out, talk } = await alter("--config", "acks.min=ALL", "--validate-only");
    assert.deepEqual([code, out], [0, ""]);
    assert.match(talk, /could be altered so; nothing was changed/);
    assert.match((await alter("--config", "acks.min=LEADER")).out, /acks\.min +NONE +LEADER/);
  });

  it("passes on why a setting is refused, with the nearest known key", async () => {
    const { code, talk } = await alter("--config", "retention.mss=1");
    assert.equal(code, 1);
    assert.match(talk, /INVALID_CONFIG: .*did you mean retention\.ms\?/);
    assert.equal((await run(["topic", "alter", "absent", "--reset", "acks.min", "--brokers", fake.addresses.join(",")])).code, 3);
  });

  it("exits 2 when there is nothing to change, or one key is both set and reset", async () => {
    assert.equal((await alter()).code, 2);
    const { code, talk } = await alter("--config", "acks.min=ALL", "--reset", "acks.min");
    assert.equal(code, 2);
    assert.match(talk, /acks\.min is both set and reset/);
    assert.match((await alter("--reset", "acks.min", "--reset", "acks.min")).out, /acks\.min +NONE +NONE +default/);
  });
});
