import assert from "node:assert/strict";
import { once } from "node:events";
import { constants } from "node:http2";
import { connect as connectTcp } from "node:net";
import { after, before, describe, it } from "node:test";
import { deflateSync, gzipSync } from "node:zlib";
import { status } from "@grpc/grpc-js";
import { answerOf, closed, RawCalls } from "../../chaos/bad-input/calls.ts";
import { framed } from "../../chaos/bad-input/http2-frames.ts";
import { sendRaw } from "../../chaos/bad-input/raw-connection.ts";
import { MillraceError } from "../../src/base/errors.ts";
import { invariant } from "../../src/base/invariant.ts";
import type { Telemetry } from "../../src/base/ports/telemetry.ts";
import { normalizeTimeout } from "../../src/grpc/http2-guard.ts";
import { createRpcClient } from "../../src/grpc/rpc-client.ts";
import { createRpcServer, type GrpcRpcServer } from "../../src/grpc/rpc-server.ts";
import { nodeClock } from "../../src/host/clock.ts";
import { Diary } from "./contract.ts";

const ECHO = "/millrace.test.v1.TestService/Echo";
const WAIT = "/millrace.test.v1.TestService/Wait";
const FAIL = "/millrace.test.v1.TestService/Fail";
const NEVER = "/millrace.test.v1.TestService/Never";
const BUG = "/millrace.test.v1.TestService/Bug";
const KiB = 1024;
const MiB = 1024 * KiB;

/** Reliability.md §5, cases 15 and 22–38, on the wire: the process lives, the answer has the right status, nothing stays behind. */
describe("The gRPC listener under bad input", () => {
  const clock = nodeClock();
  const logged: { event: string; fields: Record<string, unknown> }[] = [];
  const telemetry: Telemetry = {
    log: (_level: string, event: string, fields: object = {}) => void logged.push({ event, fields: { ...fields } }),
    count() {},
    observe() {},
  };
  const diary = new Diary();
  /** Deadlines of the calls that reached a handler: milliseconds left, or undefined. */
  const deadlines: (number | undefined)[] = [];
  let server: GrpcRpcServer;
  let address = "";
  let raw: RawCalls;

  before(async () => {
    server = createRpcServer({
      clock,
      telemetry,
      reflection: false,
      limits: { streamsPerConnectionMax: 100 },
    });
    server.register(ECHO, {
      kind: "unary",
      handle: async (request, call) => {
        deadlines.push(call.deadline === undefined ? undefined : call.deadline - clock.monotonic());
        return request;
      },
    });
    server.register(WAIT, {
      kind: "bidi",
      handle: (stream) => {
        diary.note("opened");
        stream.call.onCancel(() => diary.note("cancelled"));
      },
    });
    server.register(FAIL, {
      kind: "unary",
      handle: async (request) => {
        throw new MillraceError("INVALID_NAME", `Cannot use ${Buffer.from(request).toString("utf16le")}`, { field: "topic" });
      },
    });
    server.register(NEVER, { kind: "unary", handle: () => new Promise(() => {}) });
    server.register(BUG, {
      kind: "unary",
      handle: async () => {
        throw new TypeError("secret");
      },
    });
    address = await server.listen("127.0.0.1:0");
    raw = new RawCalls(address);
  });

  after(async () => {
    raw.close();
    await server.close(0);
  });

  async function stillServes(): Promise<void> {
    // Client and server share a thread here: on a busy machine what was thrown at the server takes longer than clients wait by default.
    const channel = createRpcClient({ connectTimeoutMs: 30_000 }).channel(address);
    assert.equal(Buffer.from(await channel.unary(ECHO, Buffer.from("alive"), { timeoutMs: 30_000 })).toString(), "alive");
    channel.close();
  }

  it("answers UNIMPLEMENTED to paths that only resemble a method, before any handler (case 15)", async () => {
    const before = deadlines.length;
    for (const path of [
      ECHO.slice(1),
      `/${ECHO}`,
      ECHO.toLowerCase(),
      `${ECHO}.`,
      `${ECHO}/`,
      `${ECHO}?x=1`,
      ECHO.replace("Echo", "%45cho"),
      "/",
      "*",
      "/__proto__",
      "/constructor/toString",
    ]) {
      const answer = await raw.call({ ":path": path }, framed(Buffer.from("x")));
      // A path without a leading slash does not even pass the HTTP/2 layer.
      assert.equal(answer.status, path.startsWith("/") ? status.UNIMPLEMENTED : undefined, path);
      assert.equal(answer.error?.code, path.startsWith("/") ? "NOT_IMPLEMENTED" : undefined, path);
    }
    assert.equal(deadlines.length, before);
  });

  it("survives 2,000 calls that are reset at once (case 23)", async () => {
    const flood = new RawCalls(address);
    await once(flood.session, "connect");
    for (let i = 0; i < 2_000 && !flood.session.destroyed; i++) flood.open({ ":path": i % 2 === 0 ? ECHO : "/none" }).close(8);
    // Either Node ends the session (GOAWAY) or it is still there; nobody else is affected.
    await stillServes();
    flood.close();
  });

  it("refuses headers beyond the limit, and serves the next call (case 24)", async () => {
    const flood = new RawCalls(address);
    // The limit holds from the moment the other side has acknowledged it; before that, Node's own 64 KiB.
    await flood.ping();
    const stream = flood.open({ ":path": ECHO, "x-large": "a".repeat(40 * KiB) });
    stream.end(framed(Buffer.from("x")));
    const answer = await answerOf(stream);
    assert.notEqual(answer.status, status.OK);
    const many = Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`x-${i}`, "1"]));
    const second = await flood.call({ ":path": ECHO, ...many }, framed(Buffer.from("x")));
    assert.notEqual(second.status, status.OK);
    flood.close();
    await stillServes();
  });

  it("closes a connection that never begins to speak within client.preface.timeout.ms (case 28)", async () => {
    const impatient = createRpcServer({ clock, reflection: false, limits: { prefaceTimeoutMs: 50 } });
    const [host = "", port = ""] = (await impatient.listen("127.0.0.1:0")).split(":");
    const socket = connectTcp(Number(port), host);
    socket.on("error", () => {});
    socket.resume();
    await once(socket, "close");
    await impatient.close(0);
  });

  it("keeps a caller within its number of calls, and serves the open ones on (case 29)", async () => {
    const many = new RawCalls(address);
    const [settings] = await once(many.session, "remoteSettings");
    assert.equal(settings.maxConcurrentStreams, 100);
    many.close();
  });

  it("closes HTTP/1.1, random bytes, a PROXY header and a half preface quietly (case 30)", async () => {
    const inputs = [
      "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
      "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
      "\u0000".repeat(100),
      "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
      "\u0016\u0003\u0001\u0002\u0000\u0001",
    ];
    for (const input of inputs) await sendRaw(address, Buffer.from(input, "latin1"));
    await stillServes();
  });

  it("refuses a length of 4 GiB before anything is stored, and resets a caller that sends on after client.linger.ms (case 31)", async () => {
    const impatient = createRpcServer({ clock, reflection: false, limits: { lingerMs: 50 } });
    impatient.register(ECHO, { kind: "unary", handle: async (request) => request });
    const caller = new RawCalls(await impatient.listen("127.0.0.1:0"));
    const stream = caller.open({ ":path": ECHO });
    stream.write(Buffer.concat([Buffer.from([0, 0xff, 0xff, 0xff, 0xff]), Buffer.alloc(10)]));
    // It never ends its side: the answer comes all the same, and then the stream is reset.
    assert.equal((await answerOf(stream)).status, status.RESOURCE_EXHAUSTED);
    assert.equal(stream.rstCode, constants.NGHTTP2_NO_ERROR);
    caller.close();
    await impatient.close(0);
  });

  it("takes a request of 3 MiB and refuses one over the limit (case 46)", async () => {
    const channel = createRpcClient().channel(address);
    const limit = 3 * MiB + 64 * KiB;
    const reply = await channel.unary(ECHO, new Uint8Array(limit), { timeoutMs: 10_000 });
    assert.equal(reply.length, limit);
    await assert.rejects(channel.unary(ECHO, new Uint8Array(limit + 1), { timeoutMs: 10_000 }), { status: "RESOURCE_EXHAUSTED" });
    channel.close();
  });

  it("answers a wrong content type with 415, and does without TE (case 32)", async () => {
    for (const type of ["application/json", "text/html", ""]) {
      assert.equal((await raw.call({ ":path": ECHO, "content-type": type }, framed(Buffer.from("x")))).httpStatus, 415);
    }
    const stream = raw.session.request({ ":method": "POST", ":path": ECHO, "content-type": "application/grpc+proto" });
    stream.end(framed(Buffer.from("x")));
    assert.equal((await answerOf(stream)).status, status.OK);
  });

  it("refuses a message flagged as compressed without an encoding, with an unknown one, or broken (case 33)", async () => {
    const flagged = framed(Buffer.from("not compressed"), 1);
    assert.equal((await raw.call({ ":path": ECHO }, flagged)).status, status.UNIMPLEMENTED);
    assert.equal((await raw.call({ ":path": ECHO, "grpc-encoding": "identity" }, flagged)).status, status.UNIMPLEMENTED);
    assert.equal((await raw.call({ ":path": ECHO, "grpc-encoding": "snappy" }, flagged)).status, status.UNIMPLEMENTED);
    assert.equal((await raw.call({ ":path": ECHO, "grpc-encoding": "gzip" }, flagged)).status, status.INTERNAL);
    const cut = framed(gzipSync(Buffer.alloc(1000)).subarray(0, 20), 1);
    assert.equal((await raw.call({ ":path": ECHO, "grpc-encoding": "gzip" }, cut)).status, status.INTERNAL);
    const whole = await raw.call({ ":path": ECHO, "grpc-encoding": "gzip" }, framed(gzipSync(Buffer.from("fine")), 1));
    assert.equal(whole.body.toString(), "fine");
    await stillServes();
  });

  it("stops inflating a bomb at the limit (case 34)", async () => {
    for (const [encoding, bomb] of [
      ["gzip", gzipSync(Buffer.alloc(64 * MiB))],
      ["deflate", deflateSync(Buffer.alloc(64 * MiB))],
    ] as const) {
      invariant(bomb.length < MiB, "it is a bomb");
      assert.equal((await raw.call({ ":path": ECHO, "grpc-encoding": encoding }, framed(bomb, 1))).status, status.RESOURCE_EXHAUSTED);
    }
  });

  it("drops a request cut at any byte, without calling its handler (case 35)", async () => {
    const message = framed(Buffer.from("whole"));
    const before = deadlines.length;
    for (let cut = 0; cut < message.length; cut++) {
      const ended = await raw.call({ ":path": ECHO }, message.subarray(0, cut));
      assert.notEqual(ended.status, status.OK, `cut at ${cut}`);
      const stream = raw.open({ ":path": ECHO });
      stream.write(message.subarray(0, cut));
      stream.close(8);
      await closed(stream);
    }
    await stillServes();
    assert.equal(deadlines.length, before + 1);
  });

  it("refuses a deadline that has passed before any handler, and clamps one of years (case 36)", async () => {
    const call = (timeout: string) => raw.call({ ":path": ECHO, "grpc-timeout": timeout }, framed(Buffer.from("x")));
    const before = deadlines.length;
    for (const timeout of ["0S", "0n", "00000000H", "-5S", "-1m"]) {
      const answer = await call(timeout);
      const { error } = answer;
      assert.deepEqual([answer.status, error?.code, error?.outcomeKnown], [status.DEADLINE_EXCEEDED, "DEADLINE_PASSED", true], timeout);
    }
    for (const timeout of ["", "S", "five", "5", "5X", "123456789S", "1e3S", "5S5S"])
      assert.equal((await call(timeout)).status, status.INTERNAL, timeout);
    assert.equal(deadlines.length, before);
    for (const timeout of ["87600H", "99999999H", "99999999M", "99999999S", "2147484S"]) {
      assert.equal((await call(timeout)).status, status.OK, timeout);
      const left = deadlines.at(-1) ?? 0;
      assert.ok(left > 2_147_000_000 && left <= 2_147_483_000, `${timeout}: ${left} ms left`);
    }
    assert.equal((await call("10S")).status, status.OK);
    assert.ok((deadlines.at(-1) ?? 0) <= 10_000);
    assert.equal((await raw.call({ ":path": ECHO }, framed(Buffer.from("x")))).status, status.OK);
    assert.equal(deadlines.at(-1), undefined);
  });

  it("says of a deadline that passes meanwhile that the outcome is unknown", async () => {
    const stream = raw.open({ ":path": NEVER, "grpc-timeout": "20m" });
    stream.end(framed(Buffer.from("x")));
    const { status: ended, error } = await answerOf(stream);
    assert.deepEqual([ended, error?.code, error?.outcomeKnown], [status.DEADLINE_EXCEEDED, "REQUEST_TIMED_OUT", false]);
  });

  it("reads every unit of a deadline", () => {
    for (const timeout of ["1H", "59M", "10S", "1500m", "99999999u", "1n"]) assert.equal(normalizeTimeout(timeout), timeout);
    assert.equal(normalizeTimeout("597H"), "2147483S");
  });

  it("survives metadata with odd names and values, and errors with odd texts (case 37)", async () => {
    const metadata = {
      __proto__x: "1",
      constructor: "x",
      "x-bin": "!!!not base64!!!",
      "grpc-accept-encoding": "\u00ff",
      "grpc-status": "0",
      "user-agent": "a\u001b[2Jb",
    };
    const answer = await raw.call({ ":path": ECHO, ...metadata }, framed(Buffer.from("x")));
    assert.equal(answer.status, status.OK);
    for (const text of ["a\r\nb", "\u0000", "50% off", "☕", "\ud800 alone", "x".repeat(100_000)]) {
      const failed = await raw.call({ ":path": FAIL }, framed(Buffer.from(text, "utf16le")));
      assert.equal(failed.status, status.INVALID_ARGUMENT, JSON.stringify(text.slice(0, 20)));
      assert.ok(failed.text.startsWith("Cannot use "));
      assert.ok(failed.text.length <= 1024);
    }
    await stillServes();
  });

  it("keeps the stack of a bug in its own log (case 38)", async () => {
    logged.length = 0;
    const answer = await raw.call({ ":path": BUG }, framed(Buffer.from("x")));
    assert.equal(answer.status, status.INTERNAL);
    assert.doesNotMatch(answer.text, /secret|TypeError/);
    assert.equal(logged[0]?.event, "grpc.handler_failed");
    assert.equal(logged[0]?.fields["error"], "secret");
    assert.match(String(logged[0]?.fields["stack"]), /hardening\.test/);
  });

  it("has no call open after 1,000 streams whose callers went away", async () => {
    for (let round = 0; round < 10; round++) {
      const caller = new RawCalls(address);
      const start = diary.entries.filter((entry) => entry === "opened").length;
      for (let i = 0; i < 100; i++) caller.open({ ":path": WAIT }).write(framed(Buffer.from("x")));
      await diary.when(() => diary.entries.filter((entry) => entry === "opened").length === start + 100);
      assert.ok(server.openCalls >= 100);
      caller.close();
      await diary.when(() => diary.entries.filter((entry) => entry === "cancelled").length === start + 100);
    }
    assert.equal(server.openCalls, 0);
  });
});
