import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { GroupLog, LogStore } from "../../src/log/types.ts";
import { append, draft, EMPTY, group, index, noop, replica, term, text } from "./frames.ts";
import { KiB, Machine } from "./machine.ts";

const FRAME = 4 * KiB;

async function make(machine: Machine, store: LogStore, groupId: number): Promise<GroupLog> {
  return machine.run(store.create(group(groupId), replica(groupId), EMPTY, text("")));
}

/** Appends records that nobody commits for as long as there is room. @returns how many */
async function fill(machine: Machine, store: LogStore, log: GroupLog): Promise<number> {
  let frames = 0;
  for (; frames < 1_000 && store.takes(FRAME + 200); frames += 1) {
    await machine.run(new Promise<void>((durable) => append(log, term(1), [draft(frames, FRAME)], durable)));
  }
  assert.ok(!store.takes(FRAME + 200), "the ring is full");
  return frames;
}

function vote(log: GroupLog, at: number): Promise<void> {
  return new Promise((durable) => {
    log.write({ state: { term: term(at), votedFor: replica(1) }, truncateFrom: undefined, frames: [] }, durable);
  });
}

// FS18
describe("a ring full of frames that cannot be committed", () => {
  it("takes every frame that it said there was room for, whatever else is in line", async () => {
    const machine = new Machine(11);
    const store = await machine.open();
    const [log, other] = [await make(machine, store, 1), await make(machine, store, 2)];
    let waiting = 0;
    let frames = 0;
    // Many at a time: what stands in line counts too.
    for (let at = 1; frames < 500 && store.takes(FRAME + 200); at += 1) {
      for (let n = 0; n < 7 && store.takes(FRAME + 200); n += 1, frames += 1) {
        waiting += 2;
        append(log, term(1), [draft(frames, FRAME)], () => {
          waiting -= 1;
        });
        void vote(other, at).then(() => {
          waiting -= 1;
        });
      }
      await machine.run(vote(other, at));
    }
    await machine.settle();
    assert.equal(waiting, 0);
    assert.ok(frames > 5, `${frames} frames`);
  });

  it("still makes votes, no-ops and truncations durable, and has room again when the frames are cut", async () => {
    const machine = new Machine(12);
    const store = await machine.open();
    const [log, other] = [await make(machine, store, 1), await make(machine, store, 2)];
    const frames = await fill(machine, store, log);
    assert.ok(frames > 5, `${frames} frames`);
    for (let at = 2; at < 10; at += 1) await machine.run(vote(other, at));
    await machine.run(new Promise<void>((durable) => append(other, term(9), [noop()], durable)));
    await machine.run(vote(log, 9));

    machine.crash(true);
    const again = await machine.open();
    const recovered = new Map(again.recovered.map((one) => [one.groupId as number, one]));
    assert.equal(recovered.get(1)?.term, 9);
    assert.equal(recovered.get(1)?.lastIndex, frames);
    assert.equal(recovered.get(2)?.term, 9);
    assert.equal(recovered.get(2)?.lastIndex, 1);
    const [cut, voted] = [again.open(group(1)), again.open(group(2))];
    for (let at = 10; at < 14; at += 1) await machine.run(vote(voted, at));
    await machine.run(
      new Promise<void>((durable) => {
        cut.write({ state: undefined, truncateFrom: index(1), frames: [] }, durable);
      }),
    );
    await machine.settle();
    assert.ok(again.takes(FRAME + 200), "there is room again");
    await machine.run(again.close());
    assert.deepEqual(machine.failures, []);
  });

  it("takes no more for a truncation that is not durable: until it is, a start needs what it cuts", async () => {
    const machine = new Machine(16);
    const store = await machine.open();
    const log = await make(machine, store, 1);
    await fill(machine, store, log);
    log.write({ state: undefined, truncateFrom: index(1), frames: [] }, () => {});
    assert.equal(store.uncommittedBytes, 0);
    assert.ok(!store.takes(FRAME + 200), "what was cut keeps its files");
    await machine.settle();
    assert.ok(store.takes(FRAME + 200));
    await machine.run(store.close());
    assert.deepEqual(machine.failures, []);
  });

  it("has room again when the frames are committed after all", async () => {
    const machine = new Machine(13);
    const store = await machine.open();
    const log = await make(machine, store, 1);
    const frames = await fill(machine, store, log);
    log.commit(index(frames));
    await machine.settle();
    // Asking is what makes it look for files to free.
    store.takes(FRAME + 200);
    await machine.settle();
    assert.ok(store.takes(FRAME + 200));
    await machine.run(store.close());
  });

  it("does not keep the log from being closed; what was durable is there afterwards", async () => {
    const machine = new Machine(14);
    const store = await machine.open();
    const log = await make(machine, store, 1);
    let durable = 0;
    // Against the rules: nobody asked whether there is room.
    for (let n = 1; n <= 100; n += 1)
      append(log, term(1), [draft(n, FRAME)], () => {
        durable = n;
      });
    await machine.settle();
    assert.ok(durable > 10 && durable < 100, `${durable} of 100 are durable`);
    await machine.run(store.close());
    assert.deepEqual(machine.failures, []);
    const again = await machine.open();
    const [recovered] = again.recovered;
    assert.ok(recovered !== undefined && recovered.lastIndex >= durable, `${recovered?.lastIndex} of ${durable}`);
    await machine.run(again.close());
  });

  it("is closed and opened many times, and still takes votes", async () => {
    const machine = new Machine(15);
    let store = await machine.open();
    const frames = await fill(machine, store, await make(machine, store, 1));
    for (let at = 2; at < 12; at += 1) {
      await machine.run(store.close());
      store = await machine.open();
      const log = store.open(group(1));
      assert.equal(log.lastIndex, frames);
      await machine.run(vote(log, at));
    }
    await machine.run(store.close());
  });
});
