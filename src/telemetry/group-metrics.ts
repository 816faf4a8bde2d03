import type { BrokerNumbers, GroupNumbers, GroupPartitionNumbers } from "../base/metrics.ts";
import { header, sample } from "./exposition.ts";

/** What is told of each consumer group, by the broker that coordinates it. */
export const groupGauges = {
  millrace_group_members: "Members of the group.",
  millrace_group_state: "1 empty, 2 reconciling, 3 stable.",
  millrace_group_lag_records: "Records behind the committed offsets of all its partitions; absent while that of one is not known.",
  millrace_group_lag_seconds:
    "How far the partition most behind is behind in its log's own time, from the first record not done with to the newest; absent while that of one is not known.",
  millrace_group_verdict: "Worst of its partitions: 0 ok, 1 rewind, 2 warn, 3 stalled, 4 stopped.",
} as const;

/** What is told of each partition that such a group reads or has committed something of. */
export const groupPartitionGauges = {
  millrace_group_partition_lag_records: "Records behind the committed offset, those that retention took not counted.",
  millrace_group_partition_lag_seconds: "How far it is behind in its log's own time; absent while the records' age is not known.",
  millrace_group_partition_verdict: "As that of the group: 0 ok, 1 rewind, 2 warn, 3 stalled, 4 stopped.",
} as const;

type GroupGauge = keyof typeof groupGauges | keyof typeof groupPartitionGauges;

const PER_GROUP = Object.keys(groupGauges).length;
const PER_PARTITION = Object.keys(groupPartitionGauges).length;

const states = { empty: 1, reconciling: 2, stable: 3 } as const satisfies Record<GroupNumbers["state"], number>;
/** Greater is worse: whoever watches compares with one number. */
const verdicts = { ok: 0, rewind: 1, warn: 2, stalled: 3, stopped: 4 } as const satisfies Record<GroupPartitionNumbers["verdict"], number>;

export interface GroupSeries {
  /** By metric, the header first. */
  readonly lines: ReadonlyMap<string, readonly string[]>;
  readonly count: number;
  readonly groupsDropped: number;
  readonly partitionsDropped: number;
}

/** The series of groups, so many at most: half of them at most for the groups themselves, what is left for their partitions. */
export async function groupSeries(now: Pick<BrokerNumbers, "groups" | "groupCount">, seriesMax: number): Promise<GroupSeries> {
  const lines = new Map(
    Object.entries({ ...groupGauges, ...groupPartitionGauges }).map(([name, help]) => [name, [header(name, "gauge", help)]]),
  );
  const told: GroupNumbers[] = [];
  for await (const group of now.groups(Math.floor(seriesMax / 2 / PER_GROUP))) told.push(group);
  let left = Math.floor((seriesMax - told.length * PER_GROUP) / PER_PARTITION);
  let count = 0;
  let partitionsDropped = 0;
  const tell = (name: GroupGauge, value: number | undefined, labels: Readonly<Record<string, string | number>>): void => {
    if (value === undefined) return;
    lines.get(name)?.push(sample(name, value, labels));
    count += 1;
  };
  for (const { group, state, members, partitions } of told) {
    tell("millrace_group_members", members, { group });
    tell("millrace_group_state", states[state], { group });
    tell(
      "millrace_group_lag_records",
      folded(partitions, "lagRecords", (a, b) => a + b),
      { group },
    );
    tell("millrace_group_lag_seconds", folded(partitions, "lagSeconds", Math.max), { group });
    tell("millrace_group_verdict", Math.max(0, ...partitions.map(({ verdict }) => verdicts[verdict])), { group });
    for (const { topic, partition, lagRecords, lagSeconds, verdict } of partitions) {
      if (left === 0) {
        partitionsDropped += 1;
        continue;
      }
      left -= 1;
      const labels = { group, topic, partition };
      tell("millrace_group_partition_lag_records", lagRecords, labels);
      tell("millrace_group_partition_lag_seconds", lagSeconds, labels);
      tell("millrace_group_partition_verdict", verdicts[verdict], labels);
    }
  }
  return { lines, count, groupsDropped: Math.max(0, now.groupCount - told.length), partitionsDropped };
}

/** Over all partitions; undefined when one of them is not known: too little is worse than nothing. */
function folded(
  partitions: readonly GroupPartitionNumbers[],
  of: "lagRecords" | "lagSeconds",
  fold: (a: number, b: number) => number,
): number | undefined {
  let sum = 0;
  for (const { [of]: value } of partitions) {
    if (value === undefined) return undefined;
    sum = fold(sum, value);
  }
  return sum;
}
