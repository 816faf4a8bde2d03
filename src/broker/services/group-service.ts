import type { MillraceError } from "../../base/errors.ts";
import type { Clock } from "../../base/ports/clock.ts";
import type { CallContext, RpcServer } from "../../base/ports/rpc-server.ts";
import { refusePage } from "../../consumer-groups/groups-page.ts";
import { GroupService } from "../../protocol/methods.ts";
import {
  CommitOffsetsRequest,
  DeleteGroupRequest,
  DeleteOffsetsRequest,
  DescribeGroupRequest,
  FetchOffsetsRequest,
  ListGroupsRequest,
  ListGroupsResponse,
  SeekGroupRequest,
} from "../../protocol/public/group-service.ts";
import type { GroupCaller, GroupCalls } from "../groups/calls/group-calls.ts";
import type { GroupMethodName } from "../groups/calls/group-methods.ts";
import { listedGroups } from "../groups/calls/list-call.ts";
import { beatOf } from "../groups/calls/member-calls.ts";
import { GroupSession } from "./group-session.ts";
import type { ReplyRoom } from "./reply-room.ts";

/** What the group service asks of the broker. */
export interface GroupBackend {
  readonly groupCalls: GroupCalls;
}

/** Calls without a deadline get this one: nothing waits for ever. */
const DEFAULT_DEADLINE_MS = 30_000;

type Unary = Exclude<GroupMethodName, "Watch" | "ListGroups">;

/** Where each request says which group it is of. */
const groupOf: { readonly [K in Unary]: (request: Uint8Array) => string } = {
  Heartbeat: (request) => beatOf(request).groupId,
  CommitOffsets: (request) => CommitOffsetsRequest.decode(request).groupId,
  FetchOffsets: (request) => FetchOffsetsRequest.decode(request).groupId,
  DescribeGroup: (request) => DescribeGroupRequest.decode(request).groupId,
  SeekGroup: (request) => SeekGroupRequest.decode(request).groupId,
  DeleteGroup: (request) => DeleteGroupRequest.decode(request).groupId,
  DeleteOffsets: (request) => DeleteOffsetsRequest.decode(request).groupId,
};
const reads: ReadonlySet<Unary> = new Set(["FetchOffsets", "DescribeGroup"]);

/**
 * Registers `millrace.v1.GroupService`: every broker hands each call to the group's coordinator.
 * @param parts the broker's; throws NOT_READY or SHUTTING_DOWN while it does not serve
 * @param room for the answers of all services
 * @returns ends the open sessions: their members go on at another broker
 */
export function registerGroupService(
  server: RpcServer,
  parts: () => GroupBackend,
  clock: Clock,
  room: ReplyRoom,
): (error: MillraceError) => void {
  const sessions = new Set<GroupSession>();
  const callerOf = (call: CallContext): GroupCaller => ({
    until: { deadline: call.deadline ?? clock.monotonic() + DEFAULT_DEADLINE_MS, caller: call },
    clientAddress: call.peer,
  });

  for (const [name, groupId] of Object.entries(groupOf) as [Unary, (request: Uint8Array) => string][]) {
    const ask = (request: Uint8Array, call: CallContext): Promise<Uint8Array> =>
      parts().groupCalls.call(name, groupId(request), request, callerOf(call));
    server.register(GroupService[name].path, {
      kind: "unary",
      async handle(request, call) {
        if (reads.has(name)) return room.answer(call, () => ask(request, call));
        room.bytesFor(call, 0);
        return ask(request, call);
      },
    });
  }

  server.register(GroupService.ListGroups.path, {
    kind: "unary",
    handle: (request, call) =>
      room.answer(call, async () => {
        const page = ListGroupsRequest.decode(request);
        const refused = refusePage(page);
        if (refused !== undefined) throw refused;
        const caller = callerOf(call);
        const { groupCalls: groups } = parts();
        if (!(await groups.any(caller))) return ListGroupsResponse.encode({});
        return listedGroups(await groups.callAll("ListGroups", request, caller), page);
      }),
  });

  server.register(GroupService.Session.path, {
    kind: "bidi",
    handle(stream) {
      const session = new GroupSession(stream, parts, clock);
      sessions.add(session);
      session.start(() => sessions.delete(session));
    },
  });

  return (error) => {
    for (const session of [...sessions]) session.close(error);
  };
}
