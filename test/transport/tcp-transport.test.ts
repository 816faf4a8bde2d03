import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { it } from "node:test";
import { invariant } from "../../src/base/invariant.ts";
import { type Connection, PEER_MESSAGE_BYTES_MAX } from "../../src/base/ports/transport.ts";
import { createTcpTransport } from "../../src/transport/tcp-transport.ts";
import { openPair, Seen, type TransportUnderTest, transportContract } from "./contract.ts";

const open = async (): Promise<TransportUnderTest> => ({
  transport: createTcpTransport(),
  freeAddress: () => "127.0.0.1:0",
  close: async () => {},
});

transportContract("node:net", open);

async function listenRaw(): Promise<{ port: number; connections: { connection: Connection; seen: Seen }[]; close: () => Promise<void> }> {
  const connections: { connection: Connection; seen: Seen }[] = [];
  const listener = await createTcpTransport().listen("127.0.0.1:0", (connection) =>
    connections.push({ connection, seen: new Seen(connection) }),
  );
  return { port: Number(listener.address.split(":")[1]), connections, close: () => listener.close() };
}

it("A message announced longer than the maximum ends the connection with a reason, before anything is stored", async () => {
  const { port, connections, close } = await listenRaw();
  const socket = connect(port, "127.0.0.1");
  const header = Buffer.alloc(5);
  header.writeUInt32LE(PEER_MESSAGE_BYTES_MAX + 1, 0);
  socket.write(header);
  await once(socket, "close");
  await connections[0]?.seen.closed();
  assert.match(connections[0]?.seen.closedReasons[0] ?? "", /longer than 16777216 bytes/);
  assert.equal(connections[0]?.seen.messages.length, 0);
  await close();
});

it("Bytes of another protocol are closed quietly, and the listener goes on", async () => {
  const { port, connections, close } = await listenRaw();
  for (const garbage of ["GET / HTTP/1.1\r\nHost: x\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\xff".repeat(64)]) {
    const socket = connect(port, "127.0.0.1");
    socket.on("error", () => {});
    socket.write(Buffer.from(garbage, "latin1"));
    await once(socket, "close");
  }
  assert.equal(connections.length, 3);
  for (const { seen } of connections) {
    await seen.closed();
    assert.equal(seen.messages.length, 0);
  }
  await close();
});

it("A message is the same however the bytes are cut on the way", async () => {
  const { port, connections, close } = await listenRaw();
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  const message = Buffer.concat([Buffer.from([4, 0, 0, 0, 42]), Buffer.from("abcd")]);
  for (const byte of Buffer.concat([message, message])) {
    await new Promise<void>((resolve) => socket.write(Buffer.from([byte]), () => resolve()));
  }
  await new Promise<void>((resolve) => setImmediate(resolve));
  const first = connections[0];
  invariant(first !== undefined, "connected");
  await first.seen.received(2);
  assert.deepEqual(
    first.seen.messages.map(({ kind, body }) => [kind, Buffer.from(body).toString()]),
    [
      [42, "abcd"],
      [42, "abcd"],
    ],
  );
  socket.destroy();
  await close();
});

it("A message over the maximum is a bug of the sender and is not sent", async () => {
  const under = await open();
  const { dialer, listener } = await openPair(under);
  assert.throws(() => dialer.send(1, [new Uint8Array(PEER_MESSAGE_BYTES_MAX + 1)]), /at most 16777216 bytes/);
  dialer.close("test over");
  await listener.close();
});
