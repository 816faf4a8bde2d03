import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import { MillraceError } from "../../src/base/errors.ts";
import { supportedLevels, TOPIC_ID_LEVEL } from "../../src/cluster/feature-levels.ts";
import { AdminService, LogService } from "../../src/protocol/methods.ts";
import { type FakeBrokers, startFakeBrokers } from "./fake-broker.ts";
import { run } from "./run-here.ts";

describe("topic trim", () => {
  let fake: FakeBrokers;
  let topics = 0;
  let topic: string;

  before(async () => {
    fake = await startFakeBrokers(1);
  });
  after(async () => {
    for (const server of fake.servers) await server.close(0);
  });
  /** Two partitions: offsets 10 to 30, and none. */
  beforeEach(() => {
    fake.cluster.featureLevel = supportedLevels.max;
    topic = `t${topics++}`;
    fake.cluster.addTopic(topic, 2);
    const [first] = fake.cluster.logs(topic);
    Object.assign(first ?? assert.fail(), { logStart: 10, end: 30 });
  });

  const trim = (...args: string[]) => run(["topic", "trim", topic, "--brokers", fake.addresses.join(","), ...args]);
  const starts = (): number[] => fake.cluster.logs(topic).map((log) => log.logStart);

  it("shows what would go and changes nothing, unless told to", async () => {
    const { code, out, talk } = await trim("--before", "25");
    assert.deepEqual([code, out, starts()], [0, "", [10, 0]], talk);
    assert.match(talk, /PARTITION +START +BEFORE +END +RECORDS/);
    assert.match(talk, /^0 +10 +25 +30 +15$/m);
    assert.match(talk, /^1 +0 +25 +0 +0$/m);
    assert.match(talk, /15 records would go; nothing was changed\. Add --yes/);
  });

  it("with --yes does what it showed, and says where each partition begins", async () => {
    const { code, out, talk } = await trim("--before", "25", "--yes");
    assert.deepEqual([code, out, starts()], [0, `${topic}/0 begins at offset 25 now\n`, [25, 0]], talk);
    assert.match(talk, /^0 +10 +25 +30 +15$/m, "the plan comes first");
    const json = await trim("--before", "end", "--partition", "0", "--yes", "--format", "json");
    assert.deepEqual(JSON.parse(json.out), { topic, partition: 0, logStartOffset: 30 });
    assert.deepEqual(starts(), [30, 0]);
  });

  it("says so when nothing lies before that", async () => {
    const { code, out, talk } = await trim("--before", "10", "--yes");
    assert.deepEqual([code, out, starts()], [0, "", [10, 0]]);
    assert.match(talk, /holds no records before that; nothing was changed/);
  });

  it("trims nothing when a partition ends before the offset", async () => {
    const [, second] = fake.cluster.logs(topic);
    Object.assign(second ?? assert.fail(), { logStart: 2, end: 12 });
    for (const more of [[], ["--yes"]]) {
      const { code, out, talk } = await trim("--before", "25", ...more);
      assert.deepEqual([code, out, starts()], [1, "", [10, 2]], talk);
      assert.match(talk, /OFFSET_OUT_OF_RANGE: Cannot trim t\d+-1 to offset 25: it holds 2 to 12; nothing was changed \(name an offset/);
    }
    const both = await trim("--before", "40", "--yes");
    assert.match(both.talk, /-0 to offset 40: it holds 10 to 30, and 1 partition more; nothing was changed/);
    assert.equal((await trim("--before", "25", "-p", "0", "--yes")).code, 0);
    assert.deepEqual(starts(), [25, 2]);
  });

  it("fails with the reason of the partition that refused, after what went well", async () => {
    // Its log loses its end after it was looked at.
    fake.cluster.before.set(AdminService.TrimTopic.path, () => {
      Object.assign(fake.cluster.logs(topic)[0] ?? assert.fail(), { end: 20 });
    });
    const { code, out, talk } = await trim("--before", "30", "--partition", "0", "--yes");
    assert.equal(code, 1);
    assert.match(out, /\/0 was not trimmed: Cannot trim/);
    assert.match(talk, /OFFSET_OUT_OF_RANGE/);
    assert.deepEqual(starts(), [10, 0]);
  });

  it("trims nothing of another topic that was made under the name after it was looked at", async () => {
    fake.cluster.before.set(AdminService.TrimTopic.path, () => {
      for (const log of fake.cluster.addTopic(topic, 2)) log.end = 100;
    });
    const { code, talk } = await trim("--before", "25", "--yes");
    assert.equal(code, 3, talk);
    assert.match(talk, /UNKNOWN_TOPIC/);
    assert.deepEqual(starts(), [0, 0]);
  });

  it("is refused while brokers of before may take the call: they would go by the name (ADR 0020)", async () => {
    for (const level of [0, 1, TOPIC_ID_LEVEL - 1]) {
      fake.cluster.featureLevel = level;
      fake.cluster.before.set(AdminService.TrimTopic.path, () => {
        for (const log of fake.cluster.addTopic(topic, 2)) log.end = 100;
      });
      const { code, out, talk } = await trim("--before", "25", "--yes");
      assert.deepEqual([code, out, starts()], [1, "", [10, 0]], talk);
      assert.match(talk, /UNSUPPORTED_FEATURE_LEVEL/);
      assert.match(talk, new RegExp(`Cannot trim topic ${topic} by its id: the cluster is at feature level ${Math.max(1, level)}`));
      assert.match(talk, /start every registered broker with version \d/);
      assert.match((await trim("--before", "25")).talk, /15 records would go; nothing was changed/, "to look is fine");
    }
    fake.cluster.before.clear();
    fake.cluster.featureLevel = TOPIC_ID_LEVEL;
    assert.equal((await trim("--before", "25", "--yes")).code, 0);
    assert.deepEqual(starts(), [25, 0]);
  });

  it("waits for a partition that has no leader, instead of leaving it out without a word", async () => {
    const { before, refusals } = fake.cluster;
    const second = fake.cluster.logs(topic)[1] ?? assert.fail();
    refusals.set(second, new MillraceError("LEADER_UNKNOWN", "no leader"));
    before.set(LogService.ListOffsets.path, () => before.set(LogService.ListOffsets.path, () => refusals.clear()));
    const { code, talk } = await trim("--before", "25");
    assert.equal(code, 0);
    assert.match(talk, /^1 +0 +25 +0 +0$/m);
  });

  it("exits 2 without --before, or with one that names no place to trim to", async () => {
    for (const args of [[], ["--before", "start"], ["--before", "+5"], ["--before=-5"], ["--before", "yesterday"]])
      assert.equal((await trim(...args)).code, 2, args.join(" "));
    assert.equal((await run(["topic", "trim", "absent", "--before", "1", "--brokers", fake.addresses.join(",")])).code, 3);
  });
});
