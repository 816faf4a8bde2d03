import { parentPort } from "node:worker_threads";
import { serveKeeper } from "./client/group/start-keeper.ts";
import { createRpcClient } from "./grpc/rpc-client.ts";
import { nodeClock } from "./host/clock.ts";
import { nodeRandom } from "./host/random.ts";

/** The thread of a group consumer: heartbeats leave from here while the application computes. Started by `client-entry.ts`. */
if (parentPort !== null) {
  const port = parentPort;
  port.on(
    "message",
    serveKeeper({ rpc: createRpcClient(), clock: nodeClock(), random: nodeRandom }, (news) => port.postMessage(news)),
  );
}
