import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type ErrorCode, MillraceError } from "../../../src/base/errors.ts";
import { type BrokerId, toBrokerId } from "../../../src/base/ids.ts";
import { GroupCalls } from "../../../src/broker/groups/calls/group-calls.ts";
import type { GroupCallParts } from "../../../src/broker/groups/calls/group-method.ts";
import { PartitionEnds } from "../../../src/broker/groups/calls/partition-ends.ts";
import type { RoutedCall } from "../../../src/broker/routing/router.ts";
import type { OffsetsOf, Target } from "../../../src/broker/services/log-service.ts";
import { FetchOffsetsRequest } from "../../../src/protocol/public.ts";
import { group } from "../../log/frames.ts";
import { CoordinatorRun } from "./coordinator-run.ts";

const ends: OffsetsOf = { logStartOffset: 0, highWatermark: 7, found: undefined, leaderId: toBrokerId(1), term: 1, sizeBytes: 0 };
const target = (topic: string, partition: number): Target => ({ topic, partition, groupId: 9, maxMessageBytes: 1 });

/** Lets promises settle. */
const settled = async (): Promise<void> => {
  for (let turns = 0; turns < 20; turns += 1) await Promise.resolve();
};

function calls(answers: ErrorCode[], via: "here" | "there") {
  const run = new CoordinatorRun();
  const routed: RoutedCall[] = [];
  const parts: GroupCallParts = {
    clock: run.clock,
    brokerId: toBrokerId(1),
    settings: run.settings,
    topics: run.topics,
    ends: new PartitionEnds({ clock: run.clock, resolve: target, offsets: () => () => {}, here: () => undefined }),
    committed: async () => [],
    barrier: async () => {},
  };
  const read = (done: (image: typeof run.view.image | undefined) => void) => {
    const code = answers.shift();
    done(code === undefined ? run.view.image : undefined);
    return () => {};
  };
  const groupCalls = new GroupCalls({
    parts,
    shards: {
      made: true,
      ensure: async () => {},
      groupOf: () => group(9),
      here: () => ({ leader: run.coordinator, read, view: run.view }),
    },
    router: {
      route(call) {
        routed.push(call);
        if (via === "here") call.runHere();
        else call.runThere(2 as BrokerId, call.fail, () => {});
        return () => {};
      },
    },
    links: {
      call(_broker, _method, _body, _ms, done) {
        const code = answers.shift();
        done(code === undefined ? { body: new Uint8Array() } : { error: new MillraceError(code, "as asked") });
        return () => {};
      },
    },
    forwardWaitMs: 2_000,
    failed: (error) => assert.fail(String(error)),
  });
  const ask = (name: "FetchOffsets" | "CommitOffsets") => {
    const outcome: { said: string | undefined } = { said: undefined };
    const until = { deadline: run.clock.monotonic() + 60_000 };
    groupCalls.call(name, "g", FetchOffsetsRequest.encode({ groupId: "g" }), { until, clientAddress: "c:1" }).then(
      () => {
        outcome.said = "ok";
      },
      (error: unknown) => {
        outcome.said = error instanceof MillraceError ? error.code : String(error);
      },
    );
    return outcome;
  };
  const pass = async (ms: number): Promise<void> => {
    for (let passed = 0; passed < ms; passed += 25) {
      await settled();
      run.clock.pass(25);
    }
    await settled();
  };
  return { ask, pass, routed };
}

describe("A call of a group", () => {
  it("that meets a coordinator in the act of moving is routed again, and its caller sees nothing of it", async () => {
    const { ask, pass, routed } = calls(["NOT_LEADER", "NOT_LEADER"], "here");
    const outcome = ask("FetchOffsets");
    await pass(200);
    assert.deepEqual([outcome.said, routed.length], ["ok", 3]);
  });

  it("is refused with what is known, once nobody has taken it for as long as calls are held", async () => {
    const { ask, pass } = calls(
      Array.from({ length: 1_000 }, () => "NOT_LEADER"),
      "here",
    );
    const outcome = ask("FetchOffsets");
    await pass(1_900);
    assert.equal(outcome.said, undefined);
    await pass(200);
    assert.equal(outcome.said, "LEADER_UNKNOWN");
  });

  it("is asked twice when the broker it was handed to is lost, if it only reads; else nobody knows what became of it", async () => {
    const reading = calls(["HOP_LOST"], "there");
    const read = reading.ask("FetchOffsets");
    await reading.pass(100);
    assert.deepEqual([read.said, reading.routed.length], ["ok", 2]);
    const writing = calls(["HOP_LOST"], "there");
    const written = writing.ask("CommitOffsets");
    await writing.pass(100);
    assert.deepEqual([written.said, writing.routed.length], ["HOP_LOST", 1]);
  });
});

describe("The ends of partitions", () => {
  it("are asked for 256 at a time, in order, and who goes leaves the line", async () => {
    const { clock } = new CoordinatorRun();
    const asked: number[] = [];
    const answers: (() => void)[] = [];
    const all = new PartitionEnds({
      clock,
      resolve: target,
      offsets: (of, _time, _options, done) => {
        asked.push(of.partition);
        answers.push(() => done(ends));
        return () => {};
      },
      here: () => undefined,
    });
    let go = (): void => {};
    const caller = {
      onCancel(run: () => void) {
        go = run;
        return () => {};
      },
    };
    const deadline = clock.monotonic() + 1_000;
    const results: Promise<unknown>[] = [];
    for (let partition = 0; partition < 256; partition += 1) results.push(all.of("t", partition, {}, { deadline }));
    const gone = all.of("t", 256, {}, { deadline, caller }).catch((error: unknown) => error);
    results.push(all.of("t", 257, {}, { deadline }), all.of("t", 258, {}, { deadline }));
    await settled();
    assert.equal(asked.length, 256);
    go();
    assert.ok((await gone) instanceof MillraceError);
    answers[0]?.();
    await settled();
    assert.deepEqual(asked.slice(256), [257], "one has its turn");
    for (let at = 1; at < answers.length; at += 1) answers[at]?.();
    await settled();
    for (const answer of answers.slice(257)) answer();
    await Promise.all(results);
    assert.equal(asked.length, 258);
  });
});
