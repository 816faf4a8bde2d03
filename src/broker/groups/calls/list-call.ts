import { listAnswer } from "../../../consumer-groups/answers.ts";
import { type GroupsPage, pageOf } from "../../../consumer-groups/groups-page.ts";
import { ListGroupsRequest, ListGroupsResponse } from "../../../protocol/public/group-service.ts";
import { imageNow } from "./ask-coordinator.ts";
import { fitting } from "./fetch-call.ts";
import type { GroupMethod } from "./group-method.ts";

/** `ListGroups` of one shard. */
export const listGroups: GroupMethod = {
  makes: false,
  reads: true,
  async run(call, bytes) {
    const page = ListGroupsRequest.decode(bytes);
    return ListGroupsResponse.encode(listAnswer(await imageNow(call), page));
  },
};

/**
 * One page of the groups of all shards, from the answers of each: also of coordinators of before, which know no pages and tell all.
 * @throws {MillraceError} REQUEST_TOO_LARGE
 */
export function listedGroups(shards: readonly Uint8Array[], page: GroupsPage): Uint8Array {
  const all = shards.flatMap((shard) => ListGroupsResponse.decode(shard).groups);
  const { listed, more } = pageOf(all, ({ groupId }) => groupId, page);
  const nextPageToken = more ? (listed.at(-1)?.groupId ?? "") : "";
  return fitting(ListGroupsResponse.encode({ groups: listed, nextPageToken }), "Ask for pages: page_size");
}
