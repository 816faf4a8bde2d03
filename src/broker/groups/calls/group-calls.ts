import { MillraceError } from "../../../base/errors.ts";
import type { GroupId } from "../../../base/ids.ts";
import { pause, type Until, whileCalled } from "../../../base/until.ts";
import { GroupsImage } from "../../../consumer-groups/image.ts";
import { refuseGroupName } from "../../../consumer-groups/names.ts";
import { GROUPS_PARTITIONS, shardOf } from "../../../consumer-groups/shard.ts";
import { ForwardedGroupCall } from "../../../protocol/routing.ts";
import type { IncomingCall } from "../../peers/peer-calls.ts";
import type { PeerLinks } from "../../peers/peer-links.ts";
import { callThere, carry } from "../../routing/carry.ts";
import type { Router } from "../../routing/router.ts";
import type { Coordinator } from "../coordinator/coordinator.ts";
import { notCoordinator } from "../coordinator/groups-machine.ts";
import type { GroupsShards, Shard } from "../shards.ts";
import type { GroupCallParts, GroupMethod } from "./group-method.ts";
import { type GroupMethodName, groupMethods, isGroupMethod } from "./group-methods.ts";

export const GROUP_METHOD = "group.call";

/** Pause before a call that met a coordinator in the act of moving is routed again. */
const AGAIN_MS = 25;

export interface GroupCallsPorts {
  readonly parts: GroupCallParts;
  readonly shards: Pick<GroupsShards<Coordinator>, "made" | "ensure" | "groupOf"> & {
    here(shard: number): Pick<Shard<Coordinator>, "leader" | "read" | "view"> | undefined;
  };
  readonly router: Pick<Router, "route">;
  readonly links: Pick<PeerLinks, "call">;
  readonly forwardWaitMs: number;
  /** A bug: the broker cannot go on. */
  readonly failed: (error: unknown) => void;
}

/** Whoever asks something of a group, at whatever broker. */
export interface GroupCaller {
  readonly until: Until;
  readonly clientAddress: string;
}

/**
 * Calls of groups on their way to the coordinator: here, or one hop away, or held while nobody knows one (design §8). What is executed is
 * the same code, on the same bytes.
 */
export class GroupCalls {
  readonly #ports: GroupCallsPorts;

  constructor(ports: GroupCallsPorts) {
    this.#ports = ports;
  }

  /** @param request as the method's message @throws {MillraceError} */
  async call(name: GroupMethodName, groupId: string, request: Uint8Array, caller: GroupCaller): Promise<Uint8Array> {
    const error = refuseGroupName(groupId);
    if (error !== undefined) throw error;
    return this.#callShard(name, shardOf(groupId), request, caller);
  }

  /** Of all shards, in order. @throws {MillraceError} of any */
  callAll(name: GroupMethodName, request: Uint8Array, caller: GroupCaller): Promise<readonly Uint8Array[]> {
    return Promise.all(Array.from({ length: GROUPS_PARTITIONS }, (_, shard) => this.#callShard(name, shard, request, caller)));
  }

  /** Whether there are groups at all; asked of the metadata's leader before it is denied. */
  async any({ until }: GroupCaller): Promise<boolean> {
    const { shards, parts } = this.#ports;
    if (!shards.made) await parts.barrier(until);
    return shards.made;
  }

  /** Serves `GROUP_METHOD` for another broker: here or not at all. */
  serve(call: IncomingCall): void {
    const { shard, method, request, clientAddress } = ForwardedGroupCall.decode(call.body);
    const groupId = this.#ports.shards.groupOf(shard);
    if (!isGroupMethod(method)) return call.fail(new MillraceError("NOT_IMPLEMENTED", `Coordinators know no call ${method.slice(0, 100)}`));
    if (groupId === undefined) return call.fail(notCoordinator());
    const caller = { until: { deadline: call.deadline, caller: call }, clientAddress };
    const giveUp = this.#ports.router.route({
      groupId,
      bytes: call.body.byteLength,
      deadline: call.deadline,
      direct: true,
      runHere: () => {
        if (call.cancelled) return;
        this.#run(groupMethods[method], shard, request, caller).then(
          (answer) => call.reply([answer]),
          (error: unknown) => {
            if (error instanceof MillraceError) return call.fail(error);
            call.fail(new MillraceError("INTERNAL", `${method} failed`));
            this.#ports.failed(error);
          },
        );
      },
      runThere: (broker) => call.fail(new MillraceError("INTERNAL", `A forwarded call must not be handed on to broker ${broker}`)),
      fail: (error) => call.fail(error),
    });
    call.onCancel(giveUp);
  }

  async #callShard(name: GroupMethodName, shard: number, request: Uint8Array, caller: GroupCaller): Promise<Uint8Array> {
    const { shards, parts, forwardWaitMs } = this.#ports;
    const method: GroupMethod = groupMethods[name];
    if (!shards.made) {
      if (method.makes) await shards.ensure(caller.until);
      else if (!(await this.any(caller))) {
        if (method.absent === undefined) throw new MillraceError("INTERNAL", `${name} is not asked without groups`);
        return method.absent(request, parts, GroupsImage.empty());
      }
    }
    const { clock } = parts;
    const again = Math.min(caller.until.deadline, clock.monotonic() + forwardWaitMs);
    for (;;) {
      try {
        return await this.#route(name, shard, request, caller);
      } catch (error) {
        if (!(error instanceof MillraceError) || !mayGoAgain(method, error)) throw error;
        if (clock.monotonic() + AGAIN_MS >= again) throw error.code === "NOT_LEADER" ? moving(error) : error;
        await pause(clock, AGAIN_MS, caller.until.caller);
      }
    }
  }

  #route(name: GroupMethodName, shard: number, request: Uint8Array, caller: GroupCaller): Promise<Uint8Array> {
    const { shards, router, links, parts, failed } = this.#ports;
    const { until, clientAddress } = caller;
    const groupId = shards.groupOf(shard) as GroupId;
    return whileCalled<Uint8Array>(until.caller, (done) =>
      carry<Uint8Array>(
        router,
        {
          groupId,
          bytes: request.byteLength,
          deadline: until.deadline,
          direct: false,
          here: (finish) => {
            this.#run(groupMethods[name], shard, request, caller).then(finish, (error: unknown) => {
              if (error instanceof MillraceError) return finish(error);
              finish(new MillraceError("INTERNAL", `${name} failed`));
              failed(error);
            });
            // It looks at its caller itself.
            return () => {};
          },
          there: (broker, finish) => {
            const body = [ForwardedGroupCall.encode({ shard, method: name, request, clientAddress })];
            const decode = (answer: Uint8Array): Uint8Array => answer;
            return callThere(links, parts.clock, { broker, method: GROUP_METHOD, body, deadline: until.deadline, decode }, finish);
          },
        },
        done,
      ),
    );
  }

  async #run(method: GroupMethod, shard: number, request: Uint8Array, { until, clientAddress }: GroupCaller): Promise<Uint8Array> {
    const here = this.#ports.shards.here(shard);
    if (here?.leader.active !== true) throw notCoordinator();
    return method.run({ shard: here, until, clientAddress, parts: this.#ports.parts }, request);
  }
}

/** Nothing was written; or nothing ever is by this method. */
function mayGoAgain({ reads }: GroupMethod, { code }: MillraceError): boolean {
  return code === "NOT_LEADER" || (reads && (code === "HOP_LOST" || code === "LEADER_UNKNOWN"));
}

function moving({ message }: MillraceError): MillraceError {
  return new MillraceError("LEADER_UNKNOWN", `The coordinator of the group is moving: ${message}`, {}, 100);
}
