import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Client } from "../../../src/client/client.ts";
import type { GroupConsumer } from "../../../src/client/group/group-consumer.ts";
import { startCluster, type TestCluster } from "../../../src/testing/kit/index.ts";
import { range } from "./members.ts";

const PARTITIONS = 4;
const RECORDS = 60;

interface Handled {
  readonly by: string;
  readonly partition: number;
  readonly offset: number;
  readonly epoch: number;
}

/** Members on machines of their own, and records in every partition. */
class Scene {
  readonly cluster: TestCluster;
  readonly handled: Handled[] = [];
  readonly told: string[] = [];
  readonly clients = new Map<string, Client>();

  constructor(cluster: TestCluster) {
    this.cluster = cluster;
  }

  async fill(topic: string, count: number): Promise<void> {
    const producer = this.cluster.client("writer").producer();
    const sent = range(0, count * PARTITIONS).map((n) => producer.send({ topic, partition: n % PARTITIONS, value: String(n) }));
    await Promise.all(sent);
  }

  member(name: string, topic: string, delayMs: number): GroupConsumer {
    const client = this.cluster.client(name);
    this.clients.set(name, client);
    const consumer = client.consumer({
      group: "g",
      onLost: (partitions, error) => void this.told.push(`${name} lost ${partitions.length} ${error.code}`),
      onCommitRefused: (positions, error) => void this.told.push(`${name} refused ${positions.length} ${error.code}`),
    });
    consumer
      .run({
        topics: [topic],
        handler: async ({ partition, offset }, { token }) => {
          await this.cluster.run(delayMs);
          this.handled.push({ by: name, partition, offset, epoch: token.memberEpoch });
        },
      })
      .catch((error: unknown) => this.told.push(`${name} failed ${String(error)}`));
    return consumer;
  }

  get seen(): number {
    return new Set(this.handled.map(({ partition, offset }) => `${partition} ${offset}`)).size;
  }
}

describe("GroupConsumer on whole brokers", () => {
  it("shares partitions, keeps them over a crash of the coordinator, and leaves nothing out", async () => {
    await using cluster = await startCluster({ brokers: 3, seed: 41 });
    const scene = new Scene(cluster);
    await cluster.client("writer").admin().createTopic({ name: "t", partitions: PARTITIONS });
    await scene.fill("t", RECORDS);
    const a = scene.member("a", "t", 20);
    const b = scene.member("b", "t", 20);
    await cluster.until(() => a.partitions.length === 2 && b.partitions.length === 2 && scene.handled.length > 20);
    cluster.broker(1).crash();
    await cluster.run(2_000);
    cluster.broker(1).start();
    await cluster.until(() => scene.seen === RECORDS * PARTITIONS);
    const c = scene.member("c", "t", 20);
    await scene.fill("t", RECORDS);
    await cluster.until(() => scene.seen === 2 * RECORDS * PARTITIONS && c.partitions.length > 0);
    await Promise.all([a.close(), b.close(), c.close()]);
    assert.deepEqual(scene.told, []);
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const offsets = scene.handled.filter((each) => each.partition === partition).map(({ offset }) => offset);
      assert.deepEqual(offsets, range(0, 2 * RECORDS), "each once: nobody was ever thrown out");
    }
  });

  it("a member that is cut off loses what it has to the others, has its late commit refused, and comes back", async () => {
    await using cluster = await startCluster({ brokers: 3, seed: 42 });
    const scene = new Scene(cluster);
    await cluster.client("writer").admin().createTopic({ name: "t", partitions: PARTITIONS });
    await scene.fill("t", RECORDS);
    const a = scene.member("a", "t", 200);
    const b = scene.member("b", "t", 200);
    await cluster.until(() => a.partitions.length === 2 && b.partitions.length === 2 && scene.handled.length > 8);
    cluster.split(["a"], [1, 2, 3, "b", "writer"]);
    await cluster.run(60_000);
    assert.equal(b.partitions.length, PARTITIONS);
    cluster.heal();
    await cluster.until(() => scene.told.some((what) => what.startsWith("a lost 2")));
    await cluster.until(() => a.partitions.length === 2 && scene.seen === RECORDS * PARTITIONS);
    await Promise.all([a.close(), b.close()]);
    assert.ok(scene.told.includes("a refused 2 UNKNOWN_MEMBER") || scene.told.includes("a refused 2 MEMBER_FENCED"), scene.told.join("; "));
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const ofPartition = scene.handled.filter((each) => each.partition === partition);
      for (const by of ["a", "b"]) {
        const offsets = ofPartition.filter((each) => each.by === by).map(({ offset }) => offset);
        assert.deepEqual(
          offsets,
          [...new Set(offsets)].sort((x, y) => x - y),
          `${by} goes forwards`,
        );
      }
    }
  });

  it("a handler may close its consumer: what it does then counts, and the group is left", async () => {
    await using cluster = await startCluster({ brokers: 1, seed: 43 });
    const client = cluster.client("a");
    await client.admin().createTopic({ name: "t", partitions: 1 });
    await client.producer().send({ topic: "t", value: "one" });
    const consumer = client.consumer({ group: "g" });
    let took = -1;
    const handler = async (): Promise<void> => {
      await cluster.run(100);
      const at = cluster.now;
      await consumer.close();
      took = cluster.now - at;
    };
    await consumer.run({ topics: ["t"], handler });
    assert.ok(took >= 0 && took < 1_000, `${took}`);
    const [committed] = await client.admin().groups.offsets("g");
    assert.equal(committed?.offset, 1);
    assert.deepEqual((await client.admin().groups.describe("g")).members, []);
  });
});
