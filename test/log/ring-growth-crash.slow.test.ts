import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { append, draft, EMPTY, group, index, noop, replica, term, text } from "./frames.ts";
import { KiB, Machine } from "./machine.ts";

const options = { walFilesMax: 4, walFileBytes: 64 * KiB, segmentBytes: 8 * KiB };

/**
 * A ring of the least files grows for a group of which nothing is committed, beside one of which all is; from then on the broker dies in the
 * disk operation `after`. What was durable is there afterwards, a no-op gets through, and when all is committed there is room.
 *
 * @returns whether it came so far
 */
async function once(after: number, power: boolean): Promise<boolean> {
  const machine = new Machine(after);
  let store = await machine.open(options);
  let stuck = await machine.run(store.create(group(1), replica(1), EMPTY, text("")));
  let other = await machine.run(store.create(group(2), replica(2), EMPTY, text("")));
  const { scheduler, device } = machine;
  const tick = (ms: number) => scheduler.run(scheduler.now + ms);
  const durable = new Map<number, number>();
  let serial = 0;
  let crashed = false;
  let operations = 0;
  let watching = false;
  device.watch = () => {
    if (!watching || crashed) return;
    operations += 1;
    if (operations < after) return;
    crashed = true;
    machine.crash(power);
  };
  const offer = (log: typeof stuck): void => {
    if (crashed) return;
    const inherited = log === stuck ? { groupId: log.groupId, term: term(2), index: index(log.lastIndex + 1) } : undefined;
    if (!store.takes(3_900, inherited)) {
      if (inherited !== undefined) store.refusedAppend(inherited);
      return;
    }
    const at = log.lastIndex + 1;
    serial += 1;
    append(log, term(1), [draft(serial, 3_700)], () => durable.set(log.groupId, at));
  };
  for (let look = 0; look < 400 && !crashed; look += 1) {
    offer(stuck);
    if (crashed) break;
    if (look % 3 === 0) offer(other);
    await tick(30);
    if (crashed) break;
    // One behind: something is always on its way.
    if (other.lastIndex > 1) other.commit((other.lastIndex - 1) as typeof other.lastIndex);
    if (store.walFilesMax > 4) watching = true;
    await tick(30);
  }
  if (!crashed) return false;
  device.watch = undefined;
  await tick(0);
  store = await machine.open(options);
  stuck = store.open(group(1));
  other = store.open(group(2));
  for (const log of [stuck, other]) {
    assert.ok(log.lastIndex >= (durable.get(log.groupId) ?? 0), `after ${after}: group ${log.groupId} ends at ${log.lastIndex}`);
    let done = false;
    append(log, term(3), [noop()], () => {
      done = true;
    });
    await tick(60_000);
    assert.ok(done, `after ${after}: a no-op waits for ever`);
    log.commit(log.lastIndex);
  }
  for (let n = 0; n < 20 && !store.takes(3_900); n += 1) await tick(1_000);
  assert.ok(store.takes(3_900), `after ${after}, ${store.walFilesUsed} of ${store.walFilesMax}: no room`);
  assert.ok(store.walFilesMax <= 9, `${store.walFilesMax} files`);
  await machine.run(store.close());
  assert.deepEqual(machine.failures, []);
  return true;
}

describe("A ring that grows", () => {
  for (const power of [false, true])
    it(`starts again wherever ${power ? "the power goes" : "the process ends"}`, async () => {
      let crashes = 0;
      for (let after = 1; after <= 150; after += 1) if (await once(after, power)) crashes += 1;
      assert.ok(crashes > 50, `${crashes} crashes`);
    });
});
