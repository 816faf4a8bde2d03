import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MillraceError } from "../../src/base/errors.ts";
import type { ReplicaId } from "../../src/base/ids.ts";
import { FullDiskHandover, type HandedOver } from "../../src/broker/full-disk-handover.ts";
import { SimClock } from "../../src/testing/sim/clock.ts";
import { SimProcess } from "../../src/testing/sim/process.ts";
import { Scheduler } from "../../src/testing/sim/scheduler.ts";

const successor = 2 as ReplicaId;

/** A broker that leads so many partitions; each is handed over, or fails to be, as `outcome` says. */
function leading(partitions: number) {
  const scheduler = new Scheduler(1);
  const clock = new SimClock(new SimProcess(scheduler, "broker"));
  let changed = (): void => {};
  const onChange = (listener: () => void): void => {
    changed = listener;
  };
  const space = { full: false, freeBytes: 0, reserveBytes: 1, onChange };
  const led = new Set(Array.from({ length: partitions }, (_, n) => `t-${n}`));
  const moves: string[] = [];
  const said: string[] = [];
  const open: (() => void)[] = [];
  const run = { works: true, answers: true };
  const handed = (): readonly HandedOver[] =>
    [...led].map((name) => ({
      name,
      successor,
      transfer: (_to, done) => {
        moves.push(name);
        const answer = (): void => {
          if (run.works) led.delete(name);
          done(run.works ? "started" : new MillraceError("TRANSFER_FAILED", `${name}: it did not work out`));
        };
        if (run.answers) answer();
        else open.push(answer);
      },
    }));
  const telemetry = { log: (_level: string, event: string) => void said.push(event), count() {}, observe() {} };
  const handover = new FullDiskHandover(clock, telemetry, space, handed);
  const setFull = (full: boolean): void => {
    space.full = full;
    changed();
  };
  const pass = (ms: number) => scheduler.run(scheduler.now + ms);
  return { setFull, pass, led, moves, said, open, run, handover };
}

describe("A broker whose disk is full", () => {
  it("hands its partitions over after a second, not for a moment without room", async () => {
    const { setFull, pass, moves, said } = leading(3);
    setFull(true);
    await pass(900);
    setFull(false);
    await pass(5_000);
    assert.deepEqual(moves, []);
    setFull(true);
    await pass(1_100);
    assert.deepEqual(
      [moves, said],
      [
        ["t-0", "t-1", "t-2"],
        ["disk.handed_over", "disk.handed_over", "disk.handed_over"],
      ],
    );
  });

  it("does so a few at a time", async () => {
    const { setFull, pass, moves, open, run } = leading(40);
    run.answers = false;
    setFull(true);
    await pass(3_500);
    assert.equal(moves.length, 16);
    for (const answer of open.splice(0)) answer();
    await pass(1_100);
    assert.equal(moves.length, 32);
  });

  it("hands one that came back over again only after a while: two disks that fill in turns do not toss it between them", async () => {
    const { setFull, pass, moves, led } = leading(1);
    setFull(true);
    for (let i = 0; i < 20; i += 1) {
      await pass(1_100);
      led.add("t-0");
    }
    assert.deepEqual(moves, ["t-0"]);
    await pass(12_000);
    assert.deepEqual(moves, ["t-0", "t-0"]);
  });

  it("tries again some seconds after it did not work out, and never once it stops", async () => {
    const { setFull, pass, moves, run, handover, said } = leading(1);
    run.works = false;
    setFull(true);
    await pass(5_500);
    assert.equal(moves.length, 1);
    await pass(2_000);
    assert.equal(moves.length, 2);
    handover.close();
    await pass(60_000);
    setFull(true);
    await pass(5_000);
    assert.deepEqual([moves.length, said], [2, []]);
  });
});
