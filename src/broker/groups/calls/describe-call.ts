import { MillraceError } from "../../../base/errors.ts";
import { describeAnswer, knownTime } from "../../../consumer-groups/answers.ts";
import type { GroupState } from "../../../consumer-groups/group-state.ts";
import { lagOf, lagTimes } from "../../../consumer-groups/lag.ts";
import { unknownGroup } from "../../../consumer-groups/refusals.ts";
import type { Verdict } from "../../../consumer-groups/verdict.ts";
import type { MessageInput } from "../../../protocol/codec/index.ts";
import { DescribeGroupRequest, DescribeGroupResponse, LagVerdict, type PartitionLag } from "../../../protocol/public/group-service.ts";
import type { OffsetsOf } from "../../services/log-service.ts";
import { type GroupPlace, placesOf } from "../group-places.ts";
import { imageNow } from "./ask-coordinator.ts";
import { fitting } from "./fetch-call.ts";
import type { GroupCall, GroupMethod } from "./group-method.ts";
import type { KnownEnds } from "./partition-ends.ts";

/** Time that the leaders of partitions have, together. */
const ENDS_MS = 3_000;

type Lag = MessageInput<typeof PartitionLag>;

const verdictNumber = {
  ok: LagVerdict.ok,
  warn: LagVerdict.warn,
  stalled: LagVerdict.stalled,
  stopped: LagVerdict.stopped,
  rewind: LagVerdict.rewind,
} as const satisfies Readonly<Record<Verdict, LagVerdict>>;

/** `DescribeGroup`: members, what they hold, and how far each partition is. */
export const describeGroup: GroupMethod = {
  makes: false,
  reads: true,
  async run(call, bytes) {
    const { groupId } = DescribeGroupRequest.decode(bytes);
    const group = (await imageNow(call)).group(groupId);
    if (group === undefined) throw unknownGroup(groupId);
    const answer = describeAnswer(group, call.parts);
    const partitions = await Promise.all(placesOf(call.parts.topics, group).map((each) => lagOfPartition(call, group, each)));
    const encoded = DescribeGroupResponse.encode({ ...answer, partitions, coordinatorId: call.parts.brokerId });
    return fitting(encoded, "FetchOffsets tells the offsets of those partitions it names");
  },
  absent(bytes) {
    return Promise.reject(unknownGroup(DescribeGroupRequest.decode(bytes).groupId));
  },
};

async function lagOfPartition(call: GroupCall, group: GroupState, place: GroupPlace): Promise<Lag> {
  const { topicId, topic, partition } = place;
  const committed = group.offsets.get(topicId, partition);
  const told = {
    topic,
    topicId,
    partition,
    memberId: group.held.get(topicId, partition)?.member ?? "",
    ...(committed === undefined
      ? {}
      : { committedOffset: committed.offset, metadata: committed.metadata, committedAtMs: knownTime(committed.committedAtMs) }),
  };
  const known = await endsOf(call, place, committed?.offset ?? 0);
  if (known === undefined) return { ...told, verdict: LagVerdict.unspecified };
  const { highWatermark, logStartOffset, ages } = known;
  const lag = lagOf({ committed: committed?.offset, logStartOffset, highWatermark });
  const times = lagTimes(lag, ages?.oldest, ages?.newest, call.parts.clock.wall());
  const verdict = verdictNumber[call.shard.leader.verdictOf(group, topicId, partition, { logStartOffset, highWatermark })];
  return { ...told, highWatermark, logStartOffset, lag, ...times, verdict };
}

/**
 * From the leader, at one moment; while that one cannot be asked, from this broker's own replica, which knows no ages. Undefined: there is
 * none here; the group is described all the same, because it is then that one looks.
 * @throws {MillraceError} CALL_CANCELLED
 */
async function endsOf(
  call: GroupCall,
  { topicId, topic, partition }: GroupPlace,
  agesFrom: number,
): Promise<(KnownEnds & Pick<OffsetsOf, "ages">) | undefined> {
  const { ends, clock } = call.parts;
  const until = { ...call.until, deadline: Math.min(call.until.deadline, clock.monotonic() + ENDS_MS) };
  try {
    return await ends.of(topic, partition, { topicId, agesFrom }, until);
  } catch (error) {
    const here = ends.here(topicId, partition);
    if (!(error instanceof MillraceError) || error.code === "CALL_CANCELLED") throw error;
    if (here === undefined) return undefined;
    const { logStartOffset, highWatermark } = here;
    return { logStartOffset, highWatermark };
  }
}
