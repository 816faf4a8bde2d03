import assert from "node:assert/strict";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { describe, it } from "node:test";
import { RpcFailure } from "../../src/base/ports/rpc-client.ts";
import { createRpcClient } from "../../src/grpc/rpc-client.ts";

/** Runs against an address that accepts connections and never says a word: a pod's behind a port-forward, say. */
async function againstSilence(run: (address: string) => Promise<void>): Promise<void> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => sockets.push(socket.resume()));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    await run(`127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
  }
}

describe("An address that accepts and never answers", () => {
  it("ends calls and streams as never sent, long before their deadline", () =>
    againstSilence(async (address) => {
      const channel = createRpcClient({ connectTimeoutMs: 30 }).channel(address);
      try {
        const failure: unknown = await channel.unary("/a/b", new Uint8Array(1), { timeoutMs: 600_000 }).catch((error: unknown) => error);
        assert.ok(failure instanceof RpcFailure && failure.neverSent, String(failure));
        assert.match(failure.message, /^No connection to 127\.0\.0\.1:\d+ within 30 ms$/);
        const stream = channel.openStream("/a/c", "bidi");
        stream.write(new Uint8Array(1));
        const closed = await new Promise<unknown>((resolve) => {
          stream.handlers = { message() {}, drain() {}, closed: resolve };
        });
        assert.ok(closed instanceof RpcFailure && closed.neverSent, String(closed));
      } finally {
        channel.close();
      }
    }));
});
