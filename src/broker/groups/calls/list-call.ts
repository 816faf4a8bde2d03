import { listAnswer } from "../../../consumer-groups/answers.ts";
import { ListGroupsResponse } from "../../../protocol/public/group-service.ts";
import { imageNow } from "./ask-coordinator.ts";
import type { GroupMethod } from "./group-method.ts";

/** `ListGroups` of one shard. */
export const listGroups: GroupMethod = {
  makes: false,
  reads: true,
  async run(call) {
    return ListGroupsResponse.encode(listAnswer(await imageNow(call)));
  },
};
