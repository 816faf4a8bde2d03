import { MillraceError } from "../../../base/errors.ts";
import { seekAnswer } from "../../../consumer-groups/answers.ts";
import type { SeekPosition } from "../../../consumer-groups/commands.ts";
import type { GroupState } from "../../../consumer-groups/group-state.ts";
import { invalid, unknownGroup } from "../../../consumer-groups/refusals.ts";
import { type TopicPartitions as NamedPartitions, SeekGroupRequest, SeekGroupResponse } from "../../../protocol/public/group-service.ts";
import type { OffsetsOf } from "../../services/log-service.ts";
import { decided, imageNow, topicsKnown } from "./ask-coordinator.ts";
import { namedPartitions } from "./fetch-call.ts";
import type { GroupCall, GroupMethod } from "./group-method.ts";

/** `SeekGroup`: all or nothing. */
export const seekGroup: GroupMethod = {
  makes: true,
  reads: false,
  async run(call, bytes) {
    const request = SeekGroupRequest.decode(bytes);
    const to = destination(request);
    await topicsKnown(
      request.topics.map(({ topic }) => topic),
      call.parts,
      call.until,
    );
    const { groupId, dryRun, force } = request;
    const group = (await imageNow(call)).group(groupId);
    if (group === undefined && request.topics.length === 0) throw unknownGroup(groupId);
    const named = namedPartitions(request.topics.length > 0 ? request.topics : topicsOf(call, group), call.parts);
    const positions = await Promise.all(
      named.flatMap(({ topic, topicId, partitions }) =>
        partitions.map(async (partition): Promise<SeekPosition> => {
          const ends = await call.parts.ends.of(topic, partition, { timeMs: request.timeMs }, call.until);
          const { logStartOffset, highWatermark } = ends;
          const before = group?.offsets.get(topicId, partition)?.offset;
          return { topicId, partition, offset: to(ends, before), logStartOffset, highWatermark };
        }),
      ),
    );
    const { steps } = await decided(call, { kind: "seekGroup", groupId, positions, dryRun, force }, "seek");
    return SeekGroupResponse.encode(seekAnswer(steps, call.parts.topics));
  },
};

/** All that the group reads or has read, and that is still there. */
function topicsOf({ parts }: GroupCall, group: GroupState | undefined): readonly NamedPartitions[] {
  const ids = new Set([...(group?.offsets.topics() ?? []), ...(group?.target.keys() ?? [])]);
  return [...ids].flatMap((id) => {
    const topic = parts.topics.byId(id)?.name;
    return topic === undefined ? [] : [{ topic, partitions: [] }];
  });
}

/** @throws {MillraceError} INVALID_REQUEST */
function destination({ start, end, timeMs, offset, shiftBy }: SeekGroupRequest): (ends: OffsetsOf, before: number | undefined) => number {
  if (start === true) return ({ logStartOffset }) => logStartOffset;
  if (end === true) return ({ highWatermark }) => highWatermark;
  if (timeMs !== undefined) {
    if (timeMs < 0) throw invalid("time_ms", `${timeMs} is below 0`);
    return ({ found, highWatermark }) => found?.offset ?? highWatermark;
  }
  if (offset !== undefined) {
    if (offset < 0) throw invalid("offset", `${offset} is below 0`);
    return () => offset;
  }
  // Beyond the ends of a log there is nothing: a shift stops there.
  if (shiftBy !== undefined)
    return ({ logStartOffset, highWatermark }, before) =>
      Math.min(highWatermark, Math.max(logStartOffset, (before ?? logStartOffset) + shiftBy));
  throw new MillraceError("INVALID_REQUEST", "to: say where to: start, end, time_ms, offset or shift_by", { field: "to" });
}
