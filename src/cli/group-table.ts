import { counted } from "../base/plural.ts";
import { type DescribeGroupResponse, GroupState, LagVerdict, type PartitionLag } from "../client/index.ts";
import { oneOf } from "./flags.ts";
import { offsetsText } from "./offsets-file.ts";
import { table } from "./table.ts";

/** What `group list` and `group describe` print. */

/** What verbs that print offsets of a group take. */
export const offsetsFormatOption = {
  ...oneOf("--format", ["text", "json", "csv"]),
  default: "text" as const,
  describe: "For people, JSON, or topic,partition,offset as `group seek --from-file` reads",
};

const states = new Map<number, string>(Object.entries(GroupState).map(([name, number]) => [number, name]));
const verdicts = new Map<number, string>(Object.entries(LagVerdict).map(([name, number]) => [number, name]));

export function stateName(state: GroupState): string {
  return states.get(state) ?? String(state);
}

/** False: the leader of the partition is away, and the coordinator has no replica of it. */
const endsKnown = ({ verdict }: PartitionLag): boolean => verdict !== LagVerdict.unspecified;

/** "unknown" when the ends of the partition are. */
function verdictName(verdict: LagVerdict): string {
  return verdict === LagVerdict.unspecified ? "unknown" : (verdicts.get(verdict) ?? String(verdict));
}

/** Two units at most: 800ms, 12s, 3m 20s, 5h 10m, 2d 4h. */
export function spanText(ms: number): string {
  if (ms < 1_000) return `${ms}ms`;
  const seconds = Math.floor(ms / 1_000);
  const parts = [
    [Math.floor(seconds / 86_400), "d"],
    [Math.floor(seconds / 3_600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "m"],
    [seconds % 60, "s"],
  ] as const;
  const first = parts.findIndex(([value]) => value > 0);
  return parts
    .slice(first, first + 2)
    .filter(([value]) => value > 0)
    .map(([value, unit]) => `${value}${unit}`)
    .join(" ");
}

type Assigned = DescribeGroupResponse["members"][number]["assignment"];

/** `flights/0,1,4` */
function assignedText(assigned: Assigned): string {
  const text = assigned
    .filter(({ partitions }) => partitions.length > 0)
    .map(({ topic, topicId, partitions }) => `${topic === "" ? topicId : topic}/${[...partitions].sort((a, b) => a - b).join(",")}`)
    .join(" ");
  return text === "" ? "-" : text;
}

type Wanted = Pick<DescribeGroupResponse["members"][number], "topics" | "topicPattern" | "topicsLeftOut">;

/** `flights /orders\\..*` and how many topics a member has no room for. */
function wantedText({ topics, topicPattern, topicsLeftOut }: Wanted): string {
  const words = [...topics, ...(topicPattern === "" ? [] : [`/${topicPattern}/`])];
  if (topicsLeftOut > 0) words.push(`(${counted(topicsLeftOut, "topic")} left out)`);
  return words.length === 0 ? "-" : words.join(" ");
}

/** Ages and ends nobody could read are null. */
export function groupJson(group: DescribeGroupResponse) {
  return {
    group: group.groupId,
    state: stateName(group.state),
    epoch: group.groupEpoch,
    assignor: group.assignor,
    coordinator: group.coordinatorId,
    members: group.members.map(({ memberId, instanceId, clientAddress, memberEpoch, assignment, target, ...wants }) => ({
      memberId,
      instanceId: instanceId === "" ? null : instanceId,
      clientAddress,
      memberEpoch,
      topics: wants.topics,
      topicPattern: wants.topicPattern === "" ? null : wants.topicPattern,
      topicsLeftOut: wants.topicsLeftOut,
      assignment,
      target,
    })),
    partitions: group.partitions.map((partition) => ({
      topic: partition.topic,
      topicId: partition.topicId,
      partition: partition.partition,
      owner: partition.memberId === "" ? null : partition.memberId,
      committed: partition.committedOffset ?? null,
      metadata: partition.metadata,
      committedAtMs: partition.committedOffset === undefined || partition.committedAtMs === 0 ? null : partition.committedAtMs,
      logStartOffset: endsKnown(partition) ? partition.logStartOffset : null,
      highWatermark: endsKnown(partition) ? partition.highWatermark : null,
      lag: endsKnown(partition) ? partition.lag : null,
      timeLagMs: partition.oldestAgeMs === undefined ? null : partition.timeLagMs,
      oldestAgeMs: partition.oldestAgeMs ?? null,
      verdict: verdictName(partition.verdict),
    })),
  };
}

/** What is committed, as `group seek --from-file` reads it. */
export function groupCsv({ partitions }: Pick<DescribeGroupResponse, "partitions">): string {
  return offsetsText(
    partitions.flatMap(({ topic, partition, committedOffset }) =>
      committedOffset === undefined ? [] : [{ topic, partition, offset: committedOffset }],
    ),
  );
}

/** One line of the group, one table of its partitions, and with `members` one of those. */
export function groupText(group: DescribeGroupResponse, members: boolean): string {
  const { groupId, state, assignor, coordinatorId, partitions } = group;
  const lag = partitions.reduce((sum, partition) => sum + partition.lag, 0);
  const unknown = partitions.filter((partition) => !endsKnown(partition)).length;
  const behind = `${counted(lag, "record")} behind${unknown === 0 ? "" : ` and ${counted(unknown, "partition")} unknown`}`;
  const head = `${groupId}  ${stateName(state)}, ${counted(group.members.length, "member")}, ${behind}  (${assignor}, coordinator ${coordinatorId})\n`;
  const names = new Map(group.members.map(({ memberId, instanceId }) => [memberId, instanceId === "" ? memberId : instanceId]));
  const rows = partitions.map((partition) => row(partition, names));
  const shown = table(["TOPIC", "PARTITION", "OWNER", "COMMITTED", "END", "LAG", "TIME LAG", "OLDEST", "VERDICT"], rows);
  return `${head}${shown}${members ? membersText(group) : ""}`;
}

function row(partition: PartitionLag, names: ReadonlyMap<string, string>): readonly (string | number)[] {
  const { topic, memberId, committedOffset, highWatermark, lag, timeLagMs, oldestAgeMs, verdict } = partition;
  return [
    topic,
    partition.partition,
    memberId === "" ? "-" : (names.get(memberId) ?? memberId),
    committedOffset ?? "-",
    endsKnown(partition) ? highWatermark : "?",
    endsKnown(partition) ? lag : "?",
    oldestAgeMs === undefined ? "?" : spanText(timeLagMs),
    oldestAgeMs === undefined ? "?" : spanText(oldestAgeMs),
    verdictName(verdict),
  ];
}

function membersText({ members }: DescribeGroupResponse): string {
  return table(
    ["MEMBER", "INSTANCE", "ADDRESS", "EPOCH", "READS", "HOLDS", "IS TO HOLD"],
    members.map(({ memberId, instanceId, clientAddress, memberEpoch, assignment, target, ...wants }) => [
      memberId,
      instanceId === "" ? "-" : instanceId,
      clientAddress,
      memberEpoch,
      wantedText(wants),
      assignedText(assignment),
      assignedText(target),
    ]),
  );
}
