import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MillraceError } from "../../../src/base/errors.ts";
import { toBrokerId } from "../../../src/base/ids.ts";
import { Repairer, type RepairPorts } from "../../../src/broker/repair/repairer.ts";
import { RangeRead } from "../../../src/protocol/routing.ts";
import { SimClock } from "../../../src/testing/sim/clock.ts";
import { FRAMES, peer, producersOf, segmentPaths } from "../../log/damaged.ts";
import { append, fromProducer, group, index, offset, term } from "../../log/frames.ts";
import { assertBehind, DAMAGE, damaged, elsewhere, obey } from "./parted.ts";

describe("A hole in a segment that reaches above the trim the others obeyed (ADR 0009)", () => {
  for (const [what, damage] of DAMAGE) {
    it(`is closed without another trim: ${what}`, async () => {
      const of = await damaged(damage);
      const { machine, log } = of;
      const known = producersOf(log);
      assert.equal(await obey(of), of.cut);
      await machine.settle();
      await assertBehind(of, log);
      append(log, term(9), [fromProducer(40, 1_000)]);
      log.commit(log.lastIndex);
      await machine.settle();
      machine.crash(true);
      const again = (await machine.open()).open(group(7));
      assert.deepEqual([again.start.index, again.holes, again.lastIndex], [of.cut, [], FRAMES + 1]);
      assert.deepEqual(
        [41, 42].map((id) => again.producers.get(id)),
        (known as unknown[]).slice(1),
      );
      assert.deepEqual(machine.failures, []);
    });
  }

  it("is closed by the repairer, by what it is told when it asks for the range", async () => {
    const [, damage] = DAMAGE[1] ?? assert.fail();
    const of = await damaged(damage);
    const { machine, log, frames, cut } = of;
    const where = { start_index: String(cut), log_start_offset: String(elsewhere(of).offset) };
    const replica = {
      groupId: group(7),
      core: { lastResort: false },
      log,
      passedOver: index(0),
      snapshotAt: () => undefined,
      holed: () => undefined,
    };
    const ports: RepairPorts = {
      clock: new SimClock(machine.process),
      telemetry: { log() {}, count() {}, observe() {} },
      links: {
        call: (_broker, _method, [body = new Uint8Array()], _timeout, done) => {
          const { from, to } = RangeRead.decode(body);
          const bytes = frames.slice(from - 1, Math.min(to, from + 4)).map((frame) => frame.bytes);
          done(from <= cut ? { error: new MillraceError("OFFSET_OUT_OF_RANGE", "", where) } : { body: Buffer.concat(bytes) });
          return () => {};
        },
      },
      bytesPerSecond: 0,
      replica: () => replica as never,
      others: () => [toBrokerId(2)],
      failed: assert.ifError,
    };
    const repairer = new Repairer(ports);
    repairer.holesChanged(group(7), log.holes);
    await machine.settle();
    await assertBehind(of, log);
    assert.equal(replica.core.lastResort, false);
    repairer.close();
  });

  it("stays while the trim does not pass over all of the head, or what is behind it cannot be had", async () => {
    const of = await damaged({ segment: 1, toTheEnd: true });
    const { machine, log, frames, cut } = of;
    const before = log.holes;
    assert.equal(await obey(of, log, offset((frames[cut]?.baseOffset ?? 0) - 1)), undefined);
    const nobody = async (): Promise<undefined> => undefined;
    assert.equal(await machine.run(log.part(index(cut), elsewhere(of).offset, nobody)), false);
    const few = Array.from({ length: FRAMES }, (_, i) => i + 1).filter((at) => at !== cut + 1);
    assert.equal(await machine.run(log.part(index(cut), elsewhere(of).offset, peer(frames, few))), false);
    await machine.settle();
    assert.deepEqual([log.start.index, log.startOffset, log.holes], [0, 0, before]);
    assert.ok(!segmentPaths(machine, ".repair").length);
  });
});
