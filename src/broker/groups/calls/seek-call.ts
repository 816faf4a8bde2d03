import { allOrNone } from "../../../base/until.ts";
import { seekAnswer } from "../../../consumer-groups/answers.ts";
import type { SeekPosition } from "../../../consumer-groups/commands.ts";
import { SeekGroupRequest, SeekGroupResponse, type SeekPosition as SeekPlaceAsked } from "../../../protocol/public/group-service.ts";
import { type AskedTopic, decided, imageNow, topicsKnown } from "./ask-coordinator.ts";
import type { GroupMethod } from "./group-method.ts";
import { seekPlaces } from "./seek-places.ts";

const namesOf = (positions: readonly SeekPlaceAsked[]): readonly AskedTopic[] =>
  positions.map(({ topic, topicId, partition }) => ({ topic, topicId, partitions: [partition] }));

/** `SeekGroup`: all or nothing. */
export const seekGroup: GroupMethod = {
  makes: true,
  reads: false,
  async run(call, bytes) {
    const request = SeekGroupRequest.decode(bytes);
    const { groupId, dryRun, force, timeMs } = request;
    const positions = namesOf(request.positions?.positions ?? []);
    await topicsKnown([...request.topics, ...positions], call);
    const group = (await imageNow(call)).group(groupId);
    const places = await seekPlaces(call, request, group);
    const sought = await allOrNone(call.until, (until) =>
      places.map(async ({ topic, topicId, partition, to, term = -1 }): Promise<SeekPosition> => {
        const ends = await call.parts.ends.of(topic, partition, { topicId, timeMs }, until);
        const { logStartOffset, highWatermark } = ends;
        const before = group?.offsets.get(topicId, partition)?.offset;
        return { topicId, partition, offset: to(ends, before), term, logStartOffset, highWatermark };
      }),
    );
    const { steps } = await decided(call, { kind: "seekGroup", groupId, positions: sought, dryRun, force }, "seek");
    return SeekGroupResponse.encode(seekAnswer(steps, call.parts.topics));
  },
};
