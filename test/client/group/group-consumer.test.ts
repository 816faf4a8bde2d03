import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MillraceError } from "../../../src/base/errors.ts";
import type { TopicId } from "../../../src/base/ids.ts";
import { silentTelemetry } from "../../../src/base/ports/telemetry.ts";
import type { ConsumedRecord } from "../../../src/client/consumer/consumed-record.ts";
import { HandlerTimedOut, NoCommittedOffset, OffsetOutOfRange } from "../../../src/client/errors.ts";
import type { HandlerContext } from "../../../src/client/group/options.ts";
import { noFaults } from "../fake/cluster.ts";
import { range, Scene } from "./members.ts";

const code = (expected: string) => (error: unknown) => error instanceof MillraceError && error.code === expected;

describe("GroupConsumer on a fake cluster with the real coordinator's machine", () => {
  it("handles every record once, in order, while members come and leave, and commits the ends", async () => {
    const scene = new Scene(1, 6);
    scene.fill(80);
    const slow = { handler: () => scene.sleep(5) };
    const a = scene.member("a", {}, slow);
    await scene.world.run(250, () => false);
    const b = scene.member("b", {}, slow);
    await scene.world.run(400, () => false);
    const c = scene.member("c", {}, slow);
    await scene.world.run(500, () => false);
    await scene.world.until(a.consumer.close());
    assert.ok(await scene.world.run(60_000, () => scene.settled()), "everything is committed");
    for (let partition = 0; partition < 6; partition++) assert.deepEqual(scene.offsets(partition), range(0, 80));
    assert.equal(new Set(scene.handled.map(({ by }) => by)).size, 3);
    await scene.world.until(Promise.all([b.consumer.close(), c.consumer.close()]));
    await Promise.all([a.done, b.done, c.done]);
    assert.deepEqual(scene.cluster.members("g"), [], "who closes leaves");
  });

  it("reads topics by pattern, of one made later too, and refuses what is no pattern of RE2's", async () => {
    const scene = new Scene(21, 2);
    scene.fill(5);
    const topics: string[] = [];
    const a = scene.member("a", {}, { topics: [], topicPattern: "t|u.*", handler: ({ topic }) => void topics.push(topic) });
    assert.ok(await scene.world.run(10_000, () => scene.settled()));
    scene.cluster.make("u-new", 1);
    scene.cluster.coordinator.ok({ kind: "refreshTopics", groupId: "g", deleted: [] });
    scene.fill(3, "u-new");
    assert.ok(await scene.world.run(20_000, () => scene.settled("u-new")));
    assert.deepEqual(topics, [...range(0, 10).map(() => "t"), ...range(0, 3).map(() => "u-new")]);
    await scene.world.until(a.consumer.close());
    const refused = (run: object): Promise<void> =>
      assert.rejects(
        scene
          .client()
          .consumer({ group: "g" })
          .run({ handler: () => undefined, ...run }),
        code("INVALID_REQUEST"),
      );
    await refused({});
    await refused({ topics: [], topicPattern: "" });
    await refused({ topicPattern: /t/ });
    await refused({ topics: "t" });
    const bad = scene.client().consumer({ group: "g" });
    const said = assert.rejects(bad.run({ topicPattern: "(", handler: () => undefined }), code("INVALID_REQUEST"));
    await scene.world.run(10_000, () => false);
    await said;
  });

  it("leaves nothing out when a process dies, over broken streams and changes of leader; what is handled twice is what was not committed", async () => {
    const scene = new Scene(2, 4);
    scene.fill(200);
    scene.cluster.faults = { ...noFaults, breakBefore: 0.05 };
    const slow = { handler: () => scene.sleep(10) };
    const dead = scene.client();
    const handled: number[] = [];
    const dying = dead.consumer({ group: "g" });
    dying.run({ topics: ["t"], handler: (record) => scene.sleep(10).then(() => void handled.push(record.offset)) }).catch(() => undefined);
    await scene.world.run(1_500, () => false);
    const committed = scene.cluster.committed("g", "t");
    // Its process is gone: nothing of it is ever heard again.
    const [gone = ""] = scene.cluster.members("g");
    scene.cluster.cut(gone);
    const other = scene.member("b", {}, slow);
    for (const log of scene.cluster.logs("t")) scene.cluster.moveLeader(log);
    assert.ok(await scene.world.run(200_000, () => scene.settled()));
    for (let partition = 0; partition < 4; partition++) {
      const offsets = scene.offsets(partition, "b");
      const first = offsets[0] ?? -1;
      assert.ok(first > 0 && first === committed[partition], "it goes on where the other had committed");
      assert.deepEqual(offsets, range(first, 200));
    }
    await scene.world.until(other.consumer.close());
  });

  it("a handler of a minute moves no partition", async () => {
    const scene = new Scene(3, 2);
    scene.fill(1);
    const a = scene.member("a", {}, { handler: () => scene.sleep(60_000) });
    const b = scene.member("b", {}, { handler: () => scene.sleep(60_000) });
    assert.ok(await scene.world.run(90_000, () => scene.settled()));
    assert.deepEqual(scene.handled.map(({ partition, offset }) => [partition, offset]).sort(), [
      [0, 0],
      [1, 0],
    ]);
    assert.ok(scene.told.every((what) => !what.includes("lost")));
    await scene.world.until(Promise.all([a.consumer.close(), b.consumer.close()]));
  });

  it("a partition that is asked back fires its signal, and is given back when its handler is done and its offset committed", async () => {
    const scene = new Scene(4, 1);
    scene.fill(3);
    let fired = -1;
    const handler = async (record: { readonly offset: number }, { signal }: HandlerContext): Promise<void> => {
      if (record.offset !== 1) return;
      signal.addEventListener("abort", () => {
        fired = scene.world.now;
        assert.ok(code("PARTITION_NOT_OWNED")(signal.reason));
      });
      await scene.sleep(20_000);
    };
    const a = scene.member("a", { instanceId: "z" }, { handler });
    await scene.world.run(1_000, () => scene.offsets(0).length === 1);
    // Its instance id sorts first: the only partition is wanted for it.
    const b = scene.member("b", { instanceId: "a", assignor: "range" });
    await scene.world.run(100_000, () => scene.settled());
    if (scene.told.some((what) => what.startsWith("a revoked"))) {
      assert.ok(fired >= 0 && fired < 5_000, "the signal fired when it was asked back");
      assert.deepEqual(
        scene.handled.map(({ by, offset }) => [by, offset]),
        [
          ["a", 0],
          ["a", 1],
          ["b", 2],
        ],
      );
      const [, last, first] = scene.handled;
      assert.ok(first !== undefined && last !== undefined && first.at >= last.at && first.epoch > last.epoch);
    } else assert.fail(`the partition did not move: ${scene.told.join("; ")}`);
    await scene.world.until(Promise.all([a.consumer.close(), b.consumer.close()]));
  });

  it("who is thrown out hears why, has its late commit refused by name, and joins again", async () => {
    const scene = new Scene(5, 2);
    scene.fill(50);
    let stuck = true;
    const aborted: number[] = [];
    const working = new Set<number>();
    let twice = false;
    const a = scene.member(
      "a",
      { commitIntervalMs: 3_600_000 },
      {
        handler: async (record, { signal }) => {
          twice ||= working.has(record.partition);
          working.add(record.partition);
          if (record.offset === 20 && stuck) {
            signal.addEventListener("abort", () => aborted.push(record.partition));
            await scene.sleep(5_000);
          }
          working.delete(record.partition);
        },
      },
    );
    await scene.world.run(2_000, () => false);
    const [member = ""] = scene.cluster.members("g");
    scene.cluster.coordinator.ok({ kind: "leave", groupId: "g", memberId: member, instanceId: undefined, forGood: true });
    stuck = false;
    assert.ok(await scene.world.run(30_000, () => scene.offsets(0).includes(49) && scene.offsets(1).includes(49)));
    assert.deepEqual(aborted.sort(), [0, 1]);
    assert.ok(!twice, "what comes back waits for the handler of before");
    assert.ok(scene.told.includes("a lost 0,1 UNKNOWN_MEMBER"), scene.told.join("; "));
    assert.ok(
      scene.told.includes("a refused 0,1 UNKNOWN_MEMBER") || scene.told.includes("a refused 0,1 MEMBER_FENCED"),
      scene.told.join("; "),
    );
    assert.ok(scene.cluster.refusedCommits.length > 0);
    await scene.world.until(a.consumer.close());
    assert.ok(scene.settled(), "closing commits what was handled");
    assert.deepEqual(
      [...new Set(scene.offsets(0))].sort((x, y) => x - y),
      range(0, 50),
    );
  });

  it("a commit whose answer is lost is sent again and counts once", async () => {
    const scene = new Scene(6, 1);
    scene.fill(10);
    const a = scene.member("a");
    scene.cluster.loseCommits = 3;
    assert.ok(await scene.world.run(30_000, () => scene.settled() && scene.cluster.loseCommits === 0));
    await scene.world.until(a.consumer.close());
    assert.deepEqual(scene.told, ["a assigned 0", "a revoked 0"]);
  });

  it("retries a handler that throws, and nothing behind its record is handled before", async () => {
    const scene = new Scene(7, 1);
    scene.fill(5);
    let failures = 0;
    const a = scene.member(
      "a",
      {},
      {
        handler: (record) => {
          if (record.offset === 2 && failures++ < 4) throw new Error("not yet");
        },
      },
    );
    assert.ok(await scene.world.run(30_000, () => scene.settled()));
    assert.deepEqual(scene.offsets(0), range(0, 5));
    assert.equal(failures, 5);
    await scene.world.until(a.consumer.close());
  });

  it("stops when the handler throws and that is wanted: run rejects with the cause, the record is not committed, the group is left", async () => {
    const scene = new Scene(8, 1);
    scene.fill(5);
    const cause = new Error("no");
    const a = scene.member(
      "a",
      {},
      {
        onError: "stop",
        handler: (record) => {
          if (record.offset === 3) throw cause;
        },
      },
    );
    await assert.rejects(scene.world.until(a.done), cause);
    assert.deepEqual(scene.cluster.committed("g", "t"), [3]);
    assert.deepEqual(scene.cluster.members("g"), []);
  });

  it("takes a handler that gives up because its partition is taken away for no failure", async () => {
    const scene = new Scene(23, 1);
    scene.fill(2);
    const handler = (_: unknown, { signal }: HandlerContext): Promise<void> =>
      new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    const a = scene.member("a", { instanceId: "z", assignor: "range" }, { onError: "stop", handler });
    await scene.world.run(1_000, () => false);
    const b = scene.member("b", { instanceId: "a", assignor: "range" });
    assert.ok(await scene.world.run(10_000, () => scene.settled()));
    assert.equal(scene.cluster.members("g").length, 2, "it stays in the group");
    await scene.world.until(Promise.all([a.consumer.close(), b.consumer.close(), a.done]));
  });

  it("writes a record its handler cannot take to another topic before it goes on", async () => {
    const scene = new Scene(9, 1);
    scene.fill(5);
    scene.cluster.make("aside", 1);
    const a = scene.member(
      "a",
      {},
      {
        onError: { skipAndReportTo: "aside" },
        handler: (record) => {
          if (record.offset === 2) throw new Error("poison");
          if (record.offset === 3) assert.equal(scene.cluster.logs("aside")[0]?.end, 1, "it was put aside first");
        },
      },
    );
    assert.ok(await scene.world.run(30_000, () => scene.settled()));
    assert.deepEqual(scene.offsets(0), [0, 1, 3, 4]);
    await scene.world.until(a.consumer.close());
    const reader = scene.client().consumer();
    reader.assign([{ topic: "aside", partition: 0, until: "end" }]);
    const read = (async () => {
      for await (const record of reader) return record.headers.map(({ key, value }) => `${key}=${new TextDecoder().decode(value)}`);
      return [];
    })();
    assert.deepEqual(await scene.world.until(read), [
      "millrace-group=g",
      "millrace-topic=t",
      "millrace-partition=0",
      "millrace-offset=2",
      "millrace-cause=Error: poison",
    ]);
  });

  it("says why a record cannot be put aside, and gives its partition back in time all the same", async () => {
    const scene = new Scene(9, 1);
    scene.fill(5);
    scene.cluster.make("aside", 1);
    // Nobody says yes or no: the in-sync replicas are not there, for example.
    scene.cluster.judges = (batch) => (batch.topic === "aside" ? new MillraceError("NOT_ENOUGH_REPLICAS", "one of two") : undefined);
    const said: string[] = [];
    const telemetry = {
      ...silentTelemetry,
      log(_: string, event: string, fields?: { readonly code?: unknown }) {
        if (event === "consumer.report_failed") said.push(String(fields?.code));
      },
    };
    const poison = (record: ConsumedRecord): void => {
      if (record.offset === 2) throw new Error("poison");
    };
    const a = scene.member(
      "a",
      { instanceId: "z", assignor: "range", rebalanceTimeoutMs: 20_000 },
      { onError: { skipAndReportTo: "aside" }, handler: poison },
      telemetry,
    );
    await scene.world.run(3_000, () => false);
    const b = scene.member("b", { instanceId: "a", assignor: "range" });
    assert.ok(await scene.world.run(60_000, () => scene.settled()));
    assert.deepEqual([scene.offsets(0, "a"), scene.offsets(0, "b")], [range(0, 2), range(2, 5)]);
    assert.ok(scene.told.includes("a revoked 0"), scene.told.join("; "));
    assert.ok(!scene.told.some((each) => each.startsWith("a lost")), scene.told.join("; "));
    assert.ok(said.length > 0, "it was said why");
    await scene.world.until(Promise.all([a.consumer.close(), b.consumer.close()]));
  });

  it("gives up a partition whose handler does not come back, and handles its record again as another member", async () => {
    const scene = new Scene(10, 2);
    scene.fill(5);
    let stuck = true;
    let reason: unknown;
    const a = scene.member(
      "a",
      {},
      {
        handlerTimeoutMs: 5_000,
        handler: (record, { signal }) => {
          if (record.partition !== 1 || record.offset !== 2 || !stuck) return undefined;
          signal.addEventListener("abort", () => {
            reason = signal.reason;
          });
          stuck = false;
          return new Promise(() => undefined);
        },
      },
    );
    await scene.world.run(1_000, () => false);
    const [before] = scene.cluster.members("g");
    assert.ok(await scene.world.run(30_000, () => scene.settled()));
    assert.ok(reason instanceof HandlerTimedOut && reason.offset === 2);
    assert.deepEqual(scene.offsets(0), range(0, 5));
    assert.deepEqual(scene.offsets(1), range(0, 5));
    assert.notEqual(scene.cluster.members("g")[0], before);
    assert.ok(scene.told.includes("a lost 1 HANDLER_TIMED_OUT"), scene.told.join("; "));
    await scene.world.until(a.consumer.close());
  });

  it("tells the others of a member that begins anew that they are asked back, not that the consumer is closed", async () => {
    const scene = new Scene(10, 2);
    scene.fill(3);
    const reasons: unknown[] = [];
    let stuck = true;
    const a = scene.member(
      "a",
      {},
      {
        handlerTimeoutMs: 5_000,
        concurrency: 2,
        handler: async (record, { signal }) => {
          if (!stuck) return;
          if (record.partition === 1) await new Promise(() => undefined);
          if (record.offset === 1) {
            signal.addEventListener("abort", () => reasons.push(signal.reason));
            await scene.sleep(4_900);
          }
          if (record.offset === 0) await scene.sleep(2_000);
        },
      },
    );
    await scene.world.run(6_000, () => reasons.length > 0);
    stuck = false;
    assert.deepEqual(
      reasons.map((reason) => (reason as MillraceError).code),
      ["PARTITION_NOT_OWNED"],
    );
    assert.ok(await scene.world.run(30_000, () => scene.settled()));
    assert.deepEqual([scene.offsets(0), scene.offsets(1)], [range(0, 3), range(0, 3)]);
    await scene.world.until(a.consumer.close());
  });

  it("begins where the options say when nothing is committed, and an end is committed at once", async () => {
    const scene = new Scene(11, 1);
    scene.fill(5);
    const end = scene.member("end", { startWithoutCommit: "end" });
    assert.ok(
      await scene.world.run(10_000, () => scene.cluster.committed("g", "t")[0] === 5),
      "what comes next is not left out by the next start",
    );
    const { term } = scene.cluster.coordinator.group("g").offsets.get(scene.cluster.topicId("t") as TopicId, 0) ?? {};
    assert.equal(term, 1, "of the leader that told the end: a log that is written anew below it is found out");
    scene.fill(1);
    assert.ok(await scene.world.run(20_000, () => scene.settled()));
    assert.deepEqual(scene.offsets(0), [5]);
    await scene.world.until(end.consumer.close());
    const fail = scene.member("fail", { group: "h", startWithoutCommit: "fail" });
    await assert.rejects(scene.world.until(fail.done), NoCommittedOffset);
  });

  it("fails when the log does not hold the committed offset any more, and goes on at its start only where that is asked for", async () => {
    const scene = new Scene(12, 1);
    scene.fill(10);
    const [log] = scene.cluster.logs("t");
    const first = scene.member("a");
    assert.ok(await scene.world.run(20_000, () => scene.settled()));
    await scene.world.until(first.consumer.close());
    scene.fill(10);
    if (log !== undefined) log.logStart = 15;
    const fails = scene.member("b");
    await assert.rejects(scene.world.until(fails.done), OffsetOutOfRange);
    assert.deepEqual(scene.cluster.committed("g", "t"), [10]);
    const goesOn = scene.member("c", { outOfRange: "start" });
    assert.ok(await scene.world.run(scene.world.now + 20_000, () => scene.settled()));
    assert.deepEqual(scene.offsets(0, "c"), range(15, 20));
    await scene.world.until(goesOn.consumer.close());
  });

  it("commits only what the application says in manual mode, and never beyond what it was handed", async () => {
    const scene = new Scene(13, 1);
    scene.fill(10);
    const errors: unknown[] = [];
    const a = scene.member(
      "a",
      { autoCommit: false },
      {
        handler: async (record) => {
          if (record.offset === 4) await a.consumer.commit([{ topic: "t", partition: 0, offset: 5 }]);
          if (record.offset === 6)
            await a.consumer.commit([{ topic: "t", partition: 0, offset: 8 }]).catch((error: unknown) => errors.push(error));
          if (record.offset === 7)
            await a.consumer.commit([{ topic: "t", partition: 9, offset: 1 }]).catch((error: unknown) => errors.push(error));
        },
      },
    );
    assert.ok(await scene.world.run(20_000, () => scene.offsets(0).length === 10));
    await scene.world.run(scene.world.now + 5_000, () => false);
    assert.deepEqual(scene.cluster.committed("g", "t"), [5]);
    assert.ok(code("INVALID_REQUEST")(errors[0]) && code("PARTITION_NOT_OWNED")(errors[1]));
    await scene.world.until(a.consumer.commit());
    assert.deepEqual(scene.cluster.committed("g", "t"), [10]);
    await scene.world.until(a.consumer.close());
  });

  it("hands out nothing of a paused partition, and keeps it", async () => {
    const scene = new Scene(14, 2);
    const a = scene.member("a");
    await scene.world.run(1_000, () => a.consumer.partitions.length === 2);
    a.consumer.pause([{ topic: "t", partition: 0 }]);
    scene.fill(5);
    await scene.world.run(10_000, () => false);
    assert.deepEqual([scene.offsets(0), scene.offsets(1)], [[], range(0, 5)]);
    assert.equal(a.consumer.partitions.length, 2);
    a.consumer.resume([{ topic: "t", partition: 0 }]);
    assert.ok(await scene.world.run(scene.world.now + 5_000, () => scene.settled()));
    await scene.world.until(a.consumer.close());
  });

  it("lives by single calls where streams do not get through", async () => {
    const scene = new Scene(15, 2);
    scene.cluster.takesSessions = false;
    scene.fill(5);
    const a = scene.member("a");
    assert.ok(await scene.world.run(20_000, () => scene.settled()));
    await scene.world.run(50_000, () => false);
    assert.ok(scene.cluster.unary > 8);
    assert.deepEqual(scene.told, ["a assigned 0,1"]);
    scene.cluster.takesSessions = true;
    await scene.world.run(80_000, () => scene.cluster.sessions > 0);
    assert.equal(scene.cluster.sessions, 1, "streams are tried again now and then");
    await scene.world.until(a.consumer.close());
  });

  it("keeps what it has over brokers that die", async () => {
    const scene = new Scene(16, 3);
    scene.fill(100);
    const a = scene.member("a", {}, { handler: () => scene.sleep(50) });
    for (const address of scene.cluster.addresses) {
      await scene.world.run(scene.world.now + 2_000, () => false);
      scene.cluster.kill(address);
      for (const log of scene.cluster.logs("t")) scene.cluster.moveLeader(log);
      await scene.world.run(scene.world.now + 2_000, () => false);
      scene.cluster.restart(address);
    }
    assert.ok(await scene.world.run(60_000, () => scene.settled()));
    assert.deepEqual(scene.told, ["a assigned 0,1,2"]);
    for (let partition = 0; partition < 3; partition++) assert.deepEqual(scene.offsets(partition), range(0, 100));
    await scene.world.until(a.consumer.close());
  });

  it("a static member that comes back takes its partitions over; two processes of one instance wait or stop", async () => {
    const scene = new Scene(17, 2);
    scene.fill(5);
    const a = scene.member("a", { instanceId: "i" });
    const b = scene.member("b", { instanceId: "j" });
    assert.ok(await scene.world.run(20_000, () => scene.settled() && scene.told.length >= 3));
    await scene.world.until(a.consumer.close());
    scene.told.length = 0;
    const c = scene.member("c", { instanceId: "i" });
    await scene.world.run(scene.world.now + 10_000, () => false);
    assert.equal(c.consumer.partitions.length, 1);
    assert.ok(
      scene.told.every((what) => what.startsWith("c assigned")),
      scene.told.join("; "),
    );
    await scene.world.until(Promise.all([b.consumer.close({ forGood: true }), c.consumer.close({ forGood: true })]));
    assert.deepEqual(scene.cluster.members("g"), []);
  });

  it("waits while another process has its instance id, and says so", async () => {
    const scene = new Scene(21, 1);
    const a = scene.member("a", { instanceId: "i" });
    await scene.world.run(1_000, () => a.consumer.partitions.length === 1);
    const said: string[] = [];
    const b = scene.member(
      "b",
      { instanceId: "i" },
      {},
      {
        ...silentTelemetry,
        log: (_, event, fields) => void said.push(`${event} ${String(Object(fields)["code"])}`),
      },
    );
    await scene.world.run(scene.world.now + 5_000, () => false);
    assert.ok(said.includes("consumer.heartbeat_failed INSTANCE_ID_IN_USE"), said.join("; "));
    assert.deepEqual(b.consumer.partitions, []);
    await scene.world.until(a.consumer.close());
    assert.ok(await scene.world.run(scene.world.now + 5_000, () => b.consumer.partitions.length === 1));
    await scene.world.until(b.consumer.close());
  });

  it("ends when another process has taken the place of its instance id, and says what to do: nothing of it counts any more", async () => {
    const scene = new Scene(22, 1);
    scene.fill(3);
    let fired: unknown;
    const a = scene.member(
      "a",
      { instanceId: "i" },
      {
        handler: async ({ offset }, { signal }) => {
          if (offset !== 1) return;
          signal.addEventListener("abort", () => {
            fired = signal.reason;
          });
          await scene.sleep(120_000);
        },
      },
    );
    assert.ok(await scene.world.run(10_000, () => scene.offsets(0, "a").length === 1 && scene.cluster.committed("g", "t")[0] === 1));
    const [former = ""] = scene.cluster.members("g");
    // Its machine hangs for longer than its session; whoever watches it starts it anew on another one.
    scene.cluster.cut(former);
    const b = scene.member("b", { instanceId: "i" });
    assert.ok(await scene.world.run(scene.world.now + 60_000, () => b.consumer.partitions.length === 1));
    const [successor = ""] = scene.cluster.members("g");
    assert.notEqual(successor, former);
    assert.equal(fired, undefined, "it has heard of nothing yet");
    scene.cluster.mend(former);
    let ended: unknown;
    a.done.catch((error: unknown) => {
      ended = error;
    });
    assert.ok(await scene.world.run(scene.world.now + 20_000, () => ended !== undefined), "run rejects while its handler still works");
    assert.ok(ended instanceof MillraceError && ended.code === "INSTANCE_FENCED", String(ended));
    assert.match(ended.message, /^Instance i of group g is member .* now: .*; stop this one$/);
    assert.equal(ended.metadata["member_id"], successor);
    assert.ok(code("INSTANCE_FENCED")(fired), String(fired));
    assert.ok(scene.told.includes("a lost 0 INSTANCE_FENCED"), scene.told.join("; "));
    assert.deepEqual(a.consumer.partitions, []);
    assert.ok(await scene.world.run(scene.world.now + 20_000, () => scene.settled()));
    assert.deepEqual(scene.offsets(0, "b"), [1, 2], "its successor goes on where it had committed");
    assert.deepEqual(scene.cluster.members("g"), [successor]);
    // Who ended of this does not take the place back, and leaves nobody's group.
    await scene.world.until(a.consumer.close());
    assert.deepEqual(scene.cluster.members("g"), [successor]);
    await scene.world.until(b.consumer.close());
  });

  it("never says that it gave back what a handler still works on: it is thrown out instead, and nothing of that counts", async () => {
    const scene = new Scene(22, 1);
    scene.fill(2);
    let fired = 0;
    const handler = async (_: unknown, { signal }: HandlerContext): Promise<void> => {
      signal.addEventListener("abort", () => fired++);
      await scene.sleep(20_000);
    };
    const a = scene.member("a", { instanceId: "z", assignor: "range", rebalanceTimeoutMs: 5_000 }, { handler });
    await scene.world.run(1_000, () => false);
    const b = scene.member("b", { instanceId: "a", assignor: "range" });
    await scene.world.run(4_000, () => false);
    assert.deepEqual([a.consumer.partitions.length, b.consumer.partitions.length, fired], [1, 0, 1]);
    assert.ok(await scene.world.run(15_000, () => scene.settled()));
    assert.deepEqual(
      scene.handled.map(({ by, offset }) => [by, offset]),
      [
        ["b", 0],
        ["b", 1],
      ],
    );
    assert.ok(scene.told.includes("a lost 0 UNKNOWN_MEMBER"), scene.told.join("; "));
    await scene.world.until(Promise.all([a.consumer.close(), b.consumer.close()]));
  });

  it("is a loop over records: each is done with when the next is asked for, and the last one is not", async () => {
    const scene = new Scene(18, 2);
    scene.fill(10);
    const consumer = scene.client().consumer({ group: "g" });
    const seen: number[] = [];
    const read = (async () => {
      for await (const record of consumer.records({ topics: ["t"] })) {
        seen.push(record.offset);
        if (seen.length === 20) break;
      }
    })();
    await scene.world.until(read);
    const committed = scene.cluster.committed("g", "t").map((offset) => offset ?? 0);
    assert.equal((committed[0] ?? 0) + (committed[1] ?? 0), 19);
    assert.deepEqual(scene.cluster.members("g"), []);
  });

  it("works on at most so many partitions at the same time, and never on one twice", async () => {
    const scene = new Scene(19, 6);
    scene.fill(20);
    let working = 0;
    let most = 0;
    const partitions = new Set<number>();
    let twice = false;
    const a = scene.member(
      "a",
      {},
      {
        concurrency: 3,
        handler: async (record) => {
          twice ||= partitions.has(record.partition);
          partitions.add(record.partition);
          most = Math.max(most, ++working);
          await scene.sleep(3);
          working--;
          partitions.delete(record.partition);
        },
      },
    );
    assert.ok(await scene.world.run(20_000, () => scene.settled()));
    assert.equal(most, 3);
    assert.ok(!twice);
    await scene.world.until(a.consumer.close());
  });

  it("refuses options that mean nothing, by name", () => {
    const scene = new Scene(20, 1);
    const client = scene.client();
    assert.throws(() => client.consumer({ group: "" }), code("INVALID_REQUEST"));
    assert.throws(() => client.consumer({ group: "g", commitIntervalMs: 0 }), /commitIntervalMs/);
    assert.throws(() => client.consumer({ group: "g", rebalanceTimeoutMs: -1 }), /rebalanceTimeoutMs/);
  });
});
