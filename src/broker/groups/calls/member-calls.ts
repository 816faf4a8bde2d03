import { MillraceError } from "../../../base/errors.ts";
import { whileCalled } from "../../../base/until.ts";
import type { Heartbeat, JoinGroup } from "../../../consumer-groups/commands.ts";
import type { MemberState } from "../../../consumer-groups/decision.ts";
import { invalid, unknownMember } from "../../../consumer-groups/refusals.ts";
import { memberCommand, memberMessage } from "../../../consumer-groups/wire.ts";
import {
  HeartbeatRequest,
  HeartbeatResponse,
  type MemberHeartbeat,
  MemberState as MemberStateMessage,
} from "../../../protocol/public/group-service.ts";
import { GroupNews, GroupWatch } from "../../../protocol/routing.ts";
import type { MemberNews } from "../coordinator/member-watches.ts";
import type { GroupTopics } from "../coordinator/topic-directory.ts";
import { decided, topicsKnown } from "./ask-coordinator.ts";
import type { GroupCall, GroupMethod } from "./group-method.ts";

/** Longest time that a watch is held without news. The connection may be gone and nobody have noticed. */
const HOLD_MS = 30_000;
/** Time that the controller has to say whether the topics of whoever joins are there. */
const TOPICS_MS = 1_000;

/** `Heartbeat`, and each message of a `Session`. @throws {MillraceError} */
export const heartbeat: GroupMethod = {
  makes: true,
  reads: false,
  async run(call, request) {
    const beat = beatOf(request);
    const command = memberCommand(beat, call.clientAddress);
    if (command instanceof MillraceError) throw command;
    if (command.kind === "leave") {
      await decided(call, command, "done");
      return HeartbeatResponse.encode({ state: { ...said(call), memberId: beat.memberId, memberEpoch: beat.memberEpoch } });
    }
    // A topic made just now counts from the beginning.
    if (command.kind === "join") await topicsHeardOf(call, command).catch(unlessUnknown);
    await patternReady(command, call.parts.topics);
    const { state } = await decided(call, command, "member");
    return HeartbeatResponse.encode({ state: messageOf(call, beat.groupId, state) });
  },
};

/** No longer than a member waits for its answer, by far: it may subscribe to topics that are not there. @throws {MillraceError} */
function topicsHeardOf({ parts, until, shard }: GroupCall, { topics, groupId }: JoinGroup): Promise<void> {
  const hurried = { ...until, deadline: Math.min(until.deadline, parts.clock.monotonic() + TOPICS_MS) };
  return topicsKnown(
    topics.map((topic) => ({ topic })),
    { parts, until: hurried },
    shard.view.image.group(groupId),
  );
}

/** What it matches is found before it is decided on, and aside: many topics are much to match. */
async function patternReady(command: JoinGroup | Heartbeat, topics: GroupTopics): Promise<void> {
  const { topicPattern = "" } = (command.kind === "join" ? command : command.subscription) ?? {};
  if (topicPattern === "") return;
  const error = topics.refusePattern(topicPattern);
  if (error !== undefined) throw error;
  await topics.ready(topicPattern);
}

/** What a heartbeat is of. @throws {MillraceError} INVALID_REQUEST */
export function beatOf(request: Uint8Array): MemberHeartbeat {
  const { heartbeat: beat } = HeartbeatRequest.decode(request);
  if (beat === undefined) throw invalid("heartbeat", "it is missing");
  return beat;
}

/** Between brokers: held until the member is to be told something. */
export const watch: GroupMethod = {
  makes: false,
  reads: true,
  async run(call, request) {
    const { groupId, memberId, knownEpoch } = GroupWatch.decode(request);
    const { clock } = call.parts;
    const news = await whileCalled<Exclude<MemberNews, MillraceError> | undefined>(call.until.caller, (done) => {
      const timer = clock.after(HOLD_MS, () => {
        stop();
        done(undefined);
      });
      const stop = call.shard.leader.watch(groupId, memberId, knownEpoch, (told) => {
        timer.cancel();
        done(told);
      });
      return () => {
        timer.cancel();
        stop();
      };
    });
    return GroupNews.encode(news === undefined ? {} : { state: MemberStateMessage.encode(messageOf(call, groupId, news)) });
  },
  absent(request) {
    const { groupId, memberId } = GroupWatch.decode(request);
    return Promise.reject(unknownMember(groupId, memberId));
  },
};

function messageOf({ shard, parts }: GroupCall, groupId: string, state: MemberState): MemberStateMessage {
  const { topics, settings, brokerId } = parts;
  const target = shard.view.image.group(groupId)?.target;
  return memberMessage(state, (id) => target?.get(id)?.name ?? topics.byId(id)?.name, settings, brokerId);
}

function said({ parts: { settings, brokerId } }: GroupCall): Omit<MemberStateMessage, "memberId" | "memberEpoch"> {
  const { heartbeatIntervalMs, sessionTimeoutMs } = settings;
  return { heartbeatIntervalMs, sessionTimeoutMs, assignmentChanged: false, assignment: [], coordinatorId: brokerId };
}

/** A member may subscribe to topics that are not there: nobody need be asked for that. */
function unlessUnknown(error: unknown): void {
  if (!(error instanceof MillraceError) || error.code === "CALL_CANCELLED") throw error;
}
