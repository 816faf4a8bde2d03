import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { peer, producersOf, unpaced } from "../../log/damaged.ts";
import { append, fromProducer, group, term } from "../../log/frames.ts";
import { assertBehind, DAMAGE, damaged, obey } from "./parted.ts";

describe("A hole in a segment that reaches above the trim the others obeyed (ADR 0009)", () => {
  for (const [what, damage] of DAMAGE) {
    it(`is closed without another trim, wherever a crash cuts that off: ${what}`, async () => {
      for (const power of [false, true]) {
        let finished = false;
        for (let stop = 1; !finished; stop += 1) {
          const of = await damaged(damage);
          const { machine, log } = of;
          const known = producersOf(log);
          let operations = 0;
          machine.device.watch = () => {
            operations += 1;
            if (operations === stop) machine.crash(power);
          };
          const obeyed = obey(of).catch(() => undefined);
          await machine.settle();
          machine.device.watch = undefined;
          finished = operations < stop;
          if (finished) {
            assert.equal(await obeyed, of.cut);
            await machine.settle();
            await assertBehind(of, log);
          }
          machine.crash(power);
          const again = (await machine.open()).open(group(7));
          // Known, or not said yet: then it is done as it was.
          if (again.start.index === 0) {
            await machine.run(again.scrub(unpaced));
            assert.equal(await obey(of, again), of.cut);
            await machine.settle();
          }
          await assertBehind(of, again);
          assert.equal(await machine.run(again.repair(peer(of.frames))), true);
          assert.deepEqual(producersOf(again), known);
          append(again, term(9), [fromProducer(40, 1_000)]);
          again.commit(again.lastIndex);
          await machine.settle();
          assert.deepEqual(machine.failures, []);
          assert.ok(stop < 60);
        }
      }
    });
  }
});
