import type { BrokerConfig } from "../../base/broker-config.ts";
import { MillraceError } from "../../base/errors.ts";
import type { Clock } from "../../base/ports/clock.ts";
import type { Random } from "../../base/ports/random.ts";
import type { RpcServer } from "../../base/ports/rpc-server.ts";
import { unknownPartition } from "../../cluster/named-topics.ts";
import { AdminService } from "../../protocol/methods.ts";
import { TransferLeaderRequest, TransferLeaderResponse } from "../../protocol/public.ts";
import { type AdminBackend, AdminCalls } from "./admin-calls.ts";
import { registerClusterCalls } from "./admin-cluster.ts";
import { registerTopicCalls } from "./admin-topics.ts";
import { registerTrimCall } from "./admin-trim.ts";
import type { ReplyRoom } from "./reply-room.ts";

/**
 * Registers what this version knows of `millrace.v1.AdminService`; the RPC server answers the rest NOT_IMPLEMENTED by name.
 * @param parts the broker's; throws NOT_READY or SHUTTING_DOWN while it does not serve
 * @param room for the answers of all services
 */
export function registerAdminService(
  server: RpcServer,
  parts: () => AdminBackend,
  config: BrokerConfig,
  clock: Clock,
  random: Random,
  room: ReplyRoom,
): void {
  const calls = new AdminCalls(server, parts, clock, room);
  registerTopicCalls(calls, config, random);
  registerTrimCall(calls, config.limits.partitionsPerTopicMax);
  registerClusterCalls(calls, config);

  calls.change(AdminService.TransferLeader, async (bytes, until) => {
    const request = TransferLeaderRequest.decode(bytes);
    const topic = await calls.topicNamed(request.topic, until, request.topicId);
    const groupId = topic.groups[request.partition];
    const partition = groupId === undefined ? undefined : calls.image.partitionOfGroup(groupId);
    if (partition === undefined) throw unknownPartition(topic.name, topic.groups.length, request.partition);
    if (request.toBrokerId !== 0 && !partition.replicas.some(({ brokerId }) => brokerId === request.toBrokerId)) {
      const holders = partition.replicas.map(({ brokerId }) => brokerId).join(", ");
      const text = `Broker ${request.toBrokerId} holds no replica of ${topic.name}-${request.partition}; brokers ${holders} do`;
      throw new MillraceError("UNKNOWN_BROKER", text, { brokers: holders });
    }
    return TransferLeaderResponse.encode(await calls.parts.transfer(partition.groupId, request.toBrokerId, until));
  });
}
