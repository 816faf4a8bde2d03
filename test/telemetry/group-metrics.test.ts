import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { GroupNumbers, GroupPartitionNumbers } from "../../src/base/metrics.ts";
import { type GroupSeries, groupSeries } from "../../src/telemetry/group-metrics.ts";

const partition = (number: number, change: Partial<GroupPartitionNumbers> = {}): GroupPartitionNumbers => ({
  topic: "t",
  partition: number,
  lagRecords: 3,
  lagSeconds: 1.5,
  verdict: "ok",
  ...change,
});

const group = (name: string, partitions: readonly GroupPartitionNumbers[]): GroupNumbers => ({
  group: name,
  state: "stable",
  members: 2,
  partitions,
});

function series(all: readonly GroupNumbers[], seriesMax: number, groupCount = all.length): Promise<GroupSeries> {
  const groups = async function* (most: number): AsyncGenerator<GroupNumbers> {
    yield* all.slice(0, most);
  };
  return groupSeries({ groupCount, groups }, seriesMax);
}

const samples = ({ lines }: GroupSeries): readonly string[] =>
  [...lines.values()].flatMap(([, ...rest]) => rest.map((line) => line.trimEnd()));

describe("Series of groups", () => {
  it("say the sum of the lag, the time of the partition most behind, and the worst verdict", async () => {
    const told = await series(
      [group("g", [partition(0, { verdict: "rewind" }), partition(1, { lagRecords: 4, lagSeconds: 9, verdict: "stalled" })])],
      100,
    );
    assert.deepEqual(samples(told), [
      'millrace_group_members{group="g"} 2',
      'millrace_group_state{group="g"} 3',
      'millrace_group_lag_records{group="g"} 7',
      'millrace_group_lag_seconds{group="g"} 9',
      'millrace_group_verdict{group="g"} 3',
      'millrace_group_partition_lag_records{group="g",topic="t",partition="0"} 3',
      'millrace_group_partition_lag_records{group="g",topic="t",partition="1"} 4',
      'millrace_group_partition_lag_seconds{group="g",topic="t",partition="0"} 1.5',
      'millrace_group_partition_lag_seconds{group="g",topic="t",partition="1"} 9',
      'millrace_group_partition_verdict{group="g",topic="t",partition="0"} 1',
      'millrace_group_partition_verdict{group="g",topic="t",partition="1"} 3',
    ]);
    assert.equal(told.count, samples(told).length);
  });

  it("leave out what is not known, in the partition and in what it is a part of", async () => {
    const told = await series([group("g", [partition(0), partition(1, { lagRecords: undefined, lagSeconds: undefined })])], 100);
    const names = samples(told).join("\n");
    assert.doesNotMatch(names, /millrace_group_lag_|partition="1"} \d.*\n.*lag/);
    assert.match(names, /^millrace_group_partition_lag_records\{group="g",topic="t",partition="0"\} 3$/m);
    assert.doesNotMatch(names, /lag_\w+\{group="g",topic="t",partition="1"\}/);
    assert.match(names, /^millrace_group_verdict/m);
  });

  it("keep to their room, groups first, and count what was left out", async () => {
    const all = Array.from({ length: 40 }, (_, n) => group(`g${n}`, [partition(0), partition(1)]));
    const told = await series(all, 200, 1_000);
    assert.ok(told.count <= 200, `${told.count} series`);
    assert.equal(samples(told).filter((line) => line.startsWith("millrace_group_members")).length, 20);
    assert.deepEqual([told.groupsDropped, told.partitionsDropped], [980, 40 - 33]);
    assert.deepEqual((await series(all, 0)).count, 0);
  });
});
