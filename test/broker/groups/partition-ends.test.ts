import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MillraceError } from "../../../src/base/errors.ts";
import { PartitionEnds } from "../../../src/broker/groups/calls/partition-ends.ts";
import type { OffsetsOf } from "../../../src/broker/services/log-service.ts";
import { HandClock } from "./coordinator-run.ts";

const PLACES = 256;

/** Leaders that answer when they are told to. */
class Leaders {
  readonly clock = new HandClock();
  readonly asked: { readonly partition: number; readonly answer: (outcome: OffsetsOf | MillraceError) => void }[] = [];
  given = 0;
  readonly ends = new PartitionEnds({
    clock: this.clock,
    resolve: (topic, partition) => ({ topic, partition, groupId: 7, maxMessageBytes: 1_048_576 }),
    offsets: ({ partition }, _time, _options, answer) => {
      this.asked.push({ partition, answer });
      return () => {
        this.given += 1;
      };
    },
    here: () => undefined,
  });

  /** @returns where it is said how the question ended */
  ask(partition: number, withinMs: number): { said: string | undefined } {
    const answer: { said: string | undefined } = { said: undefined };
    this.ends.of("t", partition, {}, { deadline: this.clock.monotonic() + withinMs }).then(
      () => {
        answer.said = "ok";
      },
      (error: MillraceError) => {
        answer.said = error.code;
      },
    );
    return answer;
  }

  async pass(ms: number): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    this.clock.pass(ms);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe("Questions of coordinators to leaders that hang", () => {
  it("do not keep another one waiting beyond its deadline, and take no longer than ten seconds each", async () => {
    const leaders = new Leaders();
    const slow = Array.from({ length: PLACES }, (_, partition) => leaders.ask(partition, 600_000));
    const hurried = leaders.ask(1_000, 1_000);
    await leaders.pass(999);
    assert.equal(hurried.said, undefined);
    await leaders.pass(1);
    assert.equal(hurried.said, "DEADLINE_PASSED");
    assert.equal(leaders.asked.length, PLACES);
    await leaders.pass(9_000);
    assert.ok(slow.every(({ said }) => said === "DEADLINE_PASSED"));
    assert.equal(leaders.given, PLACES, "nothing is left of them");
  });

  it("take turns: who has waited longest is next, and who has gone is not", async () => {
    const leaders = new Leaders();
    for (let partition = 0; partition < PLACES; partition += 1) leaders.ask(partition, 600_000);
    leaders.ask(1_000, 5);
    leaders.ask(1_001, 5_000);
    leaders.ask(1_002, 5_000);
    await leaders.pass(10);
    for (const { answer } of leaders.asked.slice(0, 2)) answer(new MillraceError("LEADER_UNKNOWN", "for a test"));
    await leaders.pass(0);
    assert.deepEqual(
      leaders.asked.slice(PLACES).map(({ partition }) => partition),
      [1_001, 1_002],
    );
  });
});
