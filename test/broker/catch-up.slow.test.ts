import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { BrokerConfig } from "../../src/base/broker-config.ts";
import type { GroupId } from "../../src/base/ids.ts";
import { Acks } from "../../src/protocol/public.ts";
import { Cluster, recordSet } from "./harness.ts";
import * as rpc from "./stubs.ts";

const KiB = 1024;
const RECORD = "x".repeat(16 * KiB);
const valueOf = (n: number): string => `${n} ${RECORD}`;

/** Little memory: what a broker missed while it was down has left every other broker's hot tail. */
const forgetful = (config: BrokerConfig): BrokerConfig => ({
  ...config,
  log: { ...config.log, segmentBytes: 512 * KiB, hotTailBytes: 64 * KiB },
});

class CatchUp {
  readonly cluster: Cluster;
  readonly group: GroupId;
  #written = 0;
  /** Modes the leader saw broker 3's replica in. */
  readonly modes = new Set<string>();

  private constructor(cluster: Cluster, group: GroupId) {
    this.cluster = cluster;
    this.group = group;
  }

  /** A topic led by broker 1; broker 3 is down and misses `missed` batches. */
  static async start(seed: number, missed: number): Promise<CatchUp> {
    const cluster = await Cluster.start({ seed, configure: forgetful });
    await cluster.createTopic("t");
    await cluster.moveLeader("t", 0, 1);
    const run = new CatchUp(cluster, await cluster.groupOf("t", 0));
    await run.produce(3);
    cluster.kill(3);
    await run.produce(missed);
    return run;
  }

  async produce(count: number, via = 2): Promise<void> {
    for (let i = 0; i < count; i++) {
      const records = recordSet([valueOf(this.#written)]);
      await this.cluster.call(via, rpc.Produce, { topic: "t", acks: Acks.quorum, records });
      this.#written += 1;
    }
  }

  observe(): void {
    const leading = this.cluster.serving(this.group);
    if (leading === undefined || !this.cluster.alive.includes(3)) return;
    const behind = this.cluster.replica(3, this.group);
    const mode = behind && this.cluster.replica(leading, this.group)?.core.progress(behind.id)?.mode;
    if (mode !== undefined) this.modes.add(mode);
  }

  extending(): boolean {
    this.observe();
    return this.cluster.replica(3, this.group)?.core.extending !== undefined;
  }

  async caughtUp(): Promise<void> {
    await this.cluster.until(() => {
      this.observe();
      const leading = this.cluster.serving(this.group);
      const end = leading === undefined ? undefined : this.cluster.replica(leading, this.group)?.core.lastIndex;
      return end !== undefined && this.cluster.alive.every((n) => this.cluster.replica(n, this.group)?.core.commit === end);
    }, "every replica has everything");
  }

  /** Broker 3 leads, and serves every record from its own disk. */
  async servedByThree(): Promise<void> {
    await this.cluster.moveLeader("t", 0, 3);
    const values = await this.cluster.values("t", 0, 3);
    assert.deepEqual(
      values.map((value) => value.slice(0, value.indexOf(" "))),
      Array.from({ length: this.#written }, (_, n) => String(n)),
    );
    assert.ok(values.every((value, n) => value === valueOf(n)));
  }
}

describe("A follower that missed more than memory holds", () => {
  it("is caught up in bulk, follows on by appends, and can lead with everything", async () => {
    const run = await CatchUp.start(1, 120);
    run.cluster.boot(3);
    await run.caughtUp();
    assert.ok(run.modes.has("extend"), `by bulk: ${[...run.modes]}`);
    await run.produce(3);
    await run.caughtUp();
    await run.servedByThree();
    run.cluster.close();
  });

  it("is caught up while writes go on", async () => {
    const run = await CatchUp.start(2, 120);
    run.cluster.boot(3);
    await run.produce(40);
    await run.caughtUp();
    await run.servedByThree();
    run.cluster.close();
  });

  it("survives kills of its own in the middle, again and again", async () => {
    const run = await CatchUp.start(3, 120);
    for (let kills = 0; kills < 5; kills++) {
      run.cluster.boot(3);
      await run.cluster.until(() => run.extending(), "bulk catch-up has begun");
      await run.cluster.pass(2 * kills);
      run.cluster.kill(3);
    }
    run.cluster.boot(3);
    await run.caughtUp();
    await run.servedByThree();
    run.cluster.close();
  });

  it("survives the death of the leader that streams to it: the next one goes on", async () => {
    for (let delay = 0; delay < 4; delay++) {
      const run = await CatchUp.start(4 + delay, 80);
      run.cluster.boot(3);
      await run.cluster.until(() => run.extending(), "bulk catch-up has begun");
      await run.cluster.pass(delay);
      run.cluster.kill(1);
      await run.caughtUp();
      await run.produce(2);
      await run.cluster.restart(1);
      await run.caughtUp();
      await run.servedByThree();
      run.cluster.close();
    }
  });
});
