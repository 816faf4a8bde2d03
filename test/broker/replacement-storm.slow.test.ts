import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type GroupId, METADATA_GROUP } from "../../src/base/ids.ts";
import { Acks } from "../../src/protocol/public.ts";
import { SimRandom } from "../../src/testing/sim/random.ts";
import { Cluster, recordSet } from "./harness.ts";
import * as stubs from "./stubs.ts";

/** STORM_SEEDS widens a hunt, STORM_SEED begins elsewhere. */
const FIRST = Number(process.env["STORM_SEED"] ?? 1);
const SEEDS = Number(process.env["STORM_SEEDS"] ?? 2);
const PARTITIONS = 3;
const HEALTHY_MS = 120_000;

/**
 * Disks are lost one after the other, each once all is healthy again, and whoever helps to replace what was on them is killed at any moment.
 * What was acknowledged must be read through the broker that lost its disk last (L2).
 */
describe("Disks lost one after the other, with brokers killed while replicas are being replaced", () => {
  for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
    it(`lose nothing that was acknowledged, and end healthy (seed ${seed})`, async () => {
      const storm = new Storm(await Cluster.start({ seed }), new SimRandom(seed));
      await storm.begin();
      for (let round = 0; round < 3; round++) await storm.round();
      storm.end();
    });
  }
});

class Storm {
  readonly #cluster: Cluster;
  readonly #random: SimRandom;
  readonly #acknowledged: string[][] = Array.from({ length: PARTITIONS }, () => []);
  #written = 0;
  #groups: readonly GroupId[] = [];
  /** Brokers whose start failed. */
  readonly #refused = new Set<number>();

  constructor(cluster: Cluster, random: SimRandom) {
    this.#cluster = cluster;
    this.#random = random;
  }

  async begin(): Promise<void> {
    await this.#cluster.createTopic("t", PARTITIONS);
    const groups: GroupId[] = [METADATA_GROUP];
    for (let partition = 0; partition < PARTITIONS; partition++) groups.push(await this.#cluster.groupOf("t", partition));
    this.#groups = groups;
  }

  async round(): Promise<void> {
    const cluster = this.#cluster;
    const lost = this.#random.pick(cluster.numbers);
    cluster.kill(lost);
    cluster.disk(lost).replace();
    // Until the session of the former disk is over.
    for (let i = 0; i < 12; i++) {
      await this.#write();
      await cluster.pass(1_000);
    }
    this.#boot(lost);
    for (let i = 0; i < 14; i++) {
      await this.#write();
      await cluster.pass(this.#random.below(400));
      if (this.#random.below(4) === 0) await this.#killSomebody();
    }
    await this.#healthy();
    for (const [partition, values] of this.#acknowledged.entries()) {
      const read = new Set(await cluster.values("t", partition, lost));
      assert.deepEqual(
        values.filter((value) => !read.has(value)),
        [],
        `partition ${partition} lost nothing`,
      );
    }
  }

  /** Everybody agrees about who votes, and it is the three that are there. */
  end(): void {
    const cluster = this.#cluster;
    for (const group of this.#groups) {
      const ids = cluster.numbers.map((n) => cluster.replica(n, group)?.id).sort();
      for (const n of cluster.numbers) assert.deepEqual([...(cluster.replica(n, group)?.core.configuration.voters ?? [])].sort(), ids);
    }
    cluster.close();
  }

  async #write(): Promise<void> {
    const partition = this.#random.below(PARTITIONS);
    const value = `v${this.#written++}`;
    const request = { topic: "t", partition, records: recordSet([value]), acks: Acks.quorum };
    try {
      await this.#cluster.call(this.#random.pick(this.#cluster.alive), stubs.Produce, request, { timeoutMs: 3_000 });
      this.#acknowledged[partition]?.push(value);
    } catch (error) {
      // Refused, of unknown outcome, or nobody there: nothing was promised.
      if (error instanceof assert.AssertionError) throw error;
    }
  }

  async #killSomebody(): Promise<void> {
    const victim = this.#random.pick(this.#cluster.alive);
    if (this.#random.below(2) === 0) this.#cluster.kill(victim);
    else this.#cluster.powerCut(victim);
    await this.#cluster.pass(this.#random.below(900));
    this.#boot(victim);
  }

  #boot(n: number): void {
    this.#refused.delete(n);
    this.#cluster.boot(n);
    this.#cluster.started(n).catch(() => this.#refused.add(n));
  }

  async #healthy(): Promise<void> {
    const cluster = this.#cluster;
    const end = cluster.world.now + HEALTHY_MS;
    for (let said = "no answer"; ; await cluster.pass(500)) {
      // A supervisor starts it again: one that came back too early was refused, because its former disk might still run.
      for (const n of [...this.#refused]) this.#boot(n);
      const running = cluster.numbers.every((n) => cluster.broker(n).state === "running");
      const answer = running ? await cluster.call(1, stubs.GetClusterHealth, {}) : undefined;
      if (answer?.healthy === true) return;
      if (answer !== undefined) said = answer.reasons.map(({ text }) => text).join("; ");
      assert.ok(cluster.world.now < end, `not healthy: ${said}`);
    }
  }
}
