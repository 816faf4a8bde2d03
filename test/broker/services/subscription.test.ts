import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MillraceError } from "../../../src/base/errors.ts";
import { ReplyRoom } from "../../../src/broker/services/reply-room.ts";
import { Subscription, type SubscriptionFetch } from "../../../src/broker/services/subscription.ts";
import type { MessageInput } from "../../../src/protocol/codec/index.ts";
import { FetchResponse, SubscribeRequest, SubscribeResponse } from "../../../src/protocol/public.ts";
import { World } from "../../../src/testing/sim/world.ts";
import { recordSet, valuesOf } from "../harness.ts";
import { fakeStream } from "./stream-fake.ts";

interface Open {
  readonly request: SubscriptionFetch;
  readonly done: (outcome: FetchResponse | MillraceError) => void;
  cancelled: boolean;
}

/** One subscription; its fetches stay open until the test answers them. Positions are 10 to `until`, or refused. */
function subscription(
  input: MessageInput<typeof SubscribeRequest>,
  options: { until?: number; refused?: MillraceError; heard?: () => string; latest?: () => Promise<string>; lastTerm?: number } = {},
) {
  const world = new World(1);
  const { clock } = world.machine("a").boot();
  const sent: SubscribeResponse[] = [];
  const reads: Open[] = [];
  /** What all readers together have not taken. */
  const left = { unsentBytes: 0 };
  const { stream, seen, cancel, room } = fakeStream((bytes) => {
    assert.equal(seen.ended, undefined, "nothing is said after the end");
    sent.push(SubscribeResponse.decode(bytes));
  });
  const backend = {
    topicOf: async (_topic: string, topicId: string) => ({ topicId: topicId === "" ? (options.heard?.() ?? "") : topicId }),
    latestOf: async () => ({ topicId: (await options.latest?.()) ?? "" }),
    positions: async (_topic: unknown, start: { readonly lastTerm: number | undefined }) => {
      if (options.refused !== undefined) throw options.refused;
      return { from: 10, until: options.until, lastTerm: options.lastTerm ?? start.lastTerm };
    },
    read: (request: SubscriptionFetch, done: Open["done"]) => {
      const open: Open = { request, done, cancelled: false };
      reads.push(open);
      return () => {
        open.cancelled = true;
      };
    },
  };
  const made = new Subscription(stream, SubscribeRequest.decode(SubscribeRequest.encode(input)), backend, clock, {
    creditBytesMax: 4_000_000,
    room: new ReplyRoom(left, 1_000_000, clock),
  });
  made.start(() => seen.gone++);
  return {
    made,
    stream,
    left,
    sent,
    reads,
    seen,
    cancel,
    full: () => room(false),
    drained: () => {
      room(true);
      made.drained();
    },
    /** Answers the newest open fetch of a partition with these records, from where it asked. */
    answer: (values: readonly string[], partition = 0, term = 0) => {
      const open = reads.filter(({ request }) => request.partition === partition).at(-1);
      assert.ok(open !== undefined);
      const { offset } = open.request;
      const batches =
        values.length === 0 ? [] : [{ baseOffset: offset, recordCount: values.length, records: recordSet(values), term: offset }];
      open.done(
        FetchResponse.decode(
          FetchResponse.encode({ batches, nextOffset: offset + values.length, highWatermark: values.length === 0 ? offset : 99, term }),
        ),
      );
    },
    turn: (ms = 2) => world.scheduler.run(world.now + ms),
  };
}

const one: MessageInput<typeof SubscribeRequest> = { topic: "t", partitions: [{ partition: 0 }] };
const two: MessageInput<typeof SubscribeRequest> = { topic: "t", partitions: [{ partition: 0 }, { partition: 1 }] };

describe("Subscription", () => {
  it("names the term of the leader that told its place while it has passed nothing on, and none before", async () => {
    const termOf = (it: ReturnType<typeof subscription>): unknown => it.reads.at(-1)?.request.lastTerm;
    // At the end, whose leader is known; and at an offset that nobody said the term of.
    const ended = subscription(one, { lastTerm: 5 });
    const said = subscription(one);
    for (const it of [ended, said]) await it.turn();
    assert.deepEqual([termOf(ended), termOf(said)], [5, undefined]);
    for (const it of [ended, said]) it.answer([], 0, 6);
    await ended.turn();
    await said.turn();
    assert.deepEqual([termOf(ended), termOf(said)], [5, 6], "the first that is known is the one it goes on in");
    for (const it of [ended, said]) it.answer([], 0, 7);
    await said.turn();
    assert.equal(termOf(said), 6);
    said.answer(["a"], 0, 7);
    await said.turn();
    assert.equal(termOf(said), 10, "that of the record");
    // A broker that does not say it.
    const old = subscription(one);
    await old.turn();
    old.answer([]);
    await old.turn();
    assert.deepEqual([old.reads.length, termOf(old)], [2, undefined]);
  });

  it("lets so many bytes wait for its reader as the request says, and never more than the broker", () => {
    assert.equal(subscription(one).stream.unsentBytesMax, 4_000_000);
    assert.equal(subscription({ ...one, creditBytes: 100_000 }).stream.unsentBytesMax, 100_000);
    assert.equal(subscription({ ...one, creditBytes: 2 ** 31 - 1 }).stream.unsentBytesMax, 4_000_000);
  });

  it("writes nothing while all readers together leave too much, and goes on when there is room", async () => {
    const it = subscription(one);
    await it.turn();
    it.left.unsentBytes = 2_000_000;
    it.answer(["a"]);
    await it.turn(500);
    assert.deepEqual([it.sent.length, it.reads.length], [0, 1]);
    // Its own reader took everything: it goes on before the others do.
    it.left.unsentBytes = 1_999_999;
    await it.turn(100);
    it.answer(["a"]);
    await it.turn();
    assert.deepEqual([it.sent.length, it.seen.ended], [1, undefined]);
  });

  it("gives way to others when its reader takes nothing and there is no room, and waits as long as there is (case 27)", async () => {
    const it = subscription(one);
    await it.turn();
    it.full();
    it.answer(["a"]);
    await it.turn(60_000);
    assert.equal(it.seen.gone, 0);
    it.left.unsentBytes = 1_000_000;
    await it.turn(10_001);
    assert.ok(it.seen.ended instanceof MillraceError && it.seen.ended.code === "TOO_MANY_REQUESTS");
    assert.deepEqual([it.seen.ended.metadata["limit"], it.seen.gone], ["reply.pending.max.bytes", 1]);
  });

  it("fetches no more at a time than may wait", async () => {
    const it = subscription({ ...one, creditBytes: 100_000 });
    await it.turn();
    assert.equal(it.reads[0]?.request.maxBytes, 100_000);
  });

  it("names the term of what it passed on last, or what its reader had of before, with each fetch", async () => {
    const it = subscription({ topic: "t", partitions: [{ partition: 0 }, { partition: 1, offset: 10, lastTerm: 4 }] });
    await it.turn();
    it.answer(["a", "b"]);
    it.answer([], 1);
    await it.turn();
    it.answer(["c"]);
    await it.turn();
    const asked = (partition: number) =>
      it.reads.filter(({ request }) => request.partition === partition).map(({ request }) => [request.offset, request.lastTerm]);
    // The fake answers with the offset for a term.
    assert.deepEqual(asked(0), [
      [10, undefined],
      [12, 10],
      [13, 12],
    ]);
    assert.deepEqual(asked(1), [
      [10, 4],
      [10, 4],
    ]);
  });

  it("passes on what each fetch brings, and asks from there on", async () => {
    const it = subscription(one);
    await it.turn();
    it.answer(["a", "b"]);
    await it.turn();
    it.answer(["c"]);
    await it.turn();
    assert.deepEqual(
      it.reads.map(({ request }) => request.offset),
      [10, 12, 13],
    );
    assert.deepEqual(
      it.sent.map(({ partition, batches, nextOffset, highWatermark, done }) => [
        partition,
        valuesOf(batches),
        nextOffset,
        highWatermark,
        done,
      ]),
      [
        [0, ["a", "b"], 12, 99, false],
        [0, ["c"], 13, 99, false],
      ],
    );
  });

  it("reads a few of many partitions at a time, in turn, and writes nothing to a stream that is full", async () => {
    const count = 50;
    const it = subscription({ topic: "t", partitions: Array.from({ length: count }, (_, partition) => ({ partition })) });
    await it.turn();
    // How long each takes is not known yet.
    assert.equal(it.reads.length, count);
    it.full();
    for (let partition = 0; partition < count; partition++) it.answer(["x"], partition);
    await it.turn();
    assert.equal(it.sent.length, 1, "the one that filled it");
    assert.equal(it.reads.length, count);
    // Now each is known to have more: four at a time, and all in turn.
    it.drained();
    const asked = new Set<number>();
    for (let begun = count; asked.size < count; ) {
      const open = it.reads.slice(begun);
      assert.ok(open.length > 0 && open.length <= 4, `${open.length} reads at once`);
      begun = it.reads.length;
      for (const { request } of open) {
        asked.add(request.partition);
        it.answer(["y"], request.partition);
      }
      await it.turn();
    }
    assert.equal(asked.size, count);
  });

  it("says nothing when a fetch brings nothing, and asks again", async () => {
    const it = subscription(one);
    await it.turn();
    it.answer([]);
    await it.turn();
    assert.deepEqual([it.sent.length, it.reads.length, it.reads[1]?.request.offset], [0, 2, 10]);
  });

  it("has one fetch open per partition, and begins none without room until there is some", async () => {
    const it = subscription(two);
    await it.turn();
    assert.equal(it.reads.length, 2);
    it.full();
    it.answer(["a"], 0);
    it.answer(["b"], 1);
    await it.turn(5_000);
    assert.equal(it.reads.length, 2);
    it.drained();
    await it.turn();
    // Each from where what was passed on ended.
    const passed = (partition: number) => it.sent.filter((response) => response.partition === partition).at(-1)?.nextOffset ?? 10;
    assert.deepEqual(
      new Map(it.reads.slice(2).map(({ request }) => [request.partition, request.offset])),
      new Map([0, 1].map((n) => [n, passed(n)])),
    );
    assert.equal(passed(0), 11);
  });

  it("ends each partition at its end, cut at the record, and the stream with the last one", async () => {
    const it = subscription(two, { until: 12 });
    await it.turn();
    it.answer(["a", "b", "behind"], 0);
    await it.turn();
    assert.deepEqual(valuesOf(it.sent[0]?.batches ?? []), ["a", "b"]);
    assert.deepEqual([it.sent[0]?.nextOffset, it.sent[1]?.done, it.sent[1]?.nextOffset, it.seen.ended], [12, true, 12, undefined]);
    it.answer(["a", "b"], 1);
    await it.turn();
    assert.deepEqual([it.sent.at(-1)?.partition, it.sent.at(-1)?.done, it.seen.ended, it.seen.gone], [1, true, true, 1]);
    assert.equal(it.reads.length, 2);
  });

  it("is over at once where there is nothing before its end", async () => {
    const it = subscription(one, { until: 10 });
    await it.turn();
    assert.deepEqual([it.reads.length, it.sent.length, it.sent[0]?.done, it.seen.ended], [0, 1, true, true]);
  });

  it("asks again after a refusal that says so, and ends with any other", async () => {
    const it = subscription(two);
    await it.turn();
    it.reads[0]?.done(new MillraceError("LEADER_UNKNOWN", "an election", {}, 300));
    await it.turn(290);
    assert.equal(it.reads.length, 2);
    await it.turn(20);
    assert.deepEqual([it.reads.length, it.reads[2]?.request.offset], [3, 10]);
    const lost = new MillraceError("OFFSET_OUT_OF_RANGE", "trimmed");
    it.reads[2]?.done(lost);
    assert.deepEqual([it.seen.ended, it.seen.gone, it.reads[1]?.cancelled], [lost, 1, true]);
    it.answer(["late"], 1);
    await it.turn(5_000);
    assert.deepEqual([it.sent.length, it.reads.length], [0, 3]);
  });

  it("stops when the caller is gone: fetches and the wait for another try are cancelled, and nothing is said", async () => {
    const it = subscription(two);
    await it.turn();
    it.reads[0]?.done(new MillraceError("LEADER_UNKNOWN", "an election", {}, 300));
    it.cancel();
    it.cancel();
    it.answer(["late"], 1);
    await it.turn(5_000);
    assert.deepEqual([it.reads.length, it.reads[1]?.cancelled, it.sent.length, it.seen.ended, it.seen.gone], [2, true, 0, undefined, 1]);
  });

  it("ends once with the broker, whatever follows", async () => {
    const it = subscription(one);
    await it.turn();
    const stops = new MillraceError("SHUTTING_DOWN", "the broker stops");
    it.made.close(stops);
    it.made.close();
    it.drained();
    it.answer(["late"]);
    await it.turn();
    assert.deepEqual([it.seen.ended, it.seen.gone, it.sent.length, it.reads.length], [stops, 1, 0, 1]);
  });

  it("refuses what it cannot do before it reads anything", async () => {
    const refused = new MillraceError("UNKNOWN_TOPIC", "no topic t");
    for (const [it, code] of [
      [subscription({ topic: "t" }), "INVALID_REQUEST"],
      [subscription({ ...one, maxRate: -5 }), "INVALID_REQUEST"],
      [subscription({ ...one, creditBytes: -1 }), "INVALID_REQUEST"],
      [subscription(one, { refused }), "UNKNOWN_TOPIC"],
    ] as const) {
      await it.turn();
      assert.ok(it.seen.ended instanceof MillraceError);
      assert.deepEqual([it.seen.ended.code, it.seen.gone, it.reads.length, it.sent.length], [code, 1, 0, 0]);
    }
  });

  it("is done with nothing of a topic that may be another one's name by now, until the controller has said so or cannot", async () => {
    const none = new MillraceError("NOT_READY", "no controller");
    for (const how of ["another", "the same", "nobody"] as const) {
      const names = ["old", "new"];
      let say: (() => void) | undefined;
      const latest = (): Promise<string> =>
        new Promise((resolve, reject) => {
          say = () => (how === "nobody" ? reject(none) : resolve(how === "another" ? "new" : "old"));
        });
      const it = subscription(two, { heard: () => names.shift() ?? "new", latest, until: 10 });
      await it.turn();
      assert.deepEqual([it.sent, it.seen.ended], [[], undefined], how);
      say?.();
      await it.turn();
      assert.equal(names.length, how === "another" ? 0 : 1);
      say?.();
      await it.turn();
      const partitions = it.sent.map(({ partition, done }) => [partition, done]);
      assert.deepEqual(
        partitions,
        it.sent.map((_, n) => [n, true]),
        how,
      );
      assert.deepEqual([it.sent.length, it.seen.gone], [2, 1], how);
    }
  });

  it("begins again under its name when the controller says another topic, or the one it heard of is gone, before anything was read", async () => {
    const gone = new MillraceError("UNKNOWN_TOPIC", "deleted", { topic_id: "old" });
    const none = new MillraceError("NOT_READY", "no controller");
    const stale = (latest: () => Promise<string>) => {
      const names = ["old", "new"];
      return subscription(two, { heard: () => names.shift() ?? "new", latest });
    };
    const ids = (it: ReturnType<typeof subscription>) => it.reads.map(({ request, cancelled }) => [request.topicId, cancelled]);
    let say: (latest: string) => void = () => assert.fail("it was not asked");
    const told = stale(
      () =>
        new Promise((resolve) => {
          say = resolve;
        }),
    );
    const alone = stale(() => Promise.reject(none));
    const settled = stale(async () => "old");
    const answered = stale(() => Promise.reject(none));
    for (const it of [told, alone, settled, answered]) await it.turn();
    answered.answer([], 1);
    say("new");
    for (const it of [alone, settled, answered]) it.reads[0]?.done(gone);
    for (const it of [told, alone, settled, answered]) await it.turn();
    for (const it of [told, alone]) {
      assert.deepEqual(ids(it).slice(-2), [
        ["new", false],
        ["new", false],
      ]);
      assert.deepEqual([it.reads[1]?.cancelled, it.reads.length, it.seen.ended], [true, 4, undefined]);
      it.answer(["a"], 1);
      assert.equal(it.sent.length, 1);
      it.reads[2]?.done(gone);
      assert.deepEqual([it.seen.ended, it.seen.gone], [gone, 1]);
    }
    for (const it of [settled, answered]) assert.deepEqual([it.seen.ended, it.seen.gone], [gone, 1]);
    const same = subscription(one, { heard: () => "old", latest: () => Promise.reject(none) });
    await same.turn();
    same.reads[0]?.done(gone);
    await same.turn();
    assert.deepEqual([same.seen.ended, same.seen.gone, same.reads.length], [gone, 1, 1]);
  });

  it("hears nothing of a read of the former topic that ends late, when it has begun again", async () => {
    const gone = new MillraceError("UNKNOWN_TOPIC", "deleted", { topic_id: "old" });
    const again = new MillraceError("HOP_LOST", "lost");
    const batches = [{ baseOffset: 10, recordCount: 1, records: recordSet(["of the former one"]) }];
    const late = FetchResponse.decode(FetchResponse.encode({ batches, nextOffset: 11, highWatermark: 99 }));
    for (const outcome of [gone, again, late]) {
      const names = ["old", "new"];
      const it = subscription(two, {
        heard: () => names.shift() ?? "new",
        latest: () => Promise.reject(new MillraceError("NOT_READY", "")),
      });
      await it.turn();
      it.reads[0]?.done(gone);
      it.reads[1]?.done(outcome);
      await it.turn(1_000);
      assert.deepEqual(
        it.reads.map(({ request }) => [request.topicId, request.partition, request.offset]),
        [
          ["old", 0, 10],
          ["old", 1, 10],
          ["new", 0, 10],
          ["new", 1, 10],
        ],
      );
      assert.deepEqual([it.seen.ended, it.sent], [undefined, []]);
    }
  });
});
