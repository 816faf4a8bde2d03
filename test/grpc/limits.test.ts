import assert from "node:assert/strict";
import { once } from "node:events";
import { constants } from "node:http2";
import { describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { status } from "@grpc/grpc-js";
import { answerOf, closed, type RawAnswer, RawCalls } from "../../chaos/bad-input/calls.ts";
import { FrameKind, framed } from "../../chaos/bad-input/http2-frames.ts";
import { RawConnection } from "../../chaos/bad-input/raw-connection.ts";
import { MillraceError } from "../../src/base/errors.ts";
import { limits } from "../../src/base/limits.ts";
import { type RpcChannel, RpcFailure } from "../../src/base/ports/rpc-client.ts";
import type { RpcServerLimits } from "../../src/base/rpc-limits.ts";
import { createRpcClient } from "../../src/grpc/rpc-client.ts";
import { createRpcServer } from "../../src/grpc/rpc-server.ts";
import { nodeClock } from "../../src/host/clock.ts";
import { Diary } from "./contract.ts";

const ECHO = "/millrace.test.v1.TestService/Echo";
const TALK = "/millrace.test.v1.TestService/Talk";
/** Answers when its caller likes. */
const POLL = "/millrace.test.v1.TestService/Poll";
const KiB = 1024;

interface Callers {
  readonly raw: RawCalls;
  readonly address: string;
  readonly channel: RpcChannel;
}

/** Runs against a server with these limits that echoes: requests, and messages of streams. */
const against = (given: Partial<RpcServerLimits>, run: (callers: Callers) => Promise<void>) => async (): Promise<void> => {
  const server = createRpcServer({ clock: nodeClock(), reflection: false, limits: given });
  server.register(ECHO, { kind: "unary", handle: async (request) => request });
  server.register(POLL, { kind: "unary", waits: true, handle: () => new Promise(() => {}) });
  server.register(TALK, {
    kind: "bidi",
    handle: (stream) => {
      stream.handlers = { message: (message) => void stream.write(message), ended: () => stream.end(), drain() {} };
    },
  });
  const address = await server.listen("127.0.0.1:0");
  const raw = new RawCalls(address);
  const channel = createRpcClient().channel(address);
  try {
    await raw.ping();
    await run({ raw, address, channel });
  } finally {
    raw.close();
    channel.close();
    await server.close(0);
  }
};

/** The answer is typed, and names the limit. */
function names({ status: ended, error }: RawAnswer, limit: string, code: MillraceError["code"]): MillraceError {
  assert.equal(ended, status.RESOURCE_EXHAUSTED);
  assert.deepEqual([error?.code, error?.metadata["limit"]], [code, limit]);
  return error ?? assert.fail();
}

const headers = (count: number, bytes: number) =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`x-${i}`, "a".repeat(bytes)]));

describe("A limit of HTTP/2 or gRPC that is reached", () => {
  it(
    "is named: request.max.bytes, to a call, to a stream that was answered before, and to a message that inflates",
    against({ requestBytesMax: 100 * KiB }, async ({ raw, channel }) => {
      const large = new Uint8Array(100 * KiB + 1);
      const called: unknown = await channel.unary(ECHO, large, { timeoutMs: 10_000 }).catch((error: unknown) => error);
      assert.ok(called instanceof MillraceError, String(called));
      assert.deepEqual(
        [called.code, called.metadata["limit"], called.metadata["max"]],
        ["REQUEST_TOO_LARGE", "request.max.bytes", "102400"],
      );
      assert.ok(!called.retriable && called.outcomeKnown);
      const diary = new Diary();
      const stream = channel.openStream(TALK, "bidi");
      stream.handlers = {
        message: () => diary.note("answered"),
        drain() {},
        closed: (error) => diary.note(error instanceof MillraceError ? `${error.code} ${error.metadata["limit"]}` : `${error?.message}`),
      };
      stream.write(new Uint8Array(1));
      await diary.has("answered");
      stream.write(large);
      await diary.when(() => diary.entries.length > 1);
      assert.deepEqual(diary.entries, ["answered", "REQUEST_TOO_LARGE request.max.bytes"]);
      const bomb = await raw.call({ ":path": ECHO, "grpc-encoding": "gzip" }, framed(gzipSync(large), 1));
      names(bomb, "request.max.bytes", "REQUEST_TOO_LARGE");
    }),
  );

  it(
    "is named: request.headers.max and request.headers.max.bytes; HTTP/2 resets a call that has twice as many",
    against({}, async ({ raw }) => {
      const call = async (count: number, bytes: number): Promise<RawAnswer> =>
        raw.call({ ":path": ECHO, ...headers(count, bytes) }, framed(Buffer.from("x")));
      assert.equal((await call(50, 10)).status, status.OK);
      names(await call(70, 10), "request.headers.max", "REQUEST_TOO_LARGE");
      names(await call(20, KiB), "request.headers.max.bytes", "REQUEST_TOO_LARGE");
      for (const [count, bytes] of [
        [200, 10],
        [40, KiB],
      ] as const) {
        const stream = raw.open({ ":path": ECHO, ...headers(count, bytes) });
        stream.end(framed(Buffer.from("x")));
        assert.equal((await answerOf(stream)).status, undefined);
        assert.equal(stream.rstCode, constants.NGHTTP2_ENHANCE_YOUR_CALM);
      }
      assert.equal((await call(1, 1)).status, status.OK);
    }),
  );

  it(
    "is named: client.request.timeout.ms, and the caller is told to stop",
    against({ requestTimeoutMs: 30 }, async ({ raw }) => {
      const stream = raw.open({ ":path": ECHO });
      stream.write(Buffer.of(0, 0, 0, 0, 100));
      const error = names(await answerOf(stream), "client.request.timeout.ms", "TOO_MANY_REQUESTS");
      assert.ok(error.retryAfterMs !== undefined && error.outcomeKnown);
      assert.equal(stream.rstCode, constants.NGHTTP2_NO_ERROR);
    }),
  );

  it(
    "is named: request.pending.max.bytes, to the call that brings more; the others go on",
    against({ requestPendingBytesMax: 100 * KiB }, async ({ raw }) => {
      const first = raw.open({ ":path": ECHO });
      const whole = framed(new Uint8Array(80 * KiB));
      first.write(whole.subarray(0, -1));
      await raw.ping();
      const second = raw.open({ ":path": ECHO });
      second.write(whole.subarray(0, -1));
      const error = names(await answerOf(second), "request.pending.max.bytes", "TOO_MANY_REQUESTS");
      assert.ok(error.retryAfterMs !== undefined && error.outcomeKnown);
      first.end(whole.subarray(-1));
      assert.equal((await answerOf(first)).body.length, 80 * KiB);
      assert.equal((await raw.call({ ":path": ECHO }, whole)).status, status.OK);
    }),
  );

  it(
    "is named: client.request.timeout.ms, to a stream whose message stays half; one without a message under way may wait",
    against({ requestTimeoutMs: 40 }, async ({ raw }) => {
      const idle = raw.open({ ":path": TALK });
      idle.write(framed(Buffer.from("first")));
      await once(idle, "data");
      const half = raw.open({ ":path": TALK });
      half.write(Buffer.of(0, 0, 0));
      names(await answerOf(half), "client.request.timeout.ms", "TOO_MANY_REQUESTS");
      const begun = raw.open({ ":path": TALK });
      begun.write(Buffer.concat([framed(Buffer.from("whole")), framed(Buffer.from("half")).subarray(0, -1)]));
      await closed(begun);
      assert.equal(begun.rstCode, constants.NGHTTP2_ENHANCE_YOUR_CALM, "its headers had been answered");
      idle.end(framed(Buffer.from("last")));
      assert.equal(Buffer.from((await answerOf(idle)).body).toString(), "last");
    }),
  );

  it(
    "is named: request.pending.max.bytes, over messages that are half, however they are cut; whole ones are not counted",
    against({ requestPendingBytesMax: 120 * KiB }, async ({ raw }) => {
      const message = framed(Uint8Array.from({ length: 700 }, (_, i) => i));
      const cut = raw.open({ ":path": TALK });
      const echoed: Buffer[] = [];
      cut.on("data", (bytes: Buffer) => echoed.push(bytes));
      const many = Buffer.concat(Array.from({ length: 200 }, () => message));
      for (let at = 0; at < many.length; at += 1_009) {
        cut.write(many.subarray(at, at + 1_009));
        if (at % 8 === 0) await raw.ping();
      }
      const first = raw.open({ ":path": TALK });
      const whole = framed(new Uint8Array(80 * KiB));
      first.write(whole.subarray(0, -1));
      await raw.ping();
      const second = raw.open({ ":path": TALK });
      second.write(whole.subarray(0, -1));
      names(await answerOf(second), "request.pending.max.bytes", "TOO_MANY_REQUESTS");
      first.end(whole.subarray(-1));
      assert.equal((await answerOf(first)).body.length, 80 * KiB);
      cut.end();
      await closed(cut);
      assert.ok(Buffer.concat(echoed).equals(many), "200 messages, 140,800 bytes");
    }),
  );

  it(
    "is known to the caller: client.streams.max; a library keeps further calls until one ends",
    against({ streamsPerConnectionMax: 2 }, async ({ raw, channel }) => {
      assert.equal(raw.session.remoteSettings.maxConcurrentStreams, 2);
      const diary = new Diary();
      const open = Array.from({ length: 2 }, () => channel.openStream(TALK, "bidi"));
      for (const stream of open) {
        stream.handlers = { message: () => diary.note("open"), drain() {}, closed() {} };
        stream.write(new Uint8Array(1));
      }
      await diary.when(() => diary.entries.length === 2);
      const third = channel.unary(ECHO, Buffer.from("third"), { timeoutMs: 10_000 });
      open[0]?.end();
      assert.equal(Buffer.from(await third).toString(), "third");
    }),
  );

  it(
    "is named: client.calls.max, over all connections; a call that ends makes room",
    against({ callsMax: 2 }, async ({ raw, address }) => {
      const other = new RawCalls(address);
      await other.ping();
      const open = [raw.open({ ":path": TALK }), other.open({ ":path": TALK })];
      await Promise.all([raw.ping(), other.ping()]);
      for (const each of [raw, other]) {
        const error = names(await each.unary(ECHO, Buffer.from("third")), "client.calls.max", "TOO_MANY_REQUESTS");
        assert.ok(error.retriable && error.outcomeKnown && error.retryAfterMs !== undefined);
      }
      open[0]?.close();
      await raw.ping();
      assert.equal((await other.unary(ECHO, Buffer.from("third"))).status, status.OK);
      other.close();
    }),
  );

  it(
    "keeps a 16th of client.calls.max for calls that are short, and half of that for health: a broker full of consumers is well",
    against({ callsMax: 64 }, async ({ raw }) => {
      const open = Array.from({ length: 60 }, (_, at) => raw.open({ ":path": at % 2 === 0 ? TALK : POLL }));
      await raw.ping();
      for (const path of [TALK, POLL, "/grpc.health.v1.Health/Watch"])
        names(await raw.unary(path, new Uint8Array()), "client.calls.max", "TOO_MANY_REQUESTS");
      assert.equal((await raw.unary(ECHO, Buffer.from("short"))).status, status.OK);
      open.push(raw.open({ ":path": ECHO }), raw.open({ ":path": ECHO }));
      await raw.ping();
      const error = names(await raw.unary(ECHO, Buffer.from("short")), "client.calls.max", "TOO_MANY_REQUESTS");
      assert.deepEqual([error.metadata["limit_calls"], error.retryAfterMs !== undefined], ["64", true]);
      assert.equal((await raw.unary("/grpc.health.v1.Health/Check", new Uint8Array())).status, status.OK);
      for (const each of open) each.close();
    }),
  );

  it(
    "resets what is not taken: client.answer.timeout.ms after an answer that is complete; others go on",
    against({ answerTimeoutMs: 100 }, async ({ raw }) => {
      // More than HTTP/2 takes for a reader who takes nothing.
      const untaken = raw.open({ ":path": ECHO });
      untaken.end(framed(new Uint8Array(1024 * KiB)));
      untaken.pause();
      await closed(untaken);
      assert.equal(untaken.rstCode, constants.NGHTTP2_CANCEL);
      assert.equal((await raw.unary(ECHO, Buffer.from("other"))).status, status.OK);
    }),
  );

  it(
    "resets a new call on a connection that keeps too much: connection.memory.max.bytes",
    against({ sessionMiBMax: 1 }, async ({ raw }) => {
      const untaken = Array.from({ length: 2 }, () => {
        const stream = raw.open({ ":path": ECHO });
        stream.end(framed(new Uint8Array(1024 * KiB)));
        stream.pause();
        return stream;
      });
      await Promise.all(untaken.map((stream) => once(stream, "response")));
      const refused = raw.open({ ":path": ECHO });
      refused.end(framed(new Uint8Array(1)));
      await closed(refused);
      assert.equal(refused.rstCode, constants.NGHTTP2_ENHANCE_YOUR_CALM);
      for (const stream of untaken) stream.close();
    }),
  );

  it(
    "closes a connection whose ping nobody answers: client.keepalive.ms, client.keepalive.timeout.ms; one that answers stays",
    against({ keepaliveTimeMs: 100, keepaliveTimeoutMs: 100 }, async ({ raw, address }) => {
      const deaf = await RawConnection.http2(address);
      assert.ok(await deaf.until(() => deaf.closed, 10_000));
      assert.ok(deaf.seen(FrameKind.ping) !== undefined);
      assert.equal((await raw.unary(ECHO, Buffer.from("still"))).status, status.OK);
    }),
  );

  it(
    "closes what it cannot answer: client.connections.max, where nothing was sent",
    against({ connectionsMax: 1 }, async ({ channel, raw }) => {
      const refused: unknown = await channel.unary(ECHO, new Uint8Array(1), { timeoutMs: 10_000 }).catch((error: unknown) => error);
      assert.ok(refused instanceof RpcFailure && refused.status === "UNAVAILABLE", String(refused));
      const stream = raw.open({ ":path": ECHO });
      stream.close();
      await closed(stream);
    }),
  );

  it("has a row in the table of limits, unless it can be set", () => {
    const { "request.max.bytes": request, "request.headers.max.bytes": bytes, "request.headers.max": count } = limits;
    assert.deepEqual([request.value, bytes.value, count.value], [3 * KiB * KiB + 64 * KiB, 16 * KiB, 64]);
  });
});
