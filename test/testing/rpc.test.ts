import assert from "node:assert/strict";
import { it } from "node:test";
import { MillraceError } from "../../src/base/errors.ts";
import { type ClientStream, RpcFailure } from "../../src/base/ports/rpc-client.ts";
import type { CallContext, ServerStream } from "../../src/base/ports/rpc-server.ts";
import { SimClock } from "../../src/testing/sim/clock.ts";
import { SimNetwork } from "../../src/testing/sim/network/network.ts";
import { SimProcess } from "../../src/testing/sim/process.ts";
import { pump } from "../../src/testing/sim/pump.ts";
import { SimRpcClient } from "../../src/testing/sim/rpc/sim-rpc-client.ts";
import { SimRpcServer } from "../../src/testing/sim/rpc/sim-rpc-server.ts";
import { Scheduler } from "../../src/testing/sim/scheduler.ts";

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const bytes = (value: string): Uint8Array => new TextEncoder().encode(value);

/** A server with one method of each kind, and a channel to it. */
async function service(handlers: {
  unary?: (request: Uint8Array, call: CallContext) => Promise<Uint8Array>;
  stream?: (stream: ServerStream) => void;
}) {
  const scheduler = new Scheduler(5);
  const network = new SimNetwork(scheduler);
  const [process, caller] = [new SimProcess(scheduler, "server"), new SimProcess(scheduler, "client")];
  const server = new SimRpcServer(network, process, new SimClock(process));
  server.register("/S/Unary", { kind: "unary", handle: handlers.unary ?? (async (request) => request) });
  server.register("/S/Bidi", { kind: "bidi", handle: handlers.stream ?? (() => {}) });
  server.register("/S/Server", { kind: "server-stream", handle: handlers.stream ?? (() => {}) });
  await pump(scheduler, server.listen("hs:1"));
  const channel = new SimRpcClient(network, caller, "hc").channel("hs:1");
  const call = (request: string, timeoutMs = 1000, signal?: AbortSignal) =>
    pump(scheduler, channel.unary("/S/Unary", bytes(request), { timeoutMs, ...(signal === undefined ? {} : { signal }) }).then(text));
  return { scheduler, network, process, caller, server, channel, call };
}

/** What a client stream saw. */
function watch(stream: ClientStream) {
  const seen = { messages: [] as string[], drains: 0, closed: [] as (MillraceError | RpcFailure | undefined)[] };
  stream.handlers = {
    message: (message) => void seen.messages.push(text(message)),
    drain: () => void seen.drains++,
    closed: (error) => void seen.closed.push(error),
  };
  return seen;
}

function failure(error: unknown): { status: string; neverSent: boolean } {
  assert.ok(error instanceof RpcFailure, String(error));
  return { status: error.status, neverSent: error.neverSent };
}

it("A unary call is answered, also when it is larger than a window", async () => {
  const { call } = await service({ unary: async (request) => bytes(`${text(request)}!`) });
  assert.equal(await call("hello"), "hello!");
  assert.equal((await call("x".repeat(1_000_000))).length, 1_000_001);
});

it("A typed error arrives with code, message, facts and delay, as an object of its own", async () => {
  const thrown = new MillraceError("PENDING_FULL", "Cannot take more", { limit: "produce.pending.max.bytes" }, 50);
  const { call } = await service({ unary: () => Promise.reject(thrown) });
  await assert.rejects(call("x"), (error) => {
    assert.ok(error instanceof MillraceError && error !== thrown);
    assert.deepEqual({ ...error }, { ...thrown });
    return true;
  });
});

it("A call to a dead or missing server certainly never left; one broken midway has an unknown outcome", async () => {
  const { scheduler, process, channel, call } = await service({ unary: () => new Promise(() => {}) });
  const open = channel.unary("/S/Unary", bytes("x"), { timeoutMs: 60_000 });
  await scheduler.run(scheduler.now + 10);
  process.kill();
  await assert.rejects(pump(scheduler, open), (error) => failure(error).status === "UNAVAILABLE" && !failure(error).neverSent);
  await assert.rejects(call("x"), (error) => failure(error).status === "UNAVAILABLE" && failure(error).neverSent);
  // Within the back-off it fails at once.
  await assert.rejects(call("x"), (error) => failure(error).neverSent);
});

it("A deadline ends the call on both sides, with unknown outcome", async () => {
  const cancelled: string[] = [];
  const { scheduler, network, call } = await service({
    unary: (_request, context) =>
      new Promise(() => {
        assert.ok(context.deadline !== undefined);
        context.onCancel(() => cancelled.push(`cancelled ${context.cancelled}`));
      }),
  });
  await assert.rejects(call("x", 100), (error) => failure(error).status === "DEADLINE_EXCEEDED" && !failure(error).neverSent);
  await scheduler.run(scheduler.now + 100);
  assert.deepEqual(cancelled, ["cancelled true"]);
  // Also when the cancellation cannot get through.
  const before = scheduler.now;
  const open = call("y", 100).catch(failure);
  await open;
  network.link("hc", "hs").cut();
  await scheduler.run(before + 400);
  assert.equal(cancelled.length, 2);
});

it("An abort cancels the call at the server; one aborted before was never sent", async () => {
  let cancelled = 0;
  const { scheduler, call } = await service({
    unary: (_request, context) => new Promise(() => context.onCancel(() => cancelled++)),
  });
  const abort = new AbortController();
  scheduler.after(50, "abort", () => abort.abort());
  await assert.rejects(call("x", 1000, abort.signal), (error) => failure(error).status === "CANCELLED" && !failure(error).neverSent);
  await scheduler.run(scheduler.now + 50);
  assert.equal(cancelled, 1);
  await assert.rejects(call("x", 1000, abort.signal), (error) => failure(error).neverSent);
});

it("A bidi stream carries messages both ways in order, half-close and end", async () => {
  const { scheduler, channel } = await service({
    stream: (stream) => {
      stream.handlers = {
        message: (message) => void stream.write(bytes(`got ${text(message)}`)),
        ended: () => {
          stream.write(bytes("bye"));
          stream.end();
        },
        drain() {},
      };
    },
  });
  const stream = channel.openStream("/S/Bidi", "bidi");
  const seen = watch(stream);
  for (let i = 0; i < 5; i++) stream.write(bytes(String(i)));
  stream.end();
  await scheduler.run(scheduler.now + 100);
  assert.deepEqual(seen.messages, ["got 0", "got 1", "got 2", "got 3", "got 4", "bye"]);
  assert.deepEqual(seen.closed, [undefined]);
});

it("A server stream gets one message and then ended", async () => {
  const got: string[] = [];
  const { scheduler, channel } = await service({
    stream: (stream) => {
      stream.handlers = { message: (message) => void got.push(text(message)), ended: () => void got.push("ended"), drain() {} };
      stream.write(bytes("early"));
    },
  });
  const stream = channel.openStream("/S/Server", "server-stream");
  const seen = watch(stream);
  stream.write(bytes("request"));
  stream.end();
  await scheduler.run(scheduler.now + 100);
  assert.deepEqual(got, ["request", "ended"]);
  assert.deepEqual(seen.messages, ["early"]);
  stream.cancel();
  await scheduler.run(scheduler.now + 100);
  assert.deepEqual(seen.closed.map(failure), [{ status: "CANCELLED", neverSent: false }]);
});

it("A server that writes to a caller who does not read is told to stop, and to go on once it is read", async () => {
  let wrote = 0;
  let refused = false;
  const { scheduler, channel } = await service({
    stream: (stream) => {
      const fill = () => {
        while (wrote < 100) {
          wrote++;
          if (!stream.write(new Uint8Array(16 * 1024))) {
            refused = true;
            return;
          }
        }
        stream.end();
      };
      stream.handlers = { message() {}, ended: fill, drain: fill };
    },
  });
  const stream = channel.openStream("/S/Server", "server-stream");
  const seen = watch(stream);
  stream.pause();
  stream.write(bytes(""));
  stream.end();
  await scheduler.run(scheduler.now + 1_000);
  assert.ok(refused && wrote < 30, `wrote ${wrote}`);
  assert.equal(seen.messages.length, 0);
  stream.resume();
  await scheduler.run(scheduler.now + 1_000);
  assert.equal(seen.messages.length, 100);
  assert.deepEqual(seen.closed, [undefined]);
});

it("A server that closes refuses new calls, lets open ones end, and ends those that take too long", async () => {
  let answer: (() => void) | undefined;
  const { scheduler, server, channel } = await service({
    unary: (request) =>
      new Promise((resolve) => {
        if (text(request) === "quick") answer = () => resolve(bytes("done"));
      }),
  });
  const quick = channel.unary("/S/Unary", bytes("quick"), { timeoutMs: 10_000 });
  const slow = channel.unary("/S/Unary", bytes("slow"), { timeoutMs: 10_000 });
  await scheduler.run(scheduler.now + 10);
  const closed = server.close(500);
  await assert.rejects(
    pump(scheduler, channel.unary("/S/Unary", bytes("late"), { timeoutMs: 10_000 })),
    (error) => failure(error).neverSent,
  );
  answer?.();
  assert.equal(text(await pump(scheduler, quick)), "done");
  await assert.rejects(pump(scheduler, slow), (error) => !failure(error).neverSent);
  await pump(scheduler, closed);
});

it("A handler that throws anything but a typed error ends the simulation", async () => {
  const { call } = await service({ unary: () => Promise.reject(new TypeError("bug")) });
  await assert.rejects(call("x"), /the handler of \/S\/Unary threw: TypeError: bug/);
});
