import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { GroupConsumer } from "../../../src/client/group/group-consumer.ts";
import type { FencingToken } from "../../../src/client/group/options.ts";
import { type ProcessLife, startCluster, type TestCluster } from "../../../src/testing/kit/index.ts";
import { SeededRandom } from "../fake/world.ts";

const PARTITIONS = 4;
const BROKERS = 3;
const FAULTS_MS = 40_000;

/** What a database does that compares tokens: each record has its effect once, and in order. */
class Store {
  readonly #places = new Map<number, { epoch: number; next: number }>();
  readonly wrong: string[] = [];
  refused = 0;

  next(partition: number): number {
    return this.#places.get(partition)?.next ?? 0;
  }

  write(by: string, { partition, memberEpoch, offset }: FencingToken): void {
    const place = this.#places.get(partition) ?? { epoch: 0, next: 0 };
    if (memberEpoch < place.epoch || offset < place.next) {
      this.refused++;
      return;
    }
    if (offset > place.next) this.wrong.push(`${by} at epoch ${memberEpoch}: ${partition}/${place.next} was left out, ${offset} comes`);
    this.#places.set(partition, { epoch: memberEpoch, next: offset + 1 });
  }
}

/** Members that come, leave, die and come back, on a cluster of which one broker at a time is in trouble. */
class Run {
  readonly random: SeededRandom;
  readonly store = new Store();
  readonly sent: number[] = new Array<number>(PARTITIONS).fill(0);
  readonly faults = new Set<string>();
  readonly #cluster: TestCluster;
  readonly #consumers = new Map<string, GroupConsumer>();
  #over = false;
  /** How runs ended that were not to. */
  readonly ended: string[] = [];

  constructor(cluster: TestCluster, seed: number) {
    this.#cluster = cluster;
    this.random = new SeededRandom(seed);
  }

  start(name: string): void {
    const process = this.#cluster.process(name);
    if (process.running || this.#over) return;
    const { random } = this;
    const slow = random.below(3) === 0 ? 400 : 30;
    process.start((self) => this.#work(name, self, slow)).catch((error: unknown) => this.ended.push(`${name}: ${String(error)}`));
  }

  async #work(name: string, self: ProcessLife, slow: number): Promise<void> {
    const { random } = this;
    const client = self.client();
    const consumer = client.consumer({
      group: "g",
      commitIntervalMs: 100 + random.below(500),
      rebalanceTimeoutMs: 5_000,
      bufferBytesMax: random.below(2) === 0 ? 2_000 : 1_000_000,
      ...(name.endsWith("s") ? { instanceId: name } : {}),
    });
    this.#consumers.set(name, consumer);
    let stuck = random.below(4) === 0;
    await consumer.run({
      topics: ["t"],
      concurrency: 1 + random.below(PARTITIONS),
      handlerTimeoutMs: 4_000,
      handler: async (_, { token }) => {
        if (stuck && random.below(100) === 0) {
          stuck = false;
          this.faults.add("stuck handler");
          await new Promise(() => undefined);
        }
        if (random.below(50) === 0) throw new Error("not this time");
        await self.sleep(random.below(slow));
        this.store.write(name, token);
      },
    });
    await client.close();
  }

  /** @returns once it has left, or its process is dead */
  async leave(name: string, timeoutMs: number): Promise<void> {
    const process = this.#cluster.process(name);
    void this.#consumers.get(name)?.close({ timeoutMs });
    await this.#cluster.until(() => !process.running, { within: timeoutMs + 25_000 });
  }

  async produce(): Promise<void> {
    const producer = this.#cluster.client("writer").producer();
    while (!this.#over) {
      const partition = this.random.below(PARTITIONS);
      await producer.send({ topic: "t", partition, value: "x".repeat(1 + this.random.below(300)) });
      this.sent[partition] = (this.sent[partition] ?? 0) + 1;
      await this.#cluster.run(this.random.below(30));
    }
  }

  async trouble(names: readonly string[]): Promise<void> {
    const cluster = this.#cluster;
    const { random } = this;
    const until = cluster.now + FAULTS_MS;
    const broker = () => cluster.broker(1 + random.below(BROKERS));
    const name = () => names[random.below(names.length)] ?? "a";
    const faults: Readonly<Record<string, () => Promise<void>>> = {
      crash: async () => {
        const one = broker();
        one.crash();
        await cluster.run(random.below(4_000));
        one.start();
        await cluster.until(() => one.running);
      },
      pause: async () => {
        const one = broker();
        one.pause();
        await cluster.run(random.below(9_000));
        one.resume();
      },
      cut: async () => {
        const who = name();
        for (let id = 1; id <= BROKERS; id++) if (random.below(3) > 0) cluster.broker(id).cutFrom(who);
        await cluster.run(random.below(random.below(3) === 0 ? 60_000 : 8_000));
        cluster.heal();
      },
      die: async () => cluster.process(name()).crash(),
      leave: () => this.leave(name(), 1 + random.below(3_000)),
      come: async () => this.start(name()),
    };
    while (cluster.now < until) {
      const [kind, fault] = Object.entries(faults)[random.below(6)] as [string, () => Promise<void>];
      this.faults.add(kind);
      await fault();
      await cluster.run(random.below(2_000));
      this.start(name());
    }
    this.#over = true;
  }
}

describe("GroupConsumer on whole brokers in trouble", () => {
  const seen = new Set<string>();
  let refused = 0;

  for (const seed of [1, 2, 3, 4, 5, 6])
    it(`leaves nothing out, has each effect once and in order, commits the ends, and always comes to its end (seed ${seed})`, async () => {
      await using cluster = await startCluster({ brokers: BROKERS, seed });
      const run = new Run(cluster, seed);
      const admin = cluster.client("writer").admin();
      await admin.createTopic({ name: "t", partitions: PARTITIONS });
      const names = ["a", "b", "c-s"];
      for (const name of names) cluster.process(name);
      run.start("a");
      const producing = run.produce();
      await run.trouble(names);
      await producing;
      cluster.heal();
      if (!names.some((name) => cluster.process(name).running)) assert.fail("somebody works");
      const done = (): boolean => run.store.wrong.length > 0 || run.sent.every((count, partition) => run.store.next(partition) >= count);
      await cluster.until(done, { within: 600_000 });
      assert.deepEqual(run.store.wrong, []);
      await Promise.all(names.map((name) => run.leave(name, 5_000)));
      const committed = await admin.groups.offsets("g");
      for (const [partition, count] of run.sent.entries())
        assert.equal(committed.find((one) => one.partition === partition)?.offset ?? 0, count);
      assert.deepEqual(run.ended, []);
      for (const fault of run.faults) seen.add(fault);
      refused += run.store.refused;
    });

  it("had all of its troubles, and writes that were refused", () => {
    assert.deepEqual([...seen].sort(), ["come", "crash", "cut", "die", "leave", "pause", "stuck handler"]);
    assert.ok(refused > 0);
  });
});
