import { MillraceError } from "../../../base/errors.ts";
import { RpcFailure } from "../../../base/ports/rpc-client.ts";
import { AdminService } from "../../../protocol/methods.ts";
import { DescribeClusterRequest, DescribeClusterResponse } from "../../../protocol/public.ts";
import { wait } from "../clients.ts";
import { channelsTo } from "./stub.ts";
import type { WorkloadContext } from "./workload.ts";

/** Asks any broker for the cluster as it is, at least as new as it was shown before. */
export async function describe(context: WorkloadContext): Promise<void> {
  const { world, history, activity, random, ports, pace } = context;
  const channels = channelsTo(ports, context.brokers);
  let newest = 0;
  while (!activity.stopped) {
    const tInv = world.now;
    try {
      const request = DescribeClusterRequest.encode({ minMetadataVersion: newest });
      const reply = await random.pick(channels).unary(AdminService.DescribeCluster.path, request, { timeoutMs: 1_000 });
      const { metadataVersion: version, answeredBy } = DescribeClusterResponse.decode(reply);
      history.metadata({ f: "metadata", proc: `d${context.n}`, version, broker: answeredBy }, tInv);
      newest = Math.max(newest, version);
    } catch (error) {
      if (!(error instanceof MillraceError || error instanceof RpcFailure)) throw error;
    }
    await wait(ports, random.between(...pace.endsMs));
  }
}
