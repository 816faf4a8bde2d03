import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MillraceError } from "../../../src/base/errors.ts";
import type { Inflate } from "../../../src/base/ports/inflate.ts";
import { registerAdminService } from "../../../src/broker/services/admin-service.ts";
import { type LogBackend, registerLogService } from "../../../src/broker/services/log-service.ts";
import { ReplyRoom } from "../../../src/broker/services/reply-room.ts";
import { AdminService, LogService } from "../../../src/protocol/methods.ts";
import { FetchRequest, ListOffsetsRequest, SubscribeRequest } from "../../../src/protocol/public.ts";
import { World } from "../../../src/testing/sim/world.ts";
import { brokerConfig } from "../harness.ts";
import { fakeCall, ServerFake } from "./service-fake.ts";
import { fakeStream, type StreamFake } from "./stream-fake.ts";

const REPLY_MAX = 1_000_000;
const noInflate: Inflate = { gunzip: () => Promise.reject(new Error("nothing is compressed")) };

/** The services of a broker whose partitions never have anything to say. */
function services(subscribePartitionsMax = 10) {
  const { clock, random } = new World(1).machine("a").boot();
  const server = new ServerFake();
  const config = brokerConfig(1, 3);
  const limited = { ...config, limits: { ...config.limits, subscribePartitionsMax } };
  const room = new ReplyRoom(server, REPLY_MAX, clock);
  const seen = { reads: 0, asked: 0 };
  const log: LogBackend = {
    resolve: (topic, partition) => ({ topic, partition, groupId: 1, maxMessageBytes: 1 }),
    topicOf: async () => {
      seen.asked++;
      return { topicId: "", partitions: 1 };
    },
    latestOf: async () => ({ topicId: "" }),
    append: () => () => {},
    read: () => {
      seen.reads++;
      return () => void seen.reads--;
    },
    offsets: (_target, _time, _options, done) => {
      done(new MillraceError("NOT_LEADER", "x".repeat(1_000)));
      return () => {};
    },
    allocateProducer: async () => 1,
    clientAddress: () => "",
    leadsHere: () => true,
  };
  registerLogService(server, () => log, limited, clock, noInflate, room);
  const notReady = (): never => {
    seen.asked++;
    throw new MillraceError("NOT_READY", "no cluster here");
  };
  registerAdminService(server, notReady, limited, clock, random, room);
  const subscribe = (partitions: number): StreamFake => {
    const method = server.methods.get(LogService.Subscribe.path);
    assert.ok(method !== undefined && method.kind !== "unary");
    const fake = fakeStream(() => {});
    method.handle(fake.stream);
    const starts = Array.from({ length: partitions }, (_, partition) => ({ partition, offset: 0 }));
    fake.stream.handlers.message(SubscribeRequest.encode({ topic: "t", partitions: starts }));
    return fake;
  };
  return { server, seen, subscribe };
}

describe("What all callers of a broker hold together", () => {
  it("is bounded: subscribe.partitions.max, of streams that are open; those that ended count no more", () => {
    const { subscribe } = services();
    const first = subscribe(6);
    const second = subscribe(4);
    const refused = subscribe(1);
    const error = refused.seen.ended;
    assert.ok(error instanceof MillraceError, String(error));
    assert.deepEqual([error.code, error.metadata], ["TOO_MANY_REQUESTS", { limit: "subscribe.partitions.max", limit_partitions: "10" }]);
    assert.ok(error.retriable && error.outcomeKnown && error.retryAfterMs !== undefined);
    assert.deepEqual([first.seen.ended, second.seen.ended], [undefined, undefined]);
    second.cancel();
    assert.equal(subscribe(4).seen.ended, undefined);
    assert.notEqual(subscribe(1).seen.ended, undefined);
    // One that is refused for something else gives back what it was given.
    first.cancel();
    subscribe(0);
    assert.equal(subscribe(6).seen.ended, undefined);
  });

  it("leaves a 16th more to subscriptions of few partitions, so that large ones do not keep them out", () => {
    const { subscribe } = services(160);
    assert.equal(subscribe(160).seen.ended, undefined);
    assert.notEqual(subscribe(17).seen.ended, undefined);
    assert.equal(subscribe(9).seen.ended, undefined);
    assert.notEqual(subscribe(2).seen.ended, undefined);
    assert.equal(subscribe(1).seen.ended, undefined);
    assert.notEqual(subscribe(1).seen.ended, undefined);
  });

  it("is given back by a fetch whose caller went away: nothing waits for its read any more", async () => {
    const { server, seen } = services();
    const call = fakeCall();
    const answer = server.unary(LogService.Fetch.path)(FetchRequest.encode({ topic: "t", maxWaitMs: 1_000 }), call);
    await Promise.resolve();
    await Promise.resolve();
    assert.equal(seen.reads, 1);
    call.cancel();
    await assert.rejects(answer, { code: "CALL_CANCELLED" });
    assert.equal(seen.reads, 0);
  });

  it("leaves no room for answers of any kind at twice reply.pending.max.bytes, and nothing is done then", async () => {
    const { server, seen } = services();
    const paths = [...Object.values(AdminService), LogService.ListOffsets]
      .filter(({ path }) => server.methods.has(path))
      .map(({ path }) => path);
    assert.ok(paths.length > 10);
    for (const path of paths) {
      for (const [unsent, ofConnection] of [
        [2 * REPLY_MAX, 0],
        [REPLY_MAX, 1],
        [0, REPLY_MAX / 4],
      ] as const) {
        server.unsentBytes = unsent;
        seen.asked = 0;
        const request = path === LogService.ListOffsets.path ? ListOffsetsRequest.encode({ topic: "t" }) : new Uint8Array();
        const error: unknown = await server
          .unary(path)(request, fakeCall(ofConnection))
          .catch((failure: unknown) => failure);
        assert.ok(error instanceof MillraceError && error.code === "TOO_MANY_REQUESTS", `${path}: ${String(error)}`);
        assert.deepEqual([error.metadata["limit"], seen.asked], ["reply.pending.max.bytes", 0], path);
      }
    }
  });

  it("counts an answer once it is known how large it is", async () => {
    const { server, seen } = services();
    server.unsentBytes = 2 * REPLY_MAX - 500;
    const ask = () => server.unary(LogService.ListOffsets.path)(ListOffsetsRequest.encode({ topic: "t", partitions: [0] }), fakeCall());
    await assert.rejects(ask, { code: "TOO_MANY_REQUESTS" });
    assert.equal(seen.asked, 1);
    server.unsentBytes = 0;
    assert.ok((await ask()).byteLength > 1_000);
  });
});
