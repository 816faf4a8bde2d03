import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MillraceError } from "../../src/base/errors.ts";
import { type ClientStream, type RpcChannel, type RpcClient, RpcFailure } from "../../src/base/ports/rpc-client.ts";
import type { CallContext, RpcServer, ServerStream } from "../../src/base/ports/rpc-server.ts";

/** What a contract run needs from an implementation: one server and a client that reaches it. */
export interface RpcUnderTest {
  readonly server: RpcServer;
  readonly client: RpcClient;
  /** An address nobody listens on yet; for TCP "127.0.0.1:0" will do. */
  freeAddress(): string;
  close(): Promise<void>;
}

const path = (name: string): string => `/millrace.test.v1.TestService/${name}`;
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
const bytes = (value: string): Uint8Array => new Uint8Array(Buffer.from(value));
const block = new Uint8Array(100_000);
const filled = (length: number, seed: number): Uint8Array => Uint8Array.from({ length }, (_, i) => (i * 31 + seed) & 255);

/** Remembers what happened, and lets a test wait for it. */
export class Diary {
  readonly entries: string[] = [];
  #waiting: { until: () => boolean; done: () => void }[] = [];

  note(entry: string): void {
    this.entries.push(entry);
    this.#waiting = this.#waiting.filter(({ until, done }) => {
      if (!until()) return true;
      done();
      return false;
    });
  }

  when(until: () => boolean): Promise<void> {
    if (until()) return Promise.resolve();
    return new Promise((done) => this.#waiting.push({ until, done }));
  }

  has(entry: string): Promise<void> {
    return this.when(() => this.entries.includes(entry));
  }
}

/** Notes every message and the end of a client's stream. */
export function follow(stream: ClientStream, diary: Diary): void {
  stream.handlers = {
    message: (message) => diary.note(message.length > 100 ? `${message.length} bytes` : text(message)),
    drain: () => diary.note("drain"),
    closed: (error) => diary.note(error === undefined ? "closed" : `closed: ${error instanceof MillraceError ? error.code : error.status}`),
  };
}

async function refused(call: Promise<unknown>): Promise<MillraceError | RpcFailure> {
  try {
    await call;
  } catch (error) {
    assert.ok(error instanceof MillraceError || error instanceof RpcFailure, `${error}`);
    return error;
  }
  return assert.fail("the call succeeded");
}

/** The promises of `base/ports/rpc-server.ts` and `rpc-client.ts`, for every implementation. */
export function rpcContract(name: string, open: () => Promise<RpcUnderTest>): void {
  /** Registers, listens, runs, closes. */
  const serve =
    (register: (server: RpcServer, diary: Diary) => void, run: (channel: RpcChannel, diary: Diary, under: RpcUnderTest) => Promise<void>) =>
    async (): Promise<void> => {
      const under = await open();
      const diary = new Diary();
      register(under.server, diary);
      const channel = under.client.channel(await under.server.listen(under.freeAddress()));
      try {
        await run(channel, diary, under);
      } finally {
        channel.close();
        await under.server.close(0);
        await under.close();
      }
    };
  const options = { timeoutMs: 10_000 };

  describe(`RPC contract: ${name}`, () => {
    it(
      "carries unary requests and replies as bytes, from none to 1 MiB",
      serve(
        (server) => server.register(path("Echo"), { kind: "unary", handle: async (request) => request }),
        async (channel) => {
          for (const size of [0, 1, 70_000, 1024 * 1024]) {
            const reply = await channel.unary(path("Echo"), filled(size, 3), options);
            assert.equal(Buffer.compare(reply, filled(size, 3)), 0);
          }
        },
      ),
    );

    it(
      "keeps code, message, metadata and delay of an error across a unary call",
      serve(
        (server) =>
          server.register(path("Fail"), {
            kind: "unary",
            handle: async () => {
              throw new MillraceError(
                "PENDING_FULL",
                "Cannot append: naïve ☕ queue 100% full",
                { limit: "produce.pending.max.bytes" },
                250,
              );
            },
          }),
        async (channel) => {
          const error = await refused(channel.unary(path("Fail"), bytes(""), options));
          assert.ok(error instanceof MillraceError);
          assert.equal(error.code, "PENDING_FULL");
          assert.equal(error.message, "Cannot append: naïve ☕ queue 100% full");
          assert.deepEqual({ ...error.metadata }, { limit: "produce.pending.max.bytes" });
          assert.equal(error.retryAfterMs, 250);
        },
      ),
    );

    it(
      "answers INTERNAL without details when a handler has a bug (case 38)",
      serve(
        (server) => {
          server.register(path("Reject"), { kind: "unary", handle: async () => Promise.reject(new Error("secret of another caller")) });
          server.register(path("Throw"), {
            kind: "unary",
            handle: () => {
              throw new TypeError("secret of another caller");
            },
          });
          server.register(path("Stream"), {
            kind: "bidi",
            handle: (stream) => {
              stream.handlers = {
                message: () => {
                  throw new Error("secret of another caller");
                },
                ended() {},
                drain() {},
              };
            },
          });
        },
        async (channel, diary) => {
          for (const method of ["Reject", "Throw"]) {
            const error = await refused(channel.unary(path(method), bytes(""), options));
            assert.ok(error instanceof RpcFailure);
            assert.equal(error.status, "INTERNAL");
            assert.ok(!error.neverSent);
            assert.doesNotMatch(error.message, /secret/);
          }
          const stream = channel.openStream(path("Stream"), "bidi");
          follow(stream, diary);
          stream.write(bytes("x"));
          await diary.has("closed: INTERNAL");
        },
      ),
    );

    it(
      "tells the handler the deadline, and that it passed",
      serve(
        (server, diary) =>
          server.register(path("Never"), {
            kind: "unary",
            handle: (_request, call) => {
              assert.ok(call.deadline !== undefined);
              diary.note("called");
              call.onCancel(() => diary.note("cancelled"));
              return new Promise(() => {});
            },
          }),
        async (channel, diary) => {
          // On a busy machine a deadline may pass on the way: then the handler was never called, and a longer one is tried.
          for (let timeoutMs = 50; !diary.entries.includes("called"); timeoutMs *= 2) {
            const error = await refused(channel.unary(path("Never"), bytes(""), { timeoutMs }));
            assert.equal(error.status, "DEADLINE_EXCEEDED");
          }
          await diary.has("cancelled");
        },
      ),
    );

    it(
      "tells the handler that the caller aborted, and calls back at once when asked later",
      serve(
        (server, diary) =>
          server.register(path("Never"), {
            kind: "unary",
            handle: (_request, call) => {
              diary.note("called");
              call.onCancel(() => {
                assert.ok(call.cancelled);
                call.onCancel(() => diary.note("late"));
                diary.note("cancelled");
              });
              return new Promise(() => {});
            },
          }),
        async (channel, diary) => {
          const abort = new AbortController();
          const call = refused(channel.unary(path("Never"), bytes(""), { ...options, signal: abort.signal }));
          await diary.has("called");
          abort.abort();
          const error = await call;
          assert.ok(error instanceof RpcFailure && error.status === "CANCELLED");
          await diary.has("cancelled");
          assert.deepEqual(diary.entries, ["called", "late", "cancelled"]);
        },
      ),
    );

    it(
      "echoes a bidi stream in order, and ends it after the half-close",
      serve(
        (server) => server.register(path("Echo"), { kind: "bidi", handle: echo }),
        async (channel, diary) => {
          const stream = channel.openStream(path("Echo"), "bidi");
          follow(stream, diary);
          const sent = Array.from({ length: 500 }, (_, i) => `m${i}`);
          for (const message of sent) stream.write(bytes(message));
          stream.end();
          await diary.has("closed");
          assert.deepEqual(
            diary.entries.filter((entry) => entry !== "drain"),
            [...sent, "closed"],
          );
        },
      ),
    );

    it(
      "gives a server-streaming handler one message, then the end",
      serve(
        (server, diary) =>
          server.register(path("Count"), {
            kind: "server-stream",
            handle: (stream) => {
              assert.equal(stream.call.deadline, undefined);
              stream.handlers = {
                message: (message) => diary.note(`asked ${text(message)}`),
                ended: () => {
                  for (let i = 0; i < 3; i++) stream.write(bytes(`n${i}`));
                  stream.end();
                },
                drain() {},
              };
            },
          }),
        async (channel, diary) => {
          const stream = channel.openStream(path("Count"), "server-stream");
          follow(stream, diary);
          stream.write(bytes("three"));
          stream.end();
          await diary.has("closed");
          assert.deepEqual(diary.entries, ["asked three", "n0", "n1", "n2", "closed"]);
        },
      ),
    );

    it(
      "ends a stream with an error after the messages read so far, and ignores what is written later",
      serve(
        (server, diary) =>
          server.register(path("Fail"), {
            kind: "bidi",
            handle: (stream) => {
              stream.call.onCancel(() => diary.note("cancelled"));
              stream.handlers = {
                message: (message) => {
                  if (text(message) === "first") {
                    stream.write(bytes("one"));
                    return;
                  }
                  stream.end(new MillraceError("OFFSET_OUT_OF_RANGE", "Cannot read", { high_watermark: "7" }));
                  assert.equal(stream.write(bytes("late")), true);
                  stream.end();
                },
                ended() {},
                drain() {},
              };
            },
          }),
        async (channel, diary) => {
          const stream = channel.openStream(path("Fail"), "bidi");
          follow(stream, diary);
          stream.write(bytes("first"));
          await diary.has("one");
          stream.write(bytes("second"));
          await diary.has("closed: OFFSET_OUT_OF_RANGE");
          assert.deepEqual(diary.entries, ["one", "closed: OFFSET_OUT_OF_RANGE"]);
          assert.equal(stream.write(bytes("after")), true);
        },
      ),
    );

    it(
      "tells the handler once when the caller cancels a stream, and the caller that it is over",
      serve(
        (server, diary) =>
          server.register(path("Wait"), { kind: "bidi", handle: (stream) => stream.call.onCancel(() => diary.note("cancelled")) }),
        async (channel, diary) => {
          const stream = channel.openStream(path("Wait"), "bidi");
          follow(stream, diary);
          stream.write(bytes("x"));
          stream.cancel();
          stream.cancel();
          await diary.has("closed: CANCELLED");
          const second = channel.openStream(path("Wait"), "bidi");
          follow(second, new Diary());
          second.write(bytes("x"));
          assert.deepEqual(
            diary.entries.filter((entry) => entry === "closed: CANCELLED"),
            ["closed: CANCELLED"],
          );
          second.cancel();
        },
      ),
    );

    it(
      "does not call a normal end a cancellation",
      serve(
        (server, diary) => {
          const watch = (call: CallContext): void => {
            call.onCancel(() => diary.note("cancelled"));
          };
          server.register(path("Unary"), {
            kind: "unary",
            handle: async (request, call) => {
              watch(call);
              return request;
            },
          });
          server.register(path("Echo"), {
            kind: "bidi",
            handle: (stream) => {
              watch(stream.call);
              echo(stream);
            },
          });
        },
        async (channel, diary) => {
          await channel.unary(path("Unary"), bytes("x"), options);
          const stream = channel.openStream(path("Echo"), "bidi");
          follow(stream, diary);
          stream.end();
          await diary.has("closed");
          await channel.unary(path("Unary"), bytes("x"), options);
          assert.deepEqual(diary.entries, ["closed"]);
        },
      ),
    );

    it(
      "holds a server that writes faster than the caller reads",
      serve(
        (server, diary) =>
          server.register(path("Pour"), {
            kind: "server-stream",
            handle: (stream) => {
              let left = 200;
              const pour = (): void => {
                while (left > 0) {
                  left--;
                  if (!stream.write(block)) {
                    diary.note("server full");
                    return;
                  }
                }
                stream.end();
              };
              stream.handlers = { message() {}, ended: pour, drain: pour };
            },
          }),
        async (channel, diary) => {
          const stream = channel.openStream(path("Pour"), "server-stream");
          follow(stream, diary);
          stream.pause();
          stream.write(bytes("go"));
          stream.end();
          await diary.has("server full");
          stream.resume();
          await diary.has("closed");
          assert.equal(diary.entries.filter((entry) => entry === "100000 bytes").length, 200);
        },
      ),
    );

    it(
      "lets a server keep no more bytes waiting than it says",
      serve(
        (server, diary) =>
          server.register(path("Drip"), {
            kind: "server-stream",
            handle: (stream) => {
              let left = 60;
              stream.unsentBytesMax = 300_000;
              const pour = (): void => {
                let burst = 0;
                while (left > 0) {
                  left--;
                  burst++;
                  if (stream.write(block)) continue;
                  if (burst > 3) diary.note(`burst of ${burst}`);
                  return;
                }
                stream.end();
              };
              stream.handlers = { message() {}, ended: pour, drain: pour };
            },
          }),
        async (channel, diary) => {
          const stream = channel.openStream(path("Drip"), "server-stream");
          follow(stream, diary);
          stream.write(bytes("go"));
          stream.end();
          await diary.has("closed");
          assert.deepEqual(new Set(diary.entries), new Set(["100000 bytes", "closed"]));
          assert.equal(diary.entries.filter((entry) => entry === "100000 bytes").length, 60);
        },
      ),
    );

    it(
      "holds a caller that writes faster than the server reads",
      serve(
        (server, diary) =>
          server.register(path("Sink"), {
            kind: "bidi",
            handle: (stream) => {
              let count = 0;
              stream.pause();
              stream.handlers = {
                message: (message) => {
                  assert.equal(message.length, 100_000);
                  if (count === 0) diary.note("first");
                  count++;
                },
                ended: () => {
                  stream.write(bytes(`got ${count}`));
                  stream.end();
                },
                drain() {},
              };
              void diary.has("go on").then(() => stream.resume());
            },
          }),
        async (channel, diary) => {
          const stream = channel.openStream(path("Sink"), "bidi");
          let left = 200;
          const pour = (): void => {
            while (left > 0) {
              left--;
              if (!stream.write(block)) {
                diary.note("client full");
                return;
              }
            }
            stream.end();
          };
          follow(stream, diary);
          stream.handlers = { ...stream.handlers, drain: pour };
          pour();
          await refused(channel.unary(path("Nobody"), bytes(""), options));
          diary.note("go on");
          await diary.has("closed");
          assert.deepEqual(diary.entries.filter((entry) => entry !== "drain" && entry !== "client full").slice(0, 3), [
            "go on",
            "first",
            "got 200",
          ]);
          assert.ok(diary.entries.includes("client full"));
        },
      ),
    );

    it(
      "delivers nothing to a side that paused in the middle, until it resumes",
      serve(
        (server, diary) =>
          server.register(path("Slow"), {
            kind: "bidi",
            handle: (stream) => {
              let paused = false;
              stream.handlers = {
                message: (message) => {
                  assert.ok(!paused);
                  stream.write(message);
                  if (text(message) !== "m3") return;
                  paused = true;
                  stream.pause();
                  void diary.has("m3").then(() => {
                    paused = false;
                    stream.resume();
                  });
                },
                ended: () => {
                  diary.note("server has all");
                  stream.end();
                },
                drain() {},
              };
            },
          }),
        async (channel, diary) => {
          const stream = channel.openStream(path("Slow"), "bidi");
          follow(stream, diary);
          let paused = false;
          const { message: note } = stream.handlers;
          stream.handlers = {
            ...stream.handlers,
            message: (message) => {
              if (paused) diary.note("delivered while paused");
              note(message);
              if (text(message) !== "m3") return;
              paused = true;
              stream.pause();
              // When the server has seen the last message and another call came back, the echoes had time to arrive.
              void diary.has("server has all").then(async () => {
                await refused(channel.unary(path("Nobody"), bytes(""), options));
                paused = false;
                stream.resume();
              });
            },
          };
          const sent = Array.from({ length: 12 }, (_, i) => `m${i}`);
          for (const message of sent) stream.write(bytes(message));
          stream.end();
          await diary.has("closed");
          const split = sent.indexOf("m3") + 1;
          assert.deepEqual(diary.entries, [...sent.slice(0, split), "server has all", ...sent.slice(split), "closed"]);
        },
      ),
    );

    it(
      "says UNIMPLEMENTED to a method nobody registered",
      serve(
        () => {},
        async (channel) => {
          const error = await refused(channel.unary(path("Nobody"), bytes(""), options));
          assert.equal(error.status, "UNIMPLEMENTED");
        },
      ),
    );

    it("says UNAVAILABLE and never sent when nobody listens", async () => {
      const under = await open();
      const address = await under.server.listen(under.freeAddress());
      await under.server.close(0);
      const channel = under.client.channel(address);
      const error = await refused(channel.unary(path("Echo"), bytes("x"), options));
      assert.ok(error instanceof RpcFailure, `${error}`);
      assert.equal(error.status, "UNAVAILABLE");
      assert.ok(error.neverSent, error.message);
      const diary = new Diary();
      const stream = channel.openStream(path("Echo"), "bidi");
      follow(stream, diary);
      stream.write(bytes("x"));
      await diary.has("closed: UNAVAILABLE");
      channel.close();
      const closed = await refused(channel.unary(path("Echo"), bytes("x"), options));
      assert.ok(closed instanceof RpcFailure && closed.neverSent);
      await under.close();
    });

    it(
      "lets open calls finish within the grace when it closes, and takes no new ones",
      serve(
        (server, diary) => {
          server.register(path("Slow"), {
            kind: "unary",
            handle: async () => {
              diary.note("called");
              await diary.has("go on");
              return bytes("finished");
            },
          });
        },
        async (channel, diary, { server }) => {
          const slow = channel.unary(path("Slow"), bytes(""), options);
          await diary.has("called");
          const closed = server.close(10_000);
          const late = await refused(channel.unary(path("Slow"), bytes(""), options));
          assert.equal(late.status, "UNAVAILABLE");
          diary.note("go on");
          assert.equal(text(await slow), "finished");
          await closed;
        },
      ),
    );

    it(
      "ends open calls when the grace is over, with an unknown outcome",
      serve(
        (server, diary) => {
          server.register(path("Never"), {
            kind: "unary",
            handle: (_request, call) => {
              call.onCancel(() => diary.note("cancelled"));
              diary.note("called");
              return new Promise(() => {});
            },
          });
        },
        async (channel, diary, { server }) => {
          const call = refused(channel.unary(path("Never"), bytes(""), options));
          await diary.has("called");
          await server.close(0);
          const error = await call;
          assert.ok(error instanceof RpcFailure && !error.neverSent, `${error}`);
          await diary.has("cancelled");
        },
      ),
    );

    it("refuses to listen on an address in use, by name", async () => {
      const [first, second] = [await open(), await open()];
      const address = await first.server.listen(first.freeAddress());
      await assert.rejects(
        second.server.listen(address),
        (error: Error & { code?: string }) => error.code === "EADDRINUSE" && error.message.includes(address),
      );
      for (const under of [first, second]) {
        await under.server.close(0);
        await under.close();
      }
    });
  });
}

function echo(stream: ServerStream): void {
  stream.handlers = {
    message: (message) => {
      stream.write(message);
    },
    ended: () => stream.end(),
    drain() {},
  };
}
