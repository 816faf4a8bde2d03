import { commitOffsets } from "./commit-call.ts";
import { deleteGroup, deleteOffsets } from "./delete-calls.ts";
import { describeGroup } from "./describe-call.ts";
import { fetchOffsets } from "./fetch-call.ts";
import type { GroupMethod } from "./group-method.ts";
import { listGroups } from "./list-call.ts";
import { heartbeat, watch } from "./member-calls.ts";
import { seekGroup } from "./seek-call.ts";

/** What a coordinator is asked, by the names of `GroupService`; `Watch` is asked by brokers only. */
export const groupMethods = {
  Heartbeat: heartbeat,
  Watch: watch,
  CommitOffsets: commitOffsets,
  FetchOffsets: fetchOffsets,
  ListGroups: listGroups,
  DescribeGroup: describeGroup,
  SeekGroup: seekGroup,
  DeleteGroup: deleteGroup,
  DeleteOffsets: deleteOffsets,
} as const satisfies Readonly<Record<string, GroupMethod>>;

export type GroupMethodName = keyof typeof groupMethods;

export function isGroupMethod(name: string): name is GroupMethodName {
  return Object.hasOwn(groupMethods, name);
}
