import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type GroupId, METADATA_GROUP } from "../../src/base/ids.ts";
import { silentTelemetry } from "../../src/base/ports/telemetry.ts";
import type { InstallPoint } from "../../src/log/model/install.ts";
import { Producers } from "../../src/log/model/producers.ts";
import { openLogStore } from "../../src/log/store.ts";
import { Acks } from "../../src/protocol/public.ts";
import { brokerConfig, Cluster, recordSet, valuesOf } from "./harness.ts";
import * as rpc from "./stubs.ts";

/** What retention would have done to the logs of brokers 1 and 2 while broker 3 was off: they begin far behind its end. */
class Trimmed {
  readonly cluster: Cluster;
  readonly group: GroupId;
  start: InstallPoint["start"] | undefined;
  #written = 0;

  private constructor(cluster: Cluster, group: GroupId) {
    this.cluster = cluster;
    this.group = group;
  }

  static async run(seed: number): Promise<Trimmed> {
    const cluster = await Cluster.start({ seed });
    await cluster.createTopic("t");
    const run = new Trimmed(cluster, await cluster.groupOf("t", 0));
    await run.produce(5);
    for (const n of cluster.numbers) cluster.kill(n);
    for (const n of [1, 2]) await run.#trim(n);
    return run;
  }

  async produce(count: number, via = this.cluster.alive[0] ?? 1): Promise<void> {
    for (let i = 0; i < count; i += 1) {
      await this.cluster.call(via, rpc.Produce, { topic: "t", acks: Acks.quorum, records: recordSet([`value ${this.#written}`]) });
      this.#written += 1;
    }
  }

  /** Both logs get the same beginning, as two that trimmed at the same frame have. */
  async #trim(n: number): Promise<void> {
    const ports = this.cluster.world.machine(`b${n}`).boot();
    const { log: options } = brokerConfig(n, 3);
    const failed = (error: Error): void => this.cluster.world.scheduler.fail(error);
    const opening = openLogStore({ ...ports, telemetry: silentTelemetry }, { ...options, failed });
    const store = await this.cluster.settle(opening);
    for (const { groupId, config, term } of store.recovered) {
      const log = store.open(groupId);
      if (groupId === METADATA_GROUP) continue;
      this.start ??= { index: (log.lastIndex + 20) as typeof log.lastIndex, term, offset: (log.endOffset + 100) as typeof log.endOffset };
      await this.cluster.settle(
        log.install({ start: this.start, terms: [], config, producers: new Producers(), appendTime: log.lastAppendTime }),
      );
    }
    await this.cluster.settle(store.close());
  }

  async caughtUp(): Promise<void> {
    await this.cluster.until(() => {
      const leading = this.cluster.serving(this.group);
      const end = leading === undefined ? undefined : this.cluster.replica(leading, this.group)?.core.lastIndex;
      return end !== undefined && this.cluster.alive.every((n) => this.cluster.replica(n, this.group)?.core.durable === end);
    }, "every replica has everything");
  }
}

describe("A follower whose log ends before its leader's begins (scenario 38)", () => {
  it("begins where the leader's log begins, follows on, is in sync again, and can lead", async () => {
    const run = await Trimmed.run(1);
    const { cluster } = run;
    for (const n of [1, 2]) cluster.boot(n);
    for (const n of [1, 2]) await cluster.settle(cluster.started(n));
    await run.produce(3);
    const leading = cluster.replica(await cluster.leaderOf("t", 0), run.group);
    cluster.boot(3);
    const kept = (): boolean => {
      const behind = cluster.replica(3, run.group);
      const offered = behind !== undefined && leading?.core.progress(behind.id)?.mode === "reset";
      return offered && (leading?.heardMatch(0) ?? 0) === run.start?.index;
    };
    await cluster.until(kept, "nothing behind the start is trimmed while it is offered (scenario 52)");
    await cluster.settle(cluster.started(3));
    await run.caughtUp();
    assert.deepEqual(cluster.replica(3, run.group)?.log.start, run.start);
    await run.produce(2, 3);
    await cluster.moveLeader("t", 0, 3);
    const offset = run.start?.offset ?? 0;
    const answer = await cluster.call(3, rpc.Fetch, { topic: "t", partition: 0, offset, maxBytes: 1_000_000 });
    assert.deepEqual(
      valuesOf(answer.batches),
      [5, 6, 7, 8, 9].map((n) => `value ${n}`),
    );
    await cluster.call(3, rpc.Produce, { topic: "t", acks: Acks.all, records: recordSet(["all three"]) });
    cluster.close();
  });

  it("is healthy after it was started twice more (scenario 51)", async () => {
    const run = await Trimmed.run(2);
    const { cluster } = run;
    for (const n of cluster.numbers) cluster.boot(n);
    for (const n of cluster.numbers) await cluster.settle(cluster.started(n));
    await run.caughtUp();
    for (let restart = 0; restart < 2; restart += 1) {
      cluster.powerCut(3);
      await run.produce(2, 1);
      await cluster.restart(3);
      await run.caughtUp();
      assert.equal(cluster.replica(3, run.group)?.log.start.index, run.start?.index);
    }
    cluster.close();
  });

  it("has the old log or the new one wherever it is killed, and its leader may die meanwhile (scenario 44)", async () => {
    for (let delay = 0; delay < 4; delay += 1) {
      const run = await Trimmed.run(10 + delay);
      const { cluster } = run;
      for (const n of [1, 2]) cluster.boot(n);
      await cluster.until(() => cluster.serving(run.group) !== undefined, "a leader");
      cluster.boot(3);
      const old = (): boolean => cluster.replica(3, run.group)?.core.leader !== undefined;
      await cluster.until(old, "broker 3 knows its leader");
      await cluster.pass(delay * 5);
      if (delay % 2 === 0) cluster.powerCut(3);
      const leader = cluster.serving(run.group) ?? 1;
      cluster.kill(leader);
      await cluster.pass(20);
      await cluster.restart(leader);
      if (delay % 2 === 0) await cluster.restart(3);
      await run.caughtUp();
      assert.equal(cluster.replica(3, run.group)?.log.start.index, run.start?.index);
      cluster.close();
    }
  });
});
