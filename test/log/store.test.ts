import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { GroupLog } from "../../src/log/types.ts";
import type { Frame } from "../../src/records/frame-types.ts";
import { append, draft, EMPTY, group, index, noop, replica, term, text } from "./frames.ts";
import { KiB, Machine } from "./machine.ts";

/** Reads everything in [from, upTo], whatever it lies in. */
async function readAll(machine: Machine, log: GroupLog, from = 1, upTo: number = log.lastIndex, maxBytes = 64 * KiB): Promise<Frame[]> {
  const frames: Frame[] = [];
  for (let next = from; next <= upTo; ) {
    const result = await machine.run(Promise.resolve(log.read(index(next), maxBytes, index(upTo))));
    assert.equal(result.kind, "frames");
    if (result.kind !== "frames") break;
    assert.ok(result.frames.length > 0, `nothing is read at ${next}`);
    frames.push(...result.frames);
    next = (frames.at(-1) as Frame).index + 1;
  }
  return frames;
}

function assertSame(actual: readonly Frame[], expected: readonly Frame[]): void {
  assert.deepEqual(
    actual.map((frame) => Buffer.from(frame.bytes).toString("base64")),
    expected.map((frame) => Buffer.from(frame.bytes).toString("base64")),
  );
}

describe("a log store", () => {
  it("gives back what was written, in memory and after a restart", async () => {
    const machine = new Machine();
    let store = await machine.open();
    let log = await machine.run(store.create(group(7), replica(3), EMPTY, text("config")));
    let durable = 0;
    log.write({ state: { term: term(4), votedFor: replica(3) }, truncateFrom: undefined, frames: [] }, () => durable++);
    const written = append(log, term(4), [noop(), draft(1), draft(2, 5000), draft(3, 0)], () => durable++);
    assert.equal(durable, 0);
    await machine.settle();
    assert.equal(durable, 2);
    assertSame(await readAll(machine, log), written);

    machine.crash();
    store = await machine.open();
    const [recovered] = store.recovered;
    assert.deepEqual(recovered, {
      groupId: 7,
      replicaId: 3,
      term: 4,
      votedFor: 3,
      start: EMPTY,
      terms: [{ term: 4, firstIndex: 1 }],
      lastIndex: 4,
      syncedIndex: 0,
      config: text("config"),
    });
    log = store.open(group(7));
    assertSame(await readAll(machine, log), written);
    assert.equal(log.endOffset, (written.at(-1)?.baseOffset ?? 0) + (written.at(-1)?.recordCount ?? 0));
    await machine.run(store.close());
    assert.deepEqual(machine.failures, []);
  });

  it("goes round the ring many times, and keeps every committed frame in segments", async () => {
    const machine = new Machine();
    let store = await machine.open();
    let log = await machine.run(store.create(group(7), replica(3), EMPTY, text("")));
    const written: Frame[] = [];
    for (let i = 0; i < 400; i += 1) {
      written.push(...append(log, term(1), [draft(i, 4000)]));
      if (i % 5 === 4) await machine.settle();
      log.commit(log.lastIndex);
    }
    await machine.settle();
    assert.deepEqual(machine.failures, []);
    assertSame(await readAll(machine, log), written);
    assert.ok(log.segmentBytes > 1000 * KiB, `${log.segmentBytes} bytes in segments`);

    machine.crash(true);
    store = await machine.open();
    log = store.open(group(7));
    assertSame(await readAll(machine, log), written);
    log.commit(index(400));
    await machine.run(store.close());
    store = await machine.open();
    log = store.open(group(7));
    assertSame(await readAll(machine, log), written);
    assert.equal(store.recovered[0]?.syncedIndex, 400);
  });
});
