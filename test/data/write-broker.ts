import { Acks } from "../../src/protocol/public.ts";
import { Cluster, recordSet } from "../broker/harness.ts";
import * as stubs from "../broker/stubs.ts";

export interface ExpectedBroker {
  /** Topic and partition, values in order. */
  readonly partitions: readonly {
    readonly topic: string;
    readonly partition: number;
    readonly logStart?: number;
    readonly values: readonly string[];
  }[];
  readonly configs: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

/**
 * A cluster of one broker that lived a little: topics with settings, records by every level and by an idempotent producer, a topic that was
 * deleted, one that grew, one that was trimmed, settings of the cluster, snapshots of the metadata, a restart and a power cut. Its disk is
 * what the caller packs.
 */
export async function writeBroker(): Promise<{ readonly cluster: Cluster; readonly expected: ExpectedBroker }> {
  const cluster = await Cluster.start({
    brokers: 1,
    seed: 7,
    configure: (config) => ({ ...config, limits: { ...config.limits, metadataSnapshotBytes: 4 * 1024 } }),
  });
  await cluster.createTopic("orders", 2, [["min.insync.replicas", "1"]]);
  await cluster.createTopic("gone");
  const put = (
    topic: string,
    partition: number,
    values: readonly string[],
    acks: (typeof Acks)[keyof typeof Acks] = Acks.all,
  ): Promise<unknown> => cluster.call(1, stubs.Produce, { topic, partition, records: recordSet(values), acks });
  const values: string[][] = [[], []];
  for (let n = 0; n < 12; n++) {
    for (const partition of [0, 1]) {
      const batch = [`${partition}/${n}/a`, `${partition}/${n}/b ${"x".repeat(200 * n)}`];
      await put("orders", partition, batch, [Acks.all, Acks.quorum, Acks.leader][n % 3] ?? Acks.all);
      values[partition]?.push(...batch);
    }
    if (n === 4) await cluster.call(1, stubs.DeleteTopic, { name: "gone" });
    if (n === 6) {
      await cluster.stop(1);
      await cluster.restart(1);
      for (const partition of [0, 1]) await cluster.leaderOf("orders", partition);
    }
  }
  await cluster.createTopic("trimmed", 1, [["message.timestamp.type", "append"]]);
  await cluster.call(1, stubs.AddPartitions, { name: "trimmed", partitions: 2 });
  await cluster.leaderOf("trimmed", 1);
  const kept: string[] = [];
  for (let n = 0; n < 10; n++) {
    await put("trimmed", 0, [`trimmed/${n}`]);
    if (n >= 6) kept.push(`trimmed/${n}`);
  }
  await put("trimmed", 1, ["grown"]);
  await cluster.call(1, stubs.TrimTopic, { name: "trimmed", partitions: [{ partition: 0, beforeOffset: 6 }] });
  for (let n = 0; n < 60; n++) {
    await cluster.call(1, stubs.AlterClusterConfigs, { set: new Map([["retention.ms", `${100_000_000 + n}`]]) });
    await cluster.call(1, stubs.AlterTopic, { name: "trimmed", set: new Map([["retention.bytes", `${10_000_000 + n}`]]) });
  }
  await cluster.pass(2_000);
  if (
    !cluster
      .disk(1)
      .files()
      .some(({ path }) => path.endsWith(".snapshot"))
  )
    throw new Error("no snapshot of the metadata was taken");
  cluster.powerCut(1);
  return {
    cluster,
    expected: {
      partitions: [
        ...values.map((of, partition) => ({ topic: "orders", partition, values: of })),
        { topic: "trimmed", partition: 0, logStart: 6, values: kept },
        { topic: "trimmed", partition: 1, values: ["grown"] },
      ],
      configs: {
        orders: { "min.insync.replicas": "1", "retention.ms": "100000059" },
        trimmed: { "message.timestamp.type": "append", "retention.bytes": "10000059", "retention.ms": "100000059" },
      },
    },
  };
}
