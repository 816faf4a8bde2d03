import { Acks } from "../../src/protocol/public.ts";
import { Cluster, recordSet } from "../broker/harness.ts";
import * as stubs from "../broker/stubs.ts";

export interface ExpectedBroker {
  /** Topic and partition, values in order. */
  readonly partitions: readonly { readonly topic: string; readonly partition: number; readonly values: readonly string[] }[];
  readonly configs: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

/**
 * A cluster of one broker that lived a little: two topics with settings, records by every level and by an idempotent producer, a topic that
 * was deleted, a restart and a power cut. Its disk is what the caller packs.
 */
export async function writeBroker(): Promise<{ readonly cluster: Cluster; readonly expected: ExpectedBroker }> {
  const cluster = await Cluster.start({ brokers: 1, seed: 7 });
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
  await cluster.pass(2_000);
  cluster.powerCut(1);
  return {
    cluster,
    expected: {
      partitions: values.map((of, partition) => ({ topic: "orders", partition, values: of })),
      configs: { orders: { "min.insync.replicas": "1" } },
    },
  };
}
