import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MillraceError } from "../../../src/base/errors.ts";
import { limits } from "../../../src/base/limits.ts";
import { type Prepared, ProduceStreamSession } from "../../../src/broker/services/produce-stream.ts";
import { StreamRoom } from "../../../src/broker/services/stream-room.ts";
import { type ProduceResult, ProduceStreamRequest, ProduceStreamResponse } from "../../../src/protocol/public.ts";
import { errorOf } from "../../../src/protocol/rpc-status.ts";
import { World } from "../../../src/testing/sim/world.ts";
import { fakeStream } from "./stream-fake.ts";

type Done = (outcome: { readonly baseOffset: number } | MillraceError) => void;

/** One session on a stream whose other side is the test; appends stay open until the test answers them. */
function session(creditBytes = 1_000, all = new StreamRoom(Number.MAX_SAFE_INTEGER)) {
  const world = new World(1);
  const { clock } = world.machine("a").boot();
  const results: ProduceResult[] = [];
  const appends: { readonly topic: string; readonly done: Done; cancelled: boolean }[] = [];
  const told = { credit: 0, largest: 0, messages: 0 };
  let answerAtOnce = false;
  const inflating: (() => void)[] = [];
  let here = true;
  const { stream, seen, cancel, room } = fakeStream((bytes) => {
    const response = ProduceStreamResponse.decode(bytes);
    told.credit ||= response.creditBytes;
    told.messages++;
    told.largest = Math.max(told.largest, bytes.length);
    results.push(...response.results);
  });
  const prepare = (request: Prepared["request"]): Prepared | Promise<Prepared> => {
    if (request.topic === "bad") throw new MillraceError("MALFORMED_RECORD_SET", "no records");
    const prepared: Prepared = { request, batch: { acks: "ALL", draft: {} as Prepared["batch"]["draft"] } };
    return request.topic === "gzip" ? new Promise((resolve) => inflating.push(() => resolve(prepared))) : prepared;
  };
  const made = new ProduceStreamSession(
    stream,
    {
      prepare,
      leadsHere: () => here,
      append: ({ request }, done) => {
        if (answerAtOnce) {
          done({ baseOffset: 99 });
          return () => {};
        }
        const append = { topic: request.topic, done, cancelled: false };
        appends.push(append);
        return () => {
          append.cancelled = true;
        };
      },
    },
    clock,
    creditBytes,
    all,
  );
  made.start(() => seen.gone++);
  return {
    made,
    seen,
    told,
    results,
    appends,
    inflating,
    send: (...batches: readonly (readonly [id: number, topic: string, bytes?: number])[]) =>
      stream.handlers.message(
        ProduceStreamRequest.encode({
          batches: batches.map(([correlationId, topic, bytes = 1]) => ({
            correlationId,
            request: { topic, records: new Uint8Array(bytes) },
          })),
        }),
      ),
    resume: (topic: string) => stream.handlers.message(ProduceStreamRequest.encode({ resume: [{ topic, partition: 0 }] })),
    nonsense: () => stream.handlers.message(Buffer.from([0xff])),
    /** A batch without a request. */
    empty: (correlationId: number) => stream.handlers.message(ProduceStreamRequest.encode({ batches: [{ correlationId }] })),
    half: () => stream.handlers.ended(),
    cancel,
    atOnce: () => {
      answerAtOnce = true;
    },
    elsewhere: () => {
      here = false;
    },
    full: () => room(false),
    drained: () => {
      room(true);
      stream.handlers.drain();
    },
    turn: () => world.scheduler.run(world.now + 1),
    codes: () => results.map(({ correlationId, error }) => [correlationId, error === undefined ? "OK" : errorOf(error)?.code]),
  };
}

describe("ProduceStreamSession", () => {
  it("takes no more partitions at a time than produce.stream.partitions.max, and more once some are answered", async () => {
    const it = session(100_000_000);
    const max = limits["produce.stream.partitions.max"].value;
    for (let id = 0; id < max; id++) it.send([id, `t${id}`]);
    it.send([max, "one more"]);
    await it.turn();
    assert.deepEqual(it.codes(), [[max, "TOO_MANY_REQUESTS"]]);
    const [refused] = it.results;
    assert.equal(refused?.error === undefined ? undefined : errorOf(refused.error)?.metadata["limit"], "produce.stream.partitions.max");
    it.appends[0]?.done({ baseOffset: 1 });
    it.send([max + 1, "another"]);
    assert.equal(it.appends.length, max + 1);
    // Sent before its refusal was heard: it must not overtake the one that was refused.
    it.appends[1]?.done({ baseOffset: 1 });
    it.send([max + 2, "one more"]);
    await it.turn();
    assert.deepEqual(it.codes().at(-1), [max + 2, "PRECEDING_FAILED"]);
    it.resume("one more");
    it.send([max + 3, "one more"]);
    assert.equal(it.appends.length, max + 2);
  });

  it("ends when more partitions failed than it can remember, once it has answered what it took", async () => {
    const it = session(100_000_000);
    const max = limits["produce.stream.partitions.max"].value;
    it.send([0, "first"]);
    for (let id = 1; id <= 2 * max; id++) it.send([id, `t${id}`]);
    it.send([2 * max + 1, "the last straw"]);
    for (const { done } of it.appends) done({ baseOffset: 1 });
    await it.turn();
    assert.equal(it.results.length, 2 * max + 2);
    assert.ok(it.seen.ended instanceof MillraceError && it.seen.ended.metadata["limit"] === "produce.stream.partitions.max");
  });

  it("keeps nothing of names that no topic can have, however many and long they are", async () => {
    const it = session(100_000_000);
    const max = limits["produce.stream.partitions.max"].value;
    const long = "x".repeat(1_000);
    for (let id = 0; id <= max; id++) it.send([id, `${id}${long}`]);
    it.send([max + 1, "t"]);
    await it.turn();
    assert.equal(it.appends.length, 1);
    assert.deepEqual(new Set(it.codes().map(([, code]) => code)), new Set(["UNKNOWN_TOPIC"]));
    assert.equal(it.results.length, max + 1);
    assert.ok(it.told.largest < 4 * 1024 * 1024, `${it.told.largest} bytes in one message`);
  });

  it("answers many in messages that every stub takes", async () => {
    const it = session(100_000_000);
    const failed = Array.from({ length: 20_000 }, (_, id) => [id, "bad", 0] as const);
    it.send(...failed);
    await it.turn();
    assert.equal(it.results.length, failed.length);
    assert.ok(it.told.largest < 4 * 1024 * 1024, `${it.told.largest} bytes in one message`);
  });

  it("answers what it took before it ends because of a message that is none", async () => {
    const it = session();
    it.send([1, "a"]);
    it.nonsense();
    await it.turn();
    assert.deepEqual([it.seen.ended, it.seen.paused], [undefined, true]);
    it.appends[0]?.done({ baseOffset: 7 });
    await it.turn();
    assert.deepEqual(it.codes(), [[1, "OK"]]);
    const why: unknown = it.seen.ended;
    assert.ok(why instanceof MillraceError && why.code === "INVALID_REQUEST");
    assert.equal(it.seen.gone, 1);
    const other = session();
    other.send([1, "a"]);
    other.empty(2);
    other.appends[0]?.done({ baseOffset: 7 });
    await other.turn();
    assert.deepEqual(other.codes(), [
      [2, "INVALID_REQUEST"],
      [1, "OK"],
    ]);
    assert.ok(other.seen.ended instanceof MillraceError && other.seen.ended.code === "INVALID_REQUEST");
  });

  it("keeps answers where the caller does not read them, and writes them when there is room", async () => {
    const it = session(100_000_000);
    const count = 20_000;
    it.send(...Array.from({ length: count }, (_, id) => [id, "a"] as const));
    it.full();
    it.appends[0]?.done(new MillraceError("NOT_LEADER", "x".repeat(500)));
    for (const append of it.appends.slice(1)) append.done(new MillraceError("NOT_LEADER", "x".repeat(500)));
    await it.turn();
    assert.equal(it.told.messages, 2, "the credit, and the first that found no room");
    it.drained();
    await it.turn();
    assert.equal(it.results.length, count);
  });

  it("is not read while all streams together have stream.pending.max.bytes unanswered", async () => {
    const all = new StreamRoom(1_000);
    const [first, second, third] = [session(800, all), session(800, all), session(800, all)];
    first.send([1, "a", 250]);
    assert.deepEqual([first.seen.paused, second.seen.paused], [false, false]);
    second.send([1, "b", 250]);
    assert.deepEqual([first.seen.paused, second.seen.paused, third.seen.paused], [true, true, true], "also who has not sent anything yet");
    assert.equal(session(800, all).seen.paused, true, "and who comes later");
    first.cancel();
    assert.deepEqual([second.seen.paused, third.seen.paused], [false, false]);
    second.appends[0]?.done({ baseOffset: 0 });
    await second.turn();
    assert.equal(all.bytes, 0, "all was given back");
  });

  it("counts a whole message until the last of its batches is answered, and more than its bytes for each batch", async () => {
    const all = new StreamRoom(Number.MAX_SAFE_INTEGER);
    const it = session(1_000, all);
    it.send([1, "a", 300], [2, "b", 1]);
    assert.ok(all.bytes > 800 && !it.seen.paused, `${all.bytes}`);
    it.send([3, "c", 1]);
    assert.equal(it.seen.paused, true);
    it.appends[0]?.done({ baseOffset: 0 });
    await it.turn();
    assert.equal(it.seen.paused, true, "the other batch is a view of the same message");
    it.appends[1]?.done({ baseOffset: 0 });
    await it.turn();
    assert.equal(it.seen.paused, false);
    it.cancel();
    assert.equal(all.bytes, 0);
  });

  it("counts a message that is being inflated until it is, though its caller went away", async () => {
    const all = new StreamRoom(Number.MAX_SAFE_INTEGER);
    const it = session(100_000, all);
    it.send([1, "gzip", 5_000], [2, "a", 1]);
    it.send([3, "a", 5_000]);
    it.cancel();
    assert.ok(all.bytes > 5_000 && all.bytes < 6_000, `${all.bytes}`);
    for (const done of it.inflating) done();
    await it.turn();
    assert.equal(all.bytes, 0);
  });

  it("takes no message with more batches than produce.stream.batches.max, and answers what it took before", async () => {
    const it = session(100_000_000);
    it.send([1, "a"]);
    const most = limits["produce.stream.batches.max"].value;
    it.send(...Array.from({ length: most + 1 }, (_, id) => [id, "b"] as const));
    it.appends[0]?.done({ baseOffset: 0 });
    await it.turn();
    assert.deepEqual(it.codes(), [[1, "OK"]]);
    const error: unknown = it.seen.ended;
    assert.ok(error instanceof MillraceError && error.code === "INVALID_REQUEST", String(error));
    assert.equal(error.metadata["limit"], "produce.stream.batches.max");
  });

  it("reads no more while a thousand answers wait to be written", async () => {
    const it = session(100_000_000);
    it.send(...Array.from({ length: 1_000 }, (_, id) => [id, "bad"] as const));
    assert.equal(it.seen.paused, true);
    await it.turn();
    assert.deepEqual([it.results.length, it.seen.paused], [1_000, false]);
  });

  it("sends one batch at a time behind a hop when there is no producer id, so that a refused one is not overtaken", async () => {
    const it = session();
    it.elsewhere();
    it.send([1, "a"], [2, "a"], [3, "b"]);
    assert.deepEqual(
      it.appends.map(({ topic }) => topic),
      ["a", "b"],
    );
    it.appends[0]?.done(new MillraceError("PENDING_FULL", "full"));
    await it.turn();
    assert.deepEqual(it.codes(), [
      [1, "PENDING_FULL"],
      [2, "PRECEDING_FAILED"],
    ]);
    it.resume("a");
    it.send([4, "a"], [5, "a"]);
    it.appends[2]?.done({ baseOffset: 0 });
    assert.equal(it.appends.length, 4, "the next one goes once the one before is answered");
  });

  it("answers what it took before it ends when the broker stops, and refuses the rest", async () => {
    const it = session();
    it.send([1, "a"]);
    it.made.drain(new MillraceError("SHUTTING_DOWN", "stops"));
    it.send([2, "a"]);
    await it.turn();
    assert.deepEqual(it.codes(), [[2, "SHUTTING_DOWN"]]);
    assert.equal(it.seen.ended, undefined);
    it.appends[0]?.done({ baseOffset: 7 });
    await it.turn();
    assert.deepEqual(it.codes(), [
      [2, "SHUTTING_DOWN"],
      [1, "OK"],
    ]);
    const ended: unknown = it.seen.ended;
    assert.ok(ended instanceof MillraceError && ended.code === "SHUTTING_DOWN");
  });

  it("reads no more while the caller does not take its answers", async () => {
    const it = session();
    it.full();
    it.send([1, "a"]);
    it.appends[0]?.done({ baseOffset: 0 });
    await it.turn();
    assert.equal(it.seen.paused, true);
    it.drained();
    assert.equal(it.seen.paused, false);
  });

  it("says its credit first and answers each batch once, when it is appended", async () => {
    const it = session();
    assert.equal(it.told.credit, 1_000);
    it.send([1, "a"], [2, "b"]);
    it.appends[1]?.done({ baseOffset: 5 });
    await it.turn();
    assert.deepEqual(it.codes(), [[2, "OK"]]);
    it.appends[0]?.done({ baseOffset: 6 });
    await it.turn();
    assert.deepEqual(
      it.results.map(({ response }) => response?.baseOffset),
      [5, 6],
    );
  });

  it("takes an answer that comes before append returns", async () => {
    const it = session();
    it.atOnce();
    it.send([1, "a"], [2, "a"]);
    await it.turn();
    assert.deepEqual(it.codes(), [
      [1, "OK"],
      [2, "OK"],
    ]);
  });

  it("forgets partitions that are done with, however many there were, and keeps those that failed", async () => {
    for (const atOnce of [false, true]) {
      const it = session();
      if (atOnce) it.atOnce();
      const count = 10_050;
      it.send([count + 1, "bad"]);
      for (let n = 1; n <= count; n++) {
        it.send([n, `t${n}`, 0]);
        if (!atOnce) it.appends[n - 1]?.done({ baseOffset: n });
      }
      it.send([count + 2, "bad"]);
      await it.turn();
      const refused = it.codes().filter(([, code]) => code !== "OK");
      assert.deepEqual(refused, [
        [count + 1, "MALFORMED_RECORD_SET"],
        [count + 2, "PRECEDING_FAILED"],
      ]);
      assert.equal(it.results.length, count + 2);
    }
  });

  it("refuses what follows a failed batch of the same partition until it is resumed", async () => {
    const it = session();
    it.send([1, "bad"], [2, "bad"], [3, "good"]);
    it.appends[0]?.done({ baseOffset: 0 });
    await it.turn();
    assert.deepEqual(it.codes(), [
      [1, "MALFORMED_RECORD_SET"],
      [2, "PRECEDING_FAILED"],
      [3, "OK"],
    ]);
    it.resume("bad");
    it.send([4, "bad"]);
    await it.turn();
    assert.deepEqual(it.codes().at(-1), [4, "MALFORMED_RECORD_SET"]);
  });

  it("does not read on while more than its credit (stream.credit.bytes) is unanswered", async () => {
    const it = session(1_000);
    it.send([1, "a", 700]);
    assert.equal(it.seen.paused, false);
    it.send([2, "a", 700]);
    assert.equal(it.seen.paused, true);
    it.appends[0]?.done({ baseOffset: 0 });
    await it.turn();
    assert.equal(it.seen.paused, false);
  });

  it("ends when the caller has half-closed and everything is answered, not before", async () => {
    const it = session();
    it.send([1, "a"]);
    it.half();
    await it.turn();
    assert.equal(it.seen.ended, undefined);
    it.appends[0]?.done({ baseOffset: 0 });
    await it.turn();
    assert.deepEqual([it.seen.ended, it.seen.gone, it.results.length], [true, 1, 1]);
  });

  it("gives its waits up when the caller is gone, and says nothing any more", async () => {
    const it = session();
    it.send([1, "a"], [2, "a"]);
    it.cancel();
    assert.deepEqual(
      it.appends.map(({ cancelled }) => cancelled),
      [true, true],
    );
    it.appends[0]?.done({ baseOffset: 0 });
    await it.turn();
    assert.deepEqual([it.results, it.seen.gone], [[], 1]);
  });

  it("ends with the error when it is closed or its caller talks nonsense", () => {
    const closed = session();
    closed.made.close(new MillraceError("SHUTTING_DOWN", "stops"));
    assert.ok(closed.seen.ended instanceof MillraceError && closed.seen.ended.code === "SHUTTING_DOWN");
    const nonsense = session();
    nonsense.resume("x".repeat(3));
    assert.equal(nonsense.seen.ended, undefined, "a resume of what never failed is nothing");
    nonsense.send([1, "a"]);
    assert.equal(nonsense.appends.length, 1);
  });
});
