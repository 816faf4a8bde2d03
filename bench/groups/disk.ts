import type { Cluster } from "../../chaos/cluster.ts";
import type { Figure } from "./figures.ts";

/**
 * What a durable write of the write-ahead log took in these brokers since they started: each commit and each step of a rebalance waits for one
 * on two of them, so a slow hour of a shared disk is to be told from slow brokers.
 */
export async function walWrites(cluster: Cluster, part: string): Promise<readonly Figure[]> {
  const buckets = new Map<number, number>();
  let [count, sum] = [0, 0];
  for (const { adminAddress } of cluster.brokers) {
    const text = await (await fetch(`http://${adminAddress}/metrics`)).text();
    const one = (name: string): number => Number(new RegExp(`^${name} ([\\d.e+-]+)$`, "m").exec(text)?.[1] ?? 0);
    count += one("millrace_wal_write_seconds_count");
    sum += one("millrace_wal_write_seconds_sum");
    for (const [, bound, below] of text.matchAll(/^millrace_wal_write_seconds_bucket\{le="([\d.]+)"\} (\d+)$/gm))
      buckets.set(Number(bound), (buckets.get(Number(bound)) ?? 0) + Number(below));
  }
  const p99 = [...buckets].sort(([a], [b]) => a - b).find(([, below]) => below >= 0.99 * count)?.[0] ?? Number.POSITIVE_INFINITY;
  const note = `99 in 100 took at most ${p99 * 1_000} ms`;
  return [{ name: `${part}: a durable write of the log, mean`, value: (sum * 1_000) / count, unit: "ms", of: count, note }];
}
