import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { BrokerConfig } from "../../src/base/broker-config.ts";
import { Acks } from "../../src/protocol/public.ts";
import { Cluster, recordSet } from "./harness.ts";
import * as rpc from "./stubs.ts";

const KiB = 1024;
const CEILING = 4 * KiB * KiB;
const BATCH = "x".repeat(200 * KiB);
const configure = (config: BrokerConfig): BrokerConfig => ({
  ...config,
  limits: { ...config.limits, catchUpBytesPerSecond: CEILING },
  log: { ...config.log, hotTailBytes: 64 * KiB },
});

/**
 * Broker 1 leads a partition that broker 3 is far behind in, and another one, which takes a record now and then that both write. The disk
 * of broker `slow` is slow for some seconds.
 *
 * @returns the highest rate before that, during its last two seconds, and after it, in parts of the ceiling
 */
async function rates(seed: number, slow: number): Promise<{ readonly before: number; readonly meanwhile: number; readonly after: number }> {
  const cluster = await Cluster.start({ seed, configure });
  for (const topic of ["far-behind", "other"]) {
    await cluster.createTopic(topic);
    await cluster.moveLeader(topic, 0, 1);
  }
  const group = await cluster.groupOf("far-behind", 0);
  cluster.kill(3);
  for (let n = 0; n < 70; n++)
    await cluster.call(1, rpc.Produce, { topic: "far-behind", acks: Acks.quorum, records: recordSet([`${n} ${BATCH}`]) });
  cluster.boot(3);
  const extending = (): boolean => cluster.replica(3, group)?.core.extending !== undefined;
  await cluster.until(extending, "bulk catch-up has begun");
  const highest = async (ms: number): Promise<number> => {
    let most = 0;
    for (const until = cluster.world.now + ms; cluster.world.now < until; ) {
      await cluster.call(1, rpc.Produce, { topic: "other", acks: Acks.leader, records: recordSet(["x"]) });
      await cluster.pass(10);
      most = Math.max(most, cluster.broker(1).numbers?.catchUpBytesPerSecond ?? 0);
    }
    return most / CEILING;
  };
  const before = await highest(2_000);
  cluster.disk(slow).slowness = 20;
  await highest(1_500);
  const meanwhile = await highest(2_000);
  cluster.disk(slow).slowness = 1;
  const after = await highest(2_000);
  assert.ok(extending(), "all of this while it is caught up");
  await cluster.until(() => cluster.replica(3, group)?.core.commit === cluster.replica(1, group)?.core.lastIndex, "it has everything");
  cluster.close();
  return { before, meanwhile, after };
}

describe("What a follower that is far behind is sent", () => {
  for (const [whose, slow] of [
    ["its own broker", 3],
    ["its leader's broker", 1],
  ] as const)
    it(`becomes little while records of ${whose} wait for their disk for longer than they did, and more again after`, async () => {
      const { before, meanwhile, after } = await rates(10 + slow, slow);
      assert.ok(before > 0.2, `before: ${before}`);
      // The rate goes in steps, and which is the highest of two seconds depends on when they begin.
      assert.ok(meanwhile < 0.7 * before, `meanwhile: ${before} to ${meanwhile}`);
      assert.ok(after > 1.5 * meanwhile, `after: ${meanwhile} to ${after}`);
    });
});
