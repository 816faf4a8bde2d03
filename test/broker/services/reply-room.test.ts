import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MillraceError } from "../../../src/base/errors.ts";
import { toBrokerId } from "../../../src/base/ids.ts";
import type { CallContext } from "../../../src/base/ports/rpc-server.ts";
import type { IncomingCall } from "../../../src/broker/peers/peer-calls.ts";
import { PeerRoom } from "../../../src/broker/services/peer-room.ts";
import { ReplyRoom } from "../../../src/broker/services/reply-room.ts";
import { FetchResponse } from "../../../src/protocol/public.ts";
import { World } from "../../../src/testing/sim/world.ts";

const MAX = 1_000_000;
const call = (unsentBytes: number): CallContext => ({
  deadline: undefined,
  peer: "test",
  principal: "anonymous",
  cancelled: false,
  unsentBytes,
  onCancel: () => () => {},
});

describe("ReplyRoom (reply.pending.max.bytes)", () => {
  const server = { unsentBytes: 0 };
  const world = new World(1);
  const room = new ReplyRoom(server, MAX, world.machine("a").boot().clock);
  const refused = (ofConnection: number): void =>
    assert.throws(
      () => room.bytesFor(call(ofConnection), 5_000_000),
      (error) =>
        error instanceof MillraceError && error.code === "TOO_MANY_REQUESTS" && error.metadata["limit"] === "reply.pending.max.bytes",
    );

  it("lets everybody read while there is room, but one connection no more than a quarter of it", () => {
    server.unsentBytes = MAX - 1;
    assert.equal(room.bytesFor(call(MAX / 4 - 1), 5_000_000), 5_000_000);
    refused(MAX / 4);
  });

  it("serves those who took what they got on, a little at a time, when others filled it", () => {
    server.unsentBytes = MAX;
    assert.equal(room.bytesFor(call(0), 5_000_000), 64 * 1024);
    assert.equal(room.bytesFor(call(0), 0), 64 * 1024);
    assert.equal(room.bytesFor(call(0), 1_000), 1_000);
    refused(1);
  });

  it("gives a smaller answer to a large read while others are under way", () => {
    server.unsentBytes = 0;
    const [first, second] = [room.large(60_000_000), room.large(60_000_000)];
    assert.deepEqual([first.bytes, second.bytes, room.large(1_000).bytes], [60_000_000, 3 * 1024 * 1024, 1_000]);
    first.done();
    second.done();
    assert.equal(room.large(60_000_000).bytes, 60_000_000);
  });

  it("serves nobody at twice as much, and takes back what would be more", () => {
    server.unsentBytes = 2 * MAX - 10;
    assert.equal(room.bytesFor(call(0), 1), 1);
    assert.throws(() => room.admit(11), { code: "TOO_MANY_REQUESTS" });
    room.admit(6);
    // What was admitted in the same turn counts, though no byte of it has left.
    assert.throws(() => room.admit(5), { code: "TOO_MANY_REQUESTS" });
    room.admit(4);
    server.unsentBytes = 2 * MAX;
    refused(0);
  });
});

describe("PeerRoom (reply.pending.max.bytes)", () => {
  const MESSAGE = 3 * 1024 * 1024 + 64 * 1024;
  const SHARE = 2 * MESSAGE;
  const room = new PeerRoom(4 * SHARE, 500);
  const asked = (unsentBytes: number): IncomingCall => ({
    from: toBrokerId(2),
    method: "log.fetch",
    body: new Uint8Array(),
    deadline: 0,
    cancelled: false,
    unsentBytes,
    onCancel: () => () => {},
    reply() {},
    fail() {},
  });
  /** Batches of a record each, from offset 7 on. */
  const read = (...sizes: readonly number[]): FetchResponse =>
    FetchResponse.decode(
      FetchResponse.encode({
        batches: sizes.map((bytes, at) => ({ baseOffset: 7 + at, recordCount: 1, records: new Uint8Array(bytes) })),
        nextOffset: 7 + sizes.length,
        highWatermark: 50,
      }),
    );
  const refused = (outcome: unknown): void => {
    assert.ok(outcome instanceof MillraceError && outcome.code === "TOO_MANY_REQUESTS", String(outcome));
    assert.deepEqual(outcome.metadata, { limit: "reply.pending.max.bytes", limit_bytes: String(SHARE) });
  };

  it("lets a quarter of it wait for a broker: no more is read than fits, and nothing when it is full", () => {
    assert.deepEqual(
      [0, SHARE - 10].map((unsent) => room.bytesFor(asked(unsent), 1_000)),
      [1_000, 10],
    );
    assert.equal(room.bytesFor(asked(0), 100 * SHARE), SHARE);
    assert.equal(room.bytesFor(asked(0), 0), 500, "who does not say gets the default");
    refused(room.bytesFor(asked(SHARE), 1));
  });

  it("passes on what still fits when others were answered meanwhile, one batch at least, and says where to go on", () => {
    const three = read(100, 100, 100);
    assert.equal(room.admit(asked(0), three), three);
    const cut = (left: number): unknown => {
      const admitted = room.admit(asked(SHARE - left), three);
      return admitted instanceof MillraceError ? admitted : [admitted.batches.length, admitted.nextOffset, admitted.highWatermark];
    };
    assert.deepEqual([300, 299, 200, 1].map(cut), [
      [3, 10, 50],
      [2, 9, 50],
      [2, 9, 50],
      [1, 8, 50],
    ]);
    refused(room.admit(asked(SHARE), three));
    const nothing = read();
    assert.equal(room.admit(asked(SHARE), nothing), nothing);
  });

  it("has room for a batch, however small the setting is", () => {
    assert.equal(new PeerRoom(400, 500).bytesFor(asked(MESSAGE - 1), 1_000), 1);
    assert.ok(!(new PeerRoom(400, 500).admit(asked(0), read(MESSAGE)) instanceof MillraceError));
  });
});
