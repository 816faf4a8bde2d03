import { MillraceError } from "../../../base/errors.ts";
import { commitAnswer } from "../../../consumer-groups/answers.ts";
import type { CommittedOffset } from "../../../consumer-groups/group-state.ts";
import { groupTopics, namedTopic } from "../../../consumer-groups/group-topics.ts";
import { commitCommand, type KnownEnd } from "../../../consumer-groups/wire.ts";
import { CommitOffsetsRequest, CommitOffsetsResponse, type OffsetCommit } from "../../../protocol/public/group-service.ts";
import type { LogPlace } from "../../services/log-service.ts";
import { decided, topicsKnown } from "./ask-coordinator.ts";
import type { GroupCall, GroupMethod } from "./group-method.ts";

/** Time that a partition's leader has to say where its log ends; then nothing is judged by it. */
const ENDS_MS = 1_000;

/** `CommitOffsets`: what may not be committed is refused by itself. */
export const commitOffsets: GroupMethod = {
  makes: true,
  reads: false,
  async run(call, bytes) {
    const request = CommitOffsetsRequest.decode(bytes);
    const { offsets } = request;
    const { parts } = call;
    // More are refused as a whole: nobody is asked about them.
    const few = offsets.length <= parts.settings.offsetsPerCommitMax;
    if (few) {
      const asked = offsets.map(({ topic, topicId, partition }) => ({ topic, topicId, partitions: [partition] }));
      await topicsKnown(asked, call, call.shard.view.image.group(request.groupId));
    }
    const ends = few ? await endsOf(call, request.groupId, offsets) : new Map<number, KnownEnd>();
    const command = commitCommand(request, (at) => ends.get(at));
    if (command instanceof MillraceError) throw command;
    const { refused } = await decided(call, command, "offsets");
    return CommitOffsetsResponse.encode(commitAnswer(offsets, refused));
  },
};

/** Undefined: it was not said of which history of the log. */
function placeOf(committed: CommittedOffset | undefined): LogPlace | undefined {
  return committed === undefined || committed.term <= 0 ? undefined : committed;
}

/**
 * Of those partitions whose commit cannot be judged by what this broker has: what it knows to be committed is committed, but a commit
 * beyond it, or one that goes back, is judged by the leader (only a log that lost its end lets a commit go back, ADR 0017).
 *
 * @returns by place in `offsets`; each with the id of the topic it is of, since the name may stand for another one when the commit is decided
 */
async function endsOf(call: GroupCall, groupId: string, offsets: readonly OffsetCommit[]): Promise<ReadonlyMap<number, KnownEnd>> {
  const { topics, ends, clock } = call.parts;
  const ofGroup = groupTopics(call.shard.view.image.group(groupId), topics);
  const known = new Map<number, KnownEnd>();
  const asking: Promise<void>[] = [];
  for (const [at, { topic: name, topicId, partition, offset }] of offsets.entries()) {
    const topic = namedTopic(ofGroup, name, topicId);
    if (topic instanceof MillraceError || partition < 0 || partition >= topic.partitions) continue;
    // One that this broker has not heard of: what it could ask would be asked about another one of the name.
    if (topics.byId(topic.id) === undefined) continue;
    const committed = call.shard.leader.offsetOf(groupId, topic.id, partition);
    const seen = committed?.offset ?? 0;
    if (offset >= seen && offset <= (ends.here(topic.id, partition)?.highWatermark ?? -1)) continue;
    const until = { ...call.until, deadline: Math.min(call.until.deadline, clock.monotonic() + ENDS_MS) };
    asking.push(
      ends.of(name, partition, { topicId: topic.id, place: offset < seen ? placeOf(committed) : undefined }, until).then(
        ({ highWatermark, truncated = false }) => void known.set(at, { endOf: topic.id, highWatermark, seen, truncated }),
        (error: unknown) => {
          // Its leader cannot be asked: the commit waits for nobody else.
          if (!(error instanceof MillraceError) || error.code === "CALL_CANCELLED") throw error;
        },
      ),
    );
  }
  if (asking.length > 0) await Promise.all(asking);
  return known;
}
