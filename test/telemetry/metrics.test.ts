import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { errors } from "../../src/base/errors.ts";
import { events } from "../../src/base/events.ts";
import type { BrokerNumbers, GroupNumbers, PartitionNumbers } from "../../src/base/metrics.ts";
import { publicMethods } from "../../src/protocol/methods.ts";
import { brokerMetrics, PARTITIONS_PER_SLICE } from "../../src/telemetry/broker-metrics.ts";
import { createMetrics, type Metrics } from "../../src/telemetry/metrics.ts";

const PARTITIONS_MAX = 900;

function numbersOf(partitions: Iterable<PartitionNumbers>, partitionCount: number, groups: readonly GroupNumbers[] = []): BrokerNumbers {
  return {
    controller: true,
    controllerKnown: true,
    metadataVersion: 7,
    topics: 1,
    brokersKnown: 3,
    brokersConnected: 2,
    heldBytes: 0,
    forwardedBytes: 0,
    walFilesUsed: 1,
    walFilesMax: 16,
    uncommittedBytes: 10,
    uncommittedBytesMax: 100,
    diskFreeBytes: 1_000,
    diskReserveBytes: 10,
    diskFull: false,
    catchUpBytesPerSecond: 16,
    clockAheadSeconds: -0.25,
    ageTrusted: true,
    partitionCount,
    partitions: () => partitions,
    groupCount: groups.length,
    async *groups(most) {
      yield* groups.slice(0, most);
    },
  };
}

function partition(number: number, change: Partial<PartitionNumbers> = {}): PartitionNumbers {
  return {
    topic: "t",
    partition: number,
    leads: true,
    serves: true,
    led: true,
    quarantined: false,
    replicas: 3,
    inSyncReplicas: 3,
    minInSyncReplicas: 2,
    logStartOffset: 1,
    highWatermark: 8,
    logEndOffset: 9,
    pendingBytes: 5,
    pendingBatches: 1,
    ...change,
  };
}

/** Metrics of a broker with these partitions; `pause` is called between two slices. */
function metricsOf(
  partitions: Iterable<PartitionNumbers>,
  { groups, ...options }: { pause?: () => Promise<void>; process?: boolean; groups?: readonly GroupNumbers[] } = {},
): Metrics {
  const metrics = createMetrics({ process: false, ...options });
  metrics.add(
    brokerMetrics({
      numbers: () => numbersOf(partitions, 0, groups),
      ready: () => true,
      connections: () => 4,
      openCalls: () => 5,
      partitionsMax: PARTITIONS_MAX,
    }),
  );
  return metrics;
}

function samplesOf(text: string): readonly string[] {
  return text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
}

describe("Metrics", () => {
  it("exports counters with 0 from the start, and what was counted", async () => {
    const metrics = createMetrics({ process: false });
    assert.match(await metrics.text(), /^millrace_grpc_handler_failed_total 0$/m);
    metrics.count("grpc.handler_failed");
    metrics.count("grpc.handler_failed", 4);
    metrics.count("log_holes_found_total");
    metrics.count("produce.records", 3, "quorum");
    metrics.observe("produce.seconds", 0.003, "all");
    const text = await metrics.text();
    assert.match(text, /^millrace_grpc_handler_failed_total 5$/m);
    assert.match(text, /^millrace_log_holes_found_total 1$/m);
    assert.match(text, /^millrace_produce_records_total\{acks="quorum"\} 3$/m);
    assert.match(text, /^millrace_produce_records_total\{acks="all"\} 0$/m);
    assert.match(text, /^millrace_produce_seconds_bucket\{le="0.005",acks="all"\} 1$/m);
  });

  it("takes no label value that is not in its table", async () => {
    const metrics = createMetrics({ process: false });
    for (let i = 0; i < 1000; i++) metrics.count("produce.failed", 1, `CODE_${i}`);
    assert.deepEqual(
      samplesOf(await metrics.text()).filter((line) => line.startsWith("millrace_produce_failed_total")),
      ['millrace_produce_failed_total{code="other"} 1000'],
    );
  });

  it("sums up the partitions, and tells each one apart", async () => {
    const text = await metricsOf([
      partition(0),
      partition(1, { inSyncReplicas: 2 }),
      partition(2, { inSyncReplicas: 1 }),
      partition(3, { leads: false, inSyncReplicas: 0 }),
      partition(4, { leads: false, led: false, quarantined: true, inSyncReplicas: 0 }),
    ]).text();
    for (const line of [
      "millrace_broker_ready 1",
      "millrace_brokers_connected 2",
      "millrace_client_connections 4",
      "millrace_partitions 5",
      "millrace_partitions_led 3",
      "millrace_partitions_leaderless 1",
      "millrace_partitions_quarantined 1",
      "millrace_partitions_under_replicated 2",
      "millrace_partitions_under_min_isr 1",
      "millrace_produce_pending_bytes 25",
      'millrace_partition_high_watermark{topic="t",partition="3"} 8',
      'millrace_partition_in_sync_replicas{topic="t",partition="1"} 2',
    ])
      assert.ok(text.split("\n").includes(line), line);
    assert.doesNotMatch(text, /in_sync_replicas\{topic="t",partition="3"\}/);
  });

  it("tells little of a broker that belongs to no cluster yet, and nothing untrue", async () => {
    const metrics = createMetrics({ process: false });
    metrics.add(
      brokerMetrics({
        numbers: () => undefined,
        ready: () => false,
        connections: () => 0,
        openCalls: () => 0,
        partitionsMax: PARTITIONS_MAX,
      }),
    );
    const text = await metrics.text();
    assert.match(text, /^millrace_broker_ready 0$/m);
    assert.doesNotMatch(text, /millrace_partitions|millrace_controller/);
  });

  it("exports at most 5,000 series with 10,000 partitions (metrics.partitions.max), every label value met and every number of the process, and says what it left out", async () => {
    const metrics = metricsOf(
      Array.from({ length: 10_000 }, (_, number) => partition(number)),
      { process: true },
    );
    for (const acks of ["all", "quorum", "leader", "none"]) {
      metrics.observe("produce.seconds", 1, acks);
    }
    for (const code of Object.keys(errors)) {
      metrics.count("produce.failed", 1, code);
      metrics.count("fetch.failed", 1, code);
    }
    for (const { service, name } of publicMethods) {
      const method = `${service}/${name}`;
      metrics.countEdge("rpc.calls", 1, method);
      metrics.countEdge("rpc.failed", 1, method);
      metrics.observeEdge("rpc.seconds", 1, method);
    }
    for (const event of Object.keys(events)) metrics.countEdge("events", 1, event);
    const text = await metrics.text();
    const series = samplesOf(text);
    assert.ok(series.length <= 5_000, `${series.length} series`);
    assert.equal(series.filter((line) => line.startsWith("millrace_partition_high_watermark")).length, PARTITIONS_MAX);
    assert.match(text, /^millrace_metrics_partitions_dropped 9100$/m);
    assert.match(text, /^millrace_partitions 10000$/m);
  });

  it("exports no more with groups beside them: these take up to half of the room of partitions, and what was left out is said", async () => {
    const partitions = Array.from({ length: 10_000 }, (_, number) => partition(number));
    const alone = samplesOf(await metricsOf(partitions).text());
    const groups = Array.from({ length: 5_000 }, (_, n) => ({
      group: `g${n}`,
      state: "stable" as const,
      members: 1,
      partitions: Array.from({ length: 10 }, (_, at) => ({
        ...{ topic: "t", partition: at, lagRecords: 1, lagSeconds: 1, verdict: "ok" as const },
      })),
    }));
    const text = await metricsOf(partitions, { groups }).text();
    const series = samplesOf(text);
    assert.ok(series.length <= alone.length, `${series.length} series, ${alone.length} without groups`);
    assert.equal(series.filter((line) => line.startsWith("millrace_partition_high_watermark")).length, PARTITIONS_MAX / 2);
    assert.equal(series.filter((line) => line.startsWith("millrace_group_members")).length, 180);
    assert.match(text, /^millrace_groups 5000$/m);
    assert.match(text, /^millrace_metrics_groups_dropped 4820$/m);
    assert.match(text, /^millrace_metrics_group_partitions_dropped 1500$/m);
    assert.match(text, /^millrace_metrics_partitions_dropped 9550$/m);
    // With no groups nothing is kept free for them.
    assert.match(await metricsOf(partitions, { groups: [] }).text(), /^millrace_metrics_partitions_dropped 9100$/m);
  });

  it("looks at so many partitions at most before others get a turn", async () => {
    let sincePause = 0;
    let most = 0;
    function* partitions(): Iterable<PartitionNumbers> {
      for (let number = 0; number < 10 * PARTITIONS_PER_SLICE; number++) {
        most = Math.max(most, ++sincePause);
        yield partition(number);
      }
    }
    let pauses = 0;
    const pause = async (): Promise<void> => {
      sincePause = 0;
      pauses++;
    };
    await metricsOf(partitions(), { pause }).text();
    assert.ok(most <= PARTITIONS_PER_SLICE, `${most} in one go`);
    // Four metrics of 900 lines each, in slices as well.
    assert.ok(pauses >= 10 + 4 * Math.ceil(PARTITIONS_MAX / PARTITIONS_PER_SLICE));
  });

  it("gives every metric a name as Prometheus wants it, a type and a help text", async () => {
    const at = { topic: "t", partition: 0, lagRecords: 1, lagSeconds: 1, verdict: "ok" } as const;
    const groups = [{ group: "g", state: "stable", members: 1, partitions: [at] }] as const;
    const text = await metricsOf([partition(0)], { process: true, groups }).text();
    assert.match(text, /^# HELP millrace_group_lag_seconds /m);
    const helps = new Map([...text.matchAll(/^# HELP (\S+) (.*)$/gm)].map(([, name = "", help = ""]) => [name, help]));
    const types = new Map([...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name = "", type = ""]) => [name, type]));
    assert.deepEqual([...helps.keys()].sort(), [...types.keys()].sort());
    const ours = [...types].filter(([name]) => !/^(?:process|nodejs)_/.test(name));
    assert.ok(ours.length > 30);
    for (const [name, type] of ours) {
      assert.match(name, /^millrace_[a-z0-9]+(?:_[a-z0-9]+)*$/, name);
      assert.match(helps.get(name) ?? "", /^[A-Z0-9].*\.$/, name);
      if (type === "counter") assert.match(name, /_total$/, name);
      else assert.doesNotMatch(name, /_total$/, name);
      if (type === "histogram") assert.match(name, /_seconds$/, name);
      // Base units, and none in the middle of a name.
      assert.doesNotMatch(name, /_(?:ms|milliseconds|kb|mb|kib|mib|percent)(?:_|$)/, name);
      assert.doesNotMatch(name, /_(?:bytes|seconds)_(?!total$)/, name);
      if (/Bytes/.test(helps.get(name) ?? "")) assert.match(name, /_bytes(?:_total)?$/, name);
    }
  });
});
