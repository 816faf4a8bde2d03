import type { RpcChannel } from "../../../../base/ports/rpc-client.ts";
import { GroupService } from "../../../../protocol/methods.ts";
import { DescribeGroupRequest, DescribeGroupResponse, GroupState } from "../../../../protocol/public.ts";
import type { DescribeRow } from "../../../checkers/groups/rows.ts";
import { partitionsOf } from "../../topic.ts";
import type { WorkloadContext } from "../workload.ts";
import { callOnce } from "./calls.ts";
import type { GroupOf } from "./groups.ts";

const TIMEOUT_MS = 2_000;
const states = { [GroupState.empty]: "empty", [GroupState.reconciling]: "reconciling", [GroupState.stable]: "stable" } as const;

/** @returns how the group is, said by its coordinator; "no group": there is none; undefined: nobody said */
export async function describeOnce(
  { world, history, groups }: Pick<WorkloadContext, "world" | "history" | "groups">,
  channel: RpcChannel,
  group: GroupOf,
  proc: string,
): Promise<Pick<DescribeRow, "state" | "members"> | "no group" | undefined> {
  const tInv = world.now;
  const request = DescribeGroupRequest.encode({ groupId: group.id });
  const said = await callOnce(channel, GroupService.DescribeGroup.path, request, DescribeGroupResponse, TIMEOUT_MS);
  if (!("answer" in said)) return said.error === "UNKNOWN_GROUP" ? "no group" : undefined;
  const { state: number, groupEpoch: epoch } = said.answer;
  const state = number === GroupState.unspecified ? "empty" : states[number];
  const members = said.answer.members.map(({ memberId: id, memberEpoch, assignment }) => ({
    id,
    epoch: memberEpoch,
    assignment: assignment.flatMap(({ topic, topicId, partitions }) =>
      partitions.map((partition) => groups.nameOf({ topic, topicId, partition })),
    ),
  }));
  // How much of a topic that changes the coordinator has heard of nobody knows.
  const partitions = partitionsOf(group.topics).map(({ name }) => name);
  history.group({ f: "describe", proc, group: group.id, state, epoch, members, partitions }, tInv, "ok");
  return { state, members };
}
