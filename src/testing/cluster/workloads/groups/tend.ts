import { MillraceError } from "../../../../base/errors.ts";
import type { RpcChannel } from "../../../../base/ports/rpc-client.ts";
import { GroupService } from "../../../../protocol/methods.ts";
import {
  DeleteGroupRequest,
  DeleteGroupResponse,
  DeleteOffsetsRequest,
  DeleteOffsetsResponse,
  FetchOffsetsRequest,
  FetchOffsetsResponse,
  ListGroupsRequest,
  ListGroupsResponse,
  SeekGroupRequest,
  SeekGroupResponse,
} from "../../../../protocol/public.ts";
import { wait } from "../../clients.ts";
import { channelsTo } from "../stub.ts";
import type { WorkloadContext } from "../workload.ts";
import { callOnce } from "./calls.ts";
import { commitOnce } from "./commit.ts";
import { describeOnce } from "./describe.ts";
import { type GroupOf, placesOf } from "./groups.ts";

const TIMEOUT_MS = 2_000;

type Act = (context: WorkloadContext, channel: RpcChannel, group: GroupOf, proc: string) => Promise<void>;

/** Somebody who looks after the groups: asks how they are, moves them, deletes them, commits from outside. */
export async function tend(context: WorkloadContext): Promise<void> {
  const { groups, activity, random, ports, brokers, n } = context;
  const channels = channelsTo(ports, brokers);
  while (!activity.stopped) {
    await wait(ports, 100 + random.below(1_200));
    if (activity.stopped) return;
    const ended = groups.begin();
    const group = random.pick(groups.all);
    const act = random.pick<Act>(group.lasting ? gentle : rough);
    await act(context, random.pick(channels), group, `o${n}`);
    ended();
  }
}

const look: Act = async ({ world, history, random, groups }, channel, group, proc) => {
  const places = placesOf(group).filter(() => random.chance(2, 3));
  const tInv = world.now;
  const topics = places.map(({ topic, partition }) => ({ topic, partitions: [partition] }));
  if (topics.length === 0) return;
  const request = FetchOffsetsRequest.encode({ groupId: group.id, topics });
  const said = await callOnce(channel, GroupService.FetchOffsets.path, request, FetchOffsetsResponse, TIMEOUT_MS);
  if (!("answer" in said)) return;
  // Which topic of the name it is about is in the answer.
  for (const { topic, topicId, partition, offset } of said.answer.offsets) {
    const name = groups.nameOf({ topic, topicId, partition });
    history.group({ f: "committed", proc, group: group.id, partition: name, ...(offset === undefined ? {} : { offset }) }, tInv, "ok");
  }
};

const describe: Act = async (context, channel, group, proc) => {
  await describeOnce(context, channel, group, proc);
};

const list: Act = async (_, channel) => {
  await callOnce(channel, GroupService.ListGroups.path, ListGroupsRequest.encode({}), ListGroupsResponse, TIMEOUT_MS);
};

/** To one offset that all of its partitions, or one of them, have. */
const seek: Act = async ({ world, history, situations, random, client, groups }, channel, group, proc) => {
  const topic = topicIn(random, group);
  const found = await endsOf(client, topic);
  const partitions = random.chance(1, 2) ? found : found.slice(0, 1);
  const least = Math.max(0, ...partitions.map(({ logStartOffset }) => logStartOffset));
  const most = Math.min(...partitions.map(({ highWatermark }) => highWatermark));
  if (partitions.length === 0 || most < least) return;
  const offset = least + random.below(most - least + 1);
  const dryRun = random.chance(1, 3);
  const tInv = world.now;
  // As one offset for all, or as one for each that happens to be the same.
  const named = { topics: [{ topic, partitions: partitions.map(({ partition }) => partition) }], offset };
  const placed = { positions: { positions: partitions.map(({ partition }) => ({ topic, partition, offset })) } };
  const request = SeekGroupRequest.encode({
    groupId: group.id,
    ...(offset % 2 === 0 ? named : placed),
    dryRun,
    force: random.chance(1, 3),
  });
  const said = await callOnce(channel, GroupService.SeekGroup.path, request, SeekGroupResponse, TIMEOUT_MS);
  if (dryRun) return;
  for (const { partition } of partitions) {
    const result = "answer" in said ? said.answer.results.find((one) => one.partition === partition) : undefined;
    const before = result?.before === undefined ? {} : { before: result.before };
    const error = "answer" in said ? {} : { error: said.error };
    const type = "answer" in said ? "ok" : said.type;
    const row = { f: "move" as const, proc, group: group.id, after: result?.after ?? offset };
    // Which topic of the name was moved the answer does not say.
    groups.meant({ topic, partition }, type !== "info", (name, alone) => {
      const known = alone ? { ...before, ...error } : error;
      history.group({ ...row, partition: name, ...known }, tInv, alone || type === "fail" ? type : "info");
    });
  }
  if ("answer" in said) situations.saw("group moved");
};

const commitFromOutside: Act = async (context, channel, group, proc) => {
  const { random, client, groups } = context;
  const topic = topicIn(random, group);
  const ends = await endsOf(client, topic);
  if (ends.length === 0) return;
  const { partition, logStartOffset, highWatermark } = random.pick(ends);
  const offset = logStartOffset + random.below(highWatermark - logStartOffset + 1);
  // Of a topic that changes any that was there: what is committed of a former one is nothing to the one of today.
  const ids = groups.idsOf(topic);
  const topicId = ids.length === 0 ? undefined : random.pick(ids);
  if (topicId === undefined && topic === groups.changing?.name) return;
  const place = { topic, partition, offset, name: groups.nameOf({ topic, topicId: topicId ?? "", partition }) };
  const offsets = [{ ...place, ...(topicId === undefined ? {} : { topicId }) }];
  await commitOnce(context, channel, { group: group.id, proc, member: undefined, offsets });
};

const deleteGroup: Act = async ({ world, history, situations }, channel, group, proc) => {
  const tInv = world.now;
  const request = DeleteGroupRequest.encode({ groupId: group.id });
  const said = await callOnce(channel, GroupService.DeleteGroup.path, request, DeleteGroupResponse, TIMEOUT_MS);
  const error = "answer" in said ? {} : { error: said.error };
  history.group({ f: "forget", proc, group: group.id, ...error }, tInv, "answer" in said ? "ok" : said.type);
  if ("answer" in said) situations.saw("group deleted");
};

const deleteOffsets: Act = async ({ world, history, random, groups }, channel, group, proc) => {
  const { topic, partition } = random.pick(placesOf(group));
  const tInv = world.now;
  const request = DeleteOffsetsRequest.encode({ groupId: group.id, topics: [{ topic, partitions: [partition] }] });
  const said = await callOnce(channel, GroupService.DeleteOffsets.path, request, DeleteOffsetsResponse, TIMEOUT_MS);
  const refused = "answer" in said && said.answer.errors.length > 0;
  const type = "answer" in said ? (refused ? "fail" : "ok") : said.type;
  groups.meant({ topic, partition }, type !== "info", (name, alone) =>
    history.group({ f: "forget", proc, group: group.id, partition: name }, tInv, alone || type === "fail" ? type : "info"),
  );
};

const gentle: readonly Act[] = [look, look, look, describe, describe, list, commitFromOutside, deleteGroup, deleteOffsets];
const rough: readonly Act[] = [look, look, describe, list, seek, seek, commitFromOutside, commitFromOutside, deleteGroup, deleteOffsets];

async function endsOf(client: WorkloadContext["client"], topic: string) {
  try {
    const found = await client.admin().listOffsets(topic, [], { timeoutMs: 1_000 });
    return found.filter(({ error }) => error === undefined);
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error;
    return [];
  }
}

function topicIn(random: WorkloadContext["random"], group: GroupOf): string {
  return random.pick(placesOf(group)).topic;
}
