import type { BrokerConfig } from "../../base/broker-config.ts";
import { AdminService } from "../../protocol/methods.ts";
import {
  AlterClusterConfigsRequest,
  AlterClusterConfigsResponse,
  BrokerState,
  DescribeClusterRequest,
  DescribeClusterResponse,
  GetClusterHealthRequest,
  GetClusterHealthResponse,
  ListClusterConfigsRequest,
  ListClusterConfigsResponse,
} from "../../protocol/public.ts";
import type { AdminCalls } from "./admin-calls.ts";
import { healthOf } from "./health.ts";
import { configEntries } from "./topic-description.ts";

const NO_TOPIC = new Map<string, string>();

/** The cluster as a whole: who is in it, whether it is well, and the settings that topics get when they have none of their own. */
export function registerClusterCalls(calls: AdminCalls, config: BrokerConfig): void {
  calls.read(AdminService.DescribeCluster, async (bytes, until) => {
    const request = DescribeClusterRequest.decode(bytes);
    await calls.seen(request.minMetadataVersion, until);
    const { image, group } = calls.parts;
    return DescribeClusterResponse.encode({
      clusterId: image.clusterId ?? "",
      controllerId: group.controllerBroker ?? 0,
      brokers: [...image.brokers.values()]
        .sort((a, b) => a.id - b.id)
        .map((broker) => ({
          brokerId: broker.id,
          address: broker.clientAddress,
          peerAddress: broker.peerAddress,
          rack: broker.rack ?? "",
          version: broker.version,
          state: broker.state === "live" ? BrokerState.live : BrokerState.fenced,
          incarnation: broker.incarnation,
          brokerEpoch: broker.epoch,
          seed: image.seeds.some((seed) => seed.brokerId === broker.id),
          featureLevel: broker.levels.max,
        })),
      metadataVersion: calls.version,
      answeredBy: config.brokerId,
      featureLevel: image.featureLevel,
    });
  });

  calls.read(AdminService.GetClusterHealth, async (bytes, until) => {
    const request = GetClusterHealthRequest.decode(bytes);
    await calls.seen(request.minMetadataVersion, until);
    return GetClusterHealthResponse.encode({
      ...healthOf(calls.image, config, await calls.parts.reports(until.caller), calls.parts.group.controllerBroker),
      metadataVersion: calls.version,
    });
  });

  calls.read(AdminService.ListClusterConfigs, async (bytes, until) => {
    const request = ListClusterConfigsRequest.decode(bytes);
    await calls.seen(request.minMetadataVersion, until);
    await calls.parts.group.barrier(until);
    return ListClusterConfigsResponse.encode({
      configs: configEntries(NO_TOPIC, calls.image.clusterConfigs, config.log),
      metadataVersion: calls.version,
    });
  });

  calls.change(AdminService.AlterClusterConfigs, async (bytes, until) => {
    const { set, delete: remove, validateOnly, minMetadataVersion } = AlterClusterConfigsRequest.decode(bytes);
    await calls.seen(minMetadataVersion, until);
    const { metadataVersion } = await calls.submit({ kind: "alterClusterConfigs", set, delete: remove, validateOnly }, until);
    return AlterClusterConfigsResponse.encode({
      configs: configEntries(NO_TOPIC, calls.recorded.image.clusterConfigs, config.log),
      metadataVersion,
    });
  });
}
