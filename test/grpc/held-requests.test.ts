import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { status } from "@grpc/grpc-js";
import { answerOf, type RawAnswer, RawCalls } from "../../chaos/bad-input/calls.ts";
import { callHeaders, FrameKind, frame, framed } from "../../chaos/bad-input/http2-frames.ts";
import { RawConnection } from "../../chaos/bad-input/raw-connection.ts";
import type { ServerStream } from "../../src/base/ports/rpc-server.ts";
import { createRpcServer, type GrpcRpcServer } from "../../src/grpc/rpc-server.ts";
import { nodeClock } from "../../src/host/clock.ts";

const ECHO = "/millrace.test.v1.TestService/Echo";
/** Answers when it is told to. */
const WAIT = "/millrace.test.v1.TestService/Wait";
/** Takes no message. */
const DEAF = "/millrace.test.v1.TestService/Deaf";
const TAKE = "/millrace.test.v1.TestService/Take";
const KiB = 1024;
/** Far more than it takes, so that a busy machine fails nothing. */
const PATIENCE_MS = 60_000;
const clock = nodeClock();

describe("Requests that are held (request.pending.max.bytes)", () => {
  const clock = nodeClock();
  let server: GrpcRpcServer;
  let raw: RawCalls;
  let address: string;
  let taken = 0;
  const answers: (() => void)[] = [];

  before(async () => {
    server = createRpcServer({
      clock,
      reflection: false,
      limits: { requestPendingBytesMax: 100 * KiB, requestBytesMax: 90 * KiB },
    });
    server.register(ECHO, { kind: "unary", handle: async (request) => request });
    server.register(WAIT, { kind: "unary", handle: (request) => new Promise((resolve) => answers.push(() => resolve(request))) });
    server.register(DEAF, { kind: "bidi", handle: (stream) => stream.pause() });
    server.register(TAKE, {
      kind: "bidi",
      handle: (stream) => {
        stream.handlers = { message: () => void taken++, ended() {}, drain() {} };
      },
    });
    address = await server.listen("127.0.0.1:0");
    raw = new RawCalls(address);
    await raw.ping();
  });
  after(async () => {
    raw.close();
    await server.close(0);
  });

  const refused = ({ status: ended, error }: RawAnswer): void => {
    assert.equal(ended, status.RESOURCE_EXHAUSTED);
    assert.equal(error?.code, "TOO_MANY_REQUESTS");
    assert.deepEqual(error?.metadata, { limit: "request.pending.max.bytes", limit_bytes: String(100 * KiB) });
    assert.ok(error.retriable && error.outcomeKnown && error.retryAfterMs !== undefined);
  };
  const echoes = async (bytes: number): Promise<boolean> => {
    const answer = await raw.unary(ECHO, new Uint8Array(bytes));
    if (answer.status === status.OK) return true;
    refused(answer);
    return false;
  };
  /** Looks again after each turn of both sides; what is inflated waits for a thread, which others of this process may have. */
  const until = async (holds: () => boolean | Promise<boolean>, missed: () => string): Promise<void> => {
    const deadline = clock.monotonic() + PATIENCE_MS;
    while (!(await holds())) {
      assert.ok(clock.monotonic() < deadline, missed());
      await raw.ping();
    }
  };
  /** The end of a stream is heard a little later than the answer on it: until then the call counts, those of this question too. */
  const room = async (): Promise<void> => {
    await until(
      () => echoes(80 * KiB),
      () => "nothing was given up",
    );
    await until(
      () => server.openCalls === 0,
      () => `${server.openCalls} calls are open`,
    );
  };
  /** Calls whose handlers have them now. */
  const waiting = (count: number): Promise<void> =>
    until(
      () => answers.length >= count,
      () => `${answers.length} of ${count} calls came`,
    );
  const answerAll = (): void => {
    for (const answer of answers.splice(0)) answer();
  };

  it("count until their calls end, though they are whole", async () => {
    const held = raw.unary(WAIT, new Uint8Array(80 * KiB));
    await waiting(1);
    assert.equal(await echoes(80 * KiB), false);
    assert.equal(await echoes(15 * KiB), true, "there is room for it");
    answerAll();
    assert.equal((await held).body.length, 80 * KiB);
    await room();
  });

  it("count until their handlers are done with them, though their callers went away", async () => {
    const gone = raw.open({ ":path": WAIT });
    gone.end(framed(new Uint8Array(80 * KiB)));
    await waiting(1);
    gone.close(8);
    for (let look = 0; look < 3; look++) assert.equal(await echoes(80 * KiB), false);
    answerAll();
    await room();
  });

  it("count no more when their callers went away before they were whole", async () => {
    const gone = raw.open({ ":path": WAIT });
    gone.write(framed(new Uint8Array(80 * KiB)).subarray(1));
    await raw.ping();
    gone.close(8);
    await room();
  });

  it("leave a 16th more to those who bring little", async () => {
    const held = [raw.unary(WAIT, new Uint8Array(80 * KiB))];
    await waiting(1);
    held.push(raw.unary(WAIT, new Uint8Array(19 * KiB)));
    await waiting(2);
    assert.equal(await echoes(3 * KiB), true);
    assert.equal(await echoes(8 * KiB), false);
    assert.equal(await echoes(70 * KiB), false);
    answerAll();
    await Promise.all(held);
    await room();
  });

  it("count as what they are inflated to", async () => {
    const bomb = (): Promise<RawAnswer> =>
      raw.call({ ":path": WAIT, "grpc-encoding": "gzip" }, framed(gzipSync(new Uint8Array(80 * KiB)), 1));
    const held = bomb();
    await waiting(1);
    refused(await bomb());
    assert.equal(await echoes(80 * KiB), false);
    assert.equal(await echoes(15 * KiB), true);
    answerAll();
    assert.equal((await held).body.length, 80 * KiB);
    await room();
  });

  it("count on a stream that is not read, whole messages and all", async () => {
    const deaf = raw.open({ ":path": DEAF });
    const answer = answerOf(deaf);
    for (let sent = 0; sent < 200 * KiB; sent += 20 * KiB) deaf.write(framed(new Uint8Array(20 * KiB)));
    refused(await answer);
    await room();
  });

  it("count as messages too: thousands without a byte, each of which is an object that waits for its turn", async () => {
    const deaf = raw.open({ ":path": DEAF });
    const answer = answerOf(deaf);
    deaf.write(Buffer.concat(Array.from({ length: 600 }, () => framed(new Uint8Array(0)))));
    refused(await answer);
    await room();
  });

  it("of streams leave a quarter to calls", async () => {
    const deaf = Array.from({ length: 4 }, () => raw.open({ ":path": DEAF }));
    const answers = deaf.map(answerOf);
    for (const stream of deaf) stream.write(framed(new Uint8Array(22 * KiB)));
    refused(await Promise.race(answers));
    const held = raw.unary(WAIT, new Uint8Array(24 * KiB));
    await waiting(1);
    answerAll();
    assert.equal((await held).status, status.OK);
    for (const stream of deaf) stream.close(8);
    await room();
  });

  it("count more than their bytes while they come a byte at a time, each of which keeps a buffer", async () => {
    const connection = await RawConnection.http2(address);
    connection.send(frame(FrameKind.headers, 4, 1, callHeaders(ECHO)), frame(FrameKind.data, 0, 1, Buffer.of(0, 0, 1, 0, 0)));
    const byte = frame(FrameKind.data, 0, 1, Buffer.of(0));
    connection.send(Buffer.concat(Array.from({ length: 410 }, () => byte)));
    assert.ok(await connection.until(() => connection.seen(FrameKind.resetStream, 1) !== undefined, 10_000));
    assert.equal(connection.seen(FrameKind.resetStream, 1)?.payload.readUInt32BE(), 0, "it was answered");
    connection.close();
    await room();
  });

  it("count compressed for no more than can be made of them: small ones that come together fit", async () => {
    const connection = await RawConnection.http2(address);
    const small = framed(gzipSync(Buffer.of(1)), 1);
    const before = taken;
    const headers = callHeaders(TAKE, [["grpc-encoding", "gzip"]]);
    connection.send(frame(FrameKind.headers, 4, 1, headers), frame(FrameKind.data, 0, 1, Buffer.concat([small, small])));
    await until(
      () => {
        assert.equal(connection.seen(FrameKind.resetStream, 1), undefined);
        return taken >= before + 2;
      },
      () => `${taken - before} of 2 messages came`,
    );
    connection.close();
    await room();
  });

  it("of a stream count no more when they were taken", async () => {
    const connection = await RawConnection.http2(address);
    const message = frame(FrameKind.data, 0, 1, framed(new Uint8Array(200)));
    connection.send(frame(FrameKind.headers, 4, 1, callHeaders(TAKE)), Buffer.concat(Array.from({ length: 600 }, () => message)));
    const before = taken;
    await until(
      () => taken >= before + 600,
      () => `${taken - before} of 600 messages came`,
    );
    assert.equal(await echoes(85 * KiB), true);
    connection.close();
  });
});

describe("A stream of requests that was not read for a while", () => {
  const server = createRpcServer({
    clock,
    reflection: false,
    limits: { requestPendingBytesMax: 400 * KiB, requestBytesMax: 200 * KiB },
  });
  let raw: RawCalls;
  const streams: ServerStream[] = [];
  const answers: (() => void)[] = [];
  let taken = 0;
  before(async () => {
    server.register(WAIT, { kind: "unary", handle: (request) => new Promise((resolve) => answers.push(() => resolve(request))) });
    server.register(TAKE, {
      kind: "bidi",
      handle: (stream) => {
        stream.handlers = { message: () => void taken++, ended: () => stream.end(), drain() {} };
        stream.pause();
        streams.push(stream);
      },
    });
    raw = new RawCalls(await server.listen("127.0.0.1:0"));
    await raw.ping();
  });
  after(async () => {
    raw.close();
    await server.close(0);
  });

  it("is not refused when it is read again, for what others brought meanwhile", async () => {
    // As many as grpc-js takes by itself, and one that waits on the stream.
    const messages = 18;
    const resumed = raw.open({ ":path": TAKE });
    const over = answerOf(resumed);
    resumed.write(Buffer.concat(Array.from({ length: messages - 1 }, () => framed(new Uint8Array(1)))));
    await raw.ping();
    resumed.write(framed(new Uint8Array(155 * KiB)));
    await raw.ping();
    const deadline = clock.monotonic() + PATIENCE_MS;
    const look = async (holds: () => boolean, what: string): Promise<void> => {
      while (!holds()) {
        assert.ok(clock.monotonic() < deadline, what);
        await raw.ping();
      }
    };
    const large = raw.unary(WAIT, new Uint8Array(200 * KiB));
    await look(() => answers.length === 1, "a call is held");
    // Beyond the limit, where only those who bring little are let in.
    const small = [raw.unary(WAIT, new Uint8Array(30 * KiB))];
    await look(() => answers.length === 2, "two calls are held");
    small.push(raw.unary(WAIT, new Uint8Array(30 * KiB)));
    await look(() => answers.length === 3, "three calls are held");
    streams[0]?.resume();
    resumed.end();
    await look(() => taken === messages || resumed.closed, "what it brought is taken");
    assert.equal((await over).status, status.OK);
    assert.equal(taken, messages);
    for (const answer of answers.splice(0)) answer();
    for (const call of [large, ...small]) assert.equal((await call).status, status.OK);
  });
});
