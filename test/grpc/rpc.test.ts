import { describe } from "node:test";
import { createRpcClient } from "../../src/grpc/rpc-client.ts";
import { createRpcServer } from "../../src/grpc/rpc-server.ts";
import { nodeClock } from "../../src/host/clock.ts";
import { rpcContract } from "./contract.ts";

describe("the RPC ports on grpc-js", () => {
  rpcContract("grpc-js", async () => ({
    server: createRpcServer({ clock: nodeClock(), reflection: false }),
    client: createRpcClient(),
    freeAddress: () => "127.0.0.1:0",
    close: async () => {},
  }));
});
