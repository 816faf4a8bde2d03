import { MillraceError } from "../base/errors.ts";
import type { MessageInput } from "../protocol/codec/index.ts";
import { GroupService } from "../protocol/methods.ts";
import {
  type CommittedOffset,
  DeleteGroupRequest,
  DeleteGroupResponse,
  DeleteOffsetsRequest,
  DeleteOffsetsResponse,
  DescribeGroupRequest,
  DescribeGroupResponse,
  FetchOffsetsRequest,
  FetchOffsetsResponse,
  type GroupListing,
  ListGroupsRequest,
  ListGroupsResponse,
  SeekGroupRequest,
  SeekGroupResponse,
  type SeekResult,
} from "../protocol/public.ts";
import { errorOf } from "../protocol/rpc-status.ts";
import type { AdminCalls, AdminOptions } from "./admin-calls.ts";

/** Partitions of one topic. */
export interface TopicSelection {
  readonly topic: string;
  /** Of the topic that is meant, for who remembers more of it than its name; another one of the name is refused (UNKNOWN_TOPIC). Absent: whatever has the name. */
  readonly topicId?: string | undefined;
  /** None: all. */
  readonly partitions?: readonly number[];
}

/** A partition, and the next offset to be read of it. */
export interface SeekPlace {
  readonly topic: string;
  /** As of `TopicSelection`. */
  readonly topicId?: string | undefined;
  readonly partition: number;
  readonly offset: number;
}

/** Where committed offsets are to go; `timeMs`: to the first record of that time or later, `shiftBy`: so many records on, or back. */
export type SeekTo =
  | "start"
  | "end"
  | { readonly offset: number }
  | { readonly timeMs: number }
  /** It stops at the ends of the log. */
  | { readonly shiftBy: number }
  /** To where this other group is, in partitions it has committed offsets of. */
  | { readonly group: string }
  /** Each to its own; goes without `topics`. */
  | { readonly positions: readonly SeekPlace[] };

export interface SeekOptions extends AdminOptions {
  /** None: all partitions that the group reads or has committed offsets of; of a group that has none, all that the other one has. */
  readonly topics?: readonly TopicSelection[];
  /** Says what would be, changes nothing. */
  readonly dryRun?: boolean;
  /** Also while the group has members: they are removed first, and join again from there. */
  readonly force?: boolean;
}

/** Offsets that were not deleted, and why. `partition` -1: none of the topic. */
export interface RefusedPartition {
  readonly topic: string;
  readonly partition: number;
  readonly error: MillraceError;
}

/** Asked for at a time: a fraction of what an answer may hold. */
const PAGE_GROUPS = 1_000;

/** Consumer groups, as an operator sees them. */
export class GroupAdmin {
  readonly #calls: AdminCalls;

  constructor(calls: AdminCalls) {
    this.#calls = calls;
  }

  /** By name; asked for in pages. @throws {MillraceError} LEADER_UNKNOWN when some coordinator could not be asked */
  async list(options: AdminOptions = {}): Promise<readonly GroupListing[]> {
    const all: GroupListing[] = [];
    for (let pageToken = ""; ; ) {
      const request = ListGroupsRequest.encode({ pageSize: PAGE_GROUPS, pageToken });
      const { groups, nextPageToken } = ListGroupsResponse.decode(await this.#calls.read(GroupService.ListGroups.path, request, options));
      all.push(...groups);
      if (nextPageToken === "") break;
      pageToken = nextPageToken;
    }
    return all.sort((a, b) => (a.groupId < b.groupId ? -1 : 1));
  }

  /** Members, what they hold, and how far the group is in each partition. @throws {MillraceError} UNKNOWN_GROUP */
  async describe(groupId: string, options: AdminOptions = {}): Promise<DescribeGroupResponse> {
    return DescribeGroupResponse.decode(
      await this.#calls.read(GroupService.DescribeGroup.path, DescribeGroupRequest.encode({ groupId }), options),
    );
  }

  /** Linearizable. @param topics none: all that the group has committed @throws {MillraceError} */
  async offsets(groupId: string, topics: readonly TopicSelection[] = [], options: AdminOptions = {}): Promise<readonly CommittedOffset[]> {
    const request = FetchOffsetsRequest.encode({ groupId, topics });
    return FetchOffsetsResponse.decode(await this.#calls.read(GroupService.FetchOffsets.path, request, options)).offsets;
  }

  /**
   * Moves the committed offsets of a group without members, or with `force` of any; all of them or none.
   *
   * @throws {MillraceError} GROUP_NOT_EMPTY, OFFSET_OUT_OF_RANGE, NO_COMMITTED_OFFSETS, UNKNOWN_GROUP, UNKNOWN_TOPIC …
   */
  async seek(groupId: string, to: SeekTo, options: SeekOptions = {}): Promise<readonly SeekResult[]> {
    const { topics, dryRun, force } = options;
    const request = SeekGroupRequest.encode({ groupId, topics, dryRun, force, ...destination(to) });
    const reply = await (dryRun === true
      ? this.#calls.read(GroupService.SeekGroup.path, request, options)
      : this.#calls.change(GroupService.SeekGroup.path, request, options));
    return SeekGroupResponse.decode(reply).results;
  }

  /** With all its offsets. @throws {MillraceError} GROUP_NOT_EMPTY, UNKNOWN_GROUP */
  async delete(groupId: string, options: AdminOptions = {}): Promise<void> {
    DeleteGroupResponse.decode(await this.#calls.change(GroupService.DeleteGroup.path, DeleteGroupRequest.encode({ groupId }), options));
  }

  /** Of topics that no member reads. @returns those that are still there @throws {MillraceError} UNKNOWN_GROUP */
  async deleteOffsets(
    groupId: string,
    topics: readonly TopicSelection[],
    options: AdminOptions = {},
  ): Promise<readonly RefusedPartition[]> {
    const request = DeleteOffsetsRequest.encode({ groupId, topics });
    const reply = await this.#calls.change(GroupService.DeleteOffsets.path, request, options);
    return DeleteOffsetsResponse.decode(reply).errors.map(({ topic, partition, error }) => ({
      topic,
      partition,
      error: (error === undefined ? undefined : errorOf(error)) ?? new MillraceError("CONNECTION_LOST", error?.message ?? ""),
    }));
  }
}

function destination(to: SeekTo): MessageInput<typeof SeekGroupRequest> {
  if (to === "start") return { start: true };
  if (to === "end") return { end: true };
  return "positions" in to ? { positions: { positions: to.positions } } : to;
}
