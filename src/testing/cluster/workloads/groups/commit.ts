import type { RpcChannel } from "../../../../base/ports/rpc-client.ts";
import { GroupService } from "../../../../protocol/methods.ts";
import { CommitOffsetsRequest, CommitOffsetsResponse, type OffsetError } from "../../../../protocol/public.ts";
import { errorOf } from "../../../../protocol/rpc-status.ts";
import type { WorkloadContext } from "../workload.ts";
import { callOnce, type Ended, type Failed } from "./calls.ts";
import type { Place } from "./held-partition.ts";

const TIMEOUTS_MS = [400, 1_500, 3_000] as const;

/** Refusals of a commit that comes too late, or from somebody who has no right to it. */
const LATE: ReadonlySet<string> = new Set(["UNKNOWN_MEMBER", "MEMBER_FENCED", "PARTITION_NOT_OWNED", "STALE_MEMBER_EPOCH"]);

export interface Commit {
  readonly group: string;
  readonly proc: string;
  /** Undefined: from outside. */
  readonly member: { readonly id: string; readonly epoch: number } | undefined;
  readonly offsets: readonly (Pick<Place, "topic" | "partition" | "name"> & { readonly topicId?: string; readonly offset: number })[];
}

/** How a commit ended for each of its partitions, by name; undefined: it is committed. */
export type CommitOutcomes = ReadonlyMap<string, Pick<Failed, "error" | "type"> | undefined>;

/** One call. @returns how it ended for each of them, by name */
export async function commitOnce(context: WorkloadContext, channel: RpcChannel, commit: Commit): Promise<CommitOutcomes> {
  const { world, random, groups } = context;
  const { group, member, offsets } = commit;
  const tInv = world.now;
  const ended = groups.begin();
  const request = CommitOffsetsRequest.encode({
    groupId: group,
    memberId: member?.id ?? "",
    memberEpoch: member?.epoch ?? -1,
    offsets: offsets.map(({ topic, topicId, partition, offset }) => ({ topic, topicId: topicId ?? "", partition, offset })),
  });
  const said = await callOnce(channel, GroupService.CommitOffsets.path, request, CommitOffsetsResponse, random.pick(TIMEOUTS_MS));
  ended();
  return noteCommit(context, commit, tInv, said);
}

/** Writes down how a commit ended. @returns the same for each of its partitions, by name */
export function noteCommit(
  { history, situations }: WorkloadContext,
  { group, proc, member, offsets }: Commit,
  tInv: number,
  said: Ended<CommitOffsetsResponse>,
): CommitOutcomes {
  const outcomes = new Map<string, { readonly error: string; readonly type: "fail" | "info" } | undefined>();
  for (const { name, topic, topicId = "", partition, offset } of offsets) {
    const about = (one: OffsetError): boolean => one.topic === topic && one.topicId === topicId && one.partition === partition;
    const status = "answer" in said ? said.answer.errors.find(about)?.error : undefined;
    const refusal = status === undefined ? undefined : errorOf(status);
    const failed = "answer" in said ? refusal && { type: "fail" as const, error: refusal.code, facts: refusal.metadata } : said;
    const committed = failed?.error === "COMMIT_BEHIND" ? Number(failed.facts["committed_offset"]) : undefined;
    const row = {
      f: "commit" as const,
      proc,
      group,
      partition: name,
      offset,
      ...(member === undefined ? {} : { member: member.id, epoch: member.epoch }),
      ...(failed === undefined ? {} : { error: failed.error }),
      ...(committed === undefined ? {} : { committed }),
    };
    history.group(row, tInv, failed?.type ?? "ok");
    if (failed !== undefined && LATE.has(failed.error)) situations.saw("late commit refused");
    if (failed?.error === "UNKNOWN_TOPIC") situations.saw("commit for a former topic refused");
    if (failed?.type === "info") situations.saw("commit of unknown outcome");
    outcomes.set(name, failed);
  }
  return outcomes;
}
