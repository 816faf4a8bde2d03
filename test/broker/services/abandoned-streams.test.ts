import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Inflate } from "../../../src/base/ports/inflate.ts";
import { whileCalled } from "../../../src/base/until.ts";
import { type LogBackend, registerLogService, type Target } from "../../../src/broker/services/log-service.ts";
import { ReplyRoom } from "../../../src/broker/services/reply-room.ts";
import { LogService } from "../../../src/protocol/methods.ts";
import { ProduceStreamRequest, SubscribeRequest } from "../../../src/protocol/public.ts";
import { World } from "../../../src/testing/sim/world.ts";
import { brokerConfig, recordSet } from "../harness.ts";
import { ServerFake } from "./service-fake.ts";
import { fakeStream, type StreamFake } from "./stream-fake.ts";

const ROOM = 10_000;
const noInflate: Inflate = { gunzip: () => Promise.reject(new Error("nothing is compressed")) };

/** The streams of a broker that knows topic "here", and asks in vain for any other. */
function streams() {
  const { clock } = new World(1).machine("a").boot();
  const server = new ServerFake();
  const config = brokerConfig(1, 3);
  const seen = { asking: 0, reads: 0 };
  const log: LogBackend = {
    resolve: (topic, partition, { caller }) => {
      if (topic === "here") return { topic, partition, groupId: 1, maxMessageBytes: ROOM };
      seen.asking++;
      return whileCalled<Target>(caller, () => () => void seen.asking--);
    },
    topicOf: async () => ({ topicId: "", partitions: 1 }),
    latestOf: async () => ({ topicId: "" }),
    append: () => () => {},
    read: () => {
      seen.reads++;
      return () => void seen.reads--;
    },
    offsets: () => () => {},
    allocateProducer: async () => 1,
    clientAddress: () => "",
    leadsHere: () => true,
  };
  const room = new ReplyRoom(server, 1_000_000, clock);
  registerLogService(server, () => log, { ...config, limits: { ...config.limits, streamPendingMaxBytes: ROOM } }, clock, noInflate, room);
  const open = (path: string): StreamFake => {
    const method = server.methods.get(path);
    assert.ok(method !== undefined && method.kind !== "unary");
    const fake = fakeStream(() => {});
    method.handle(fake.stream);
    return fake;
  };
  return { seen, open };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("A stream whose caller goes leaves nothing behind", () => {
  it("of its batches when nobody knew their topic: what they kept is room for others", async () => {
    const { seen, open } = streams();
    const going = open(LogService.ProduceStream.path);
    const other = open(LogService.ProduceStream.path);
    const request = { topic: "gone", records: recordSet(["x".repeat(ROOM)]) };
    going.stream.handlers.message(ProduceStreamRequest.encode({ batches: [{ correlationId: 1, request }] }));
    assert.deepEqual([seen.asking, other.seen.paused], [1, true]);
    going.cancel();
    await turn();
    assert.deepEqual([seen.asking, other.seen.paused], [0, false]);
  });

  it("of where its subscription begins, nor of the reads that wait for records", async () => {
    const { seen, open } = streams();
    const lost = open(LogService.Subscribe.path);
    const partitions = [{ partition: 0, offset: 0 }];
    lost.stream.handlers.message(SubscribeRequest.encode({ topic: "gone", partitions }));
    const reading = open(LogService.Subscribe.path);
    reading.stream.handlers.message(SubscribeRequest.encode({ topic: "here", partitions }));
    await turn();
    assert.deepEqual(seen, { asking: 1, reads: 1 });
    lost.cancel();
    reading.cancel();
    await turn();
    assert.deepEqual(seen, { asking: 0, reads: 0 });
  });
});
