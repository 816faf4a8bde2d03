import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { obeyTrim } from "../../../src/broker/repair/obey-trim.ts";
import type { GroupLog } from "../../../src/log/types.ts";
import type { Frame } from "../../../src/records/frame-types.ts";
import { FRAMES, file, peer, producersOf, segmentPaths, twoGroups, unpaced } from "../../log/damaged.ts";
import { append, fromProducer, group, index, offset, term } from "../../log/frames.ts";
import { KiB, type Machine } from "../../log/machine.ts";

interface Damaged {
  readonly machine: Machine;
  readonly frames: readonly Frame[];
  readonly log: GroupLog;
  /** Of the damaged segments, the last one. */
  readonly lastIndex: number;
  readonly endOffset: number;
}

/** The first segment is gone, and a frame of the second one is bad. */
async function damaged(): Promise<Damaged> {
  const { machine, frames } = await twoGroups();
  const [first, second] = segmentPaths(machine);
  await machine.run(machine.disk.unlink(first as string));
  file(machine, second as string).flipBit(20_000, 2);
  const log = (await machine.open()).open(group(7));
  await machine.run(log.scrub(unpaced));
  const span = log.segments[1];
  assert.ok(span !== undefined && log.holes.length === 2);
  return { machine, frames, log, lastIndex: span.lastIndex, endOffset: span.endOffset };
}

function obeying(log: GroupLog, snapshot?: number) {
  return { log, snapshotAt: () => (snapshot === undefined ? undefined : index(snapshot)), passedOver: index(0) };
}

async function assertBehind({ machine, frames, lastIndex }: Damaged, log: GroupLog): Promise<void> {
  assert.equal(log.start.index, lastIndex);
  assert.deepEqual(log.holes, []);
  const found: number[] = [];
  for (let next = lastIndex + 1; next <= log.lastIndex; next = (found.at(-1) ?? 0) + 1) {
    const read = await machine.run(Promise.resolve(log.read(index(next), 64 * KiB, log.lastIndex)));
    assert.ok(read.kind === "frames" && read.frames.length > 0);
    for (const frame of read.frames) assert.ok(Buffer.from(frame.bytes).equals(Buffer.from(frames[frame.index - 1]?.bytes ?? [])));
    found.push(...read.frames.map((frame) => frame.index));
  }
  assert.equal(found.length, FRAMES - lastIndex);
}

describe("A trim that other replicas obeyed", () => {
  it("moves the start behind what is damaged here, wherever it is cut off by a crash", async () => {
    for (const power of [false, true]) {
      let finished = false;
      for (let stop = 1; !finished; stop += 1) {
        const of = await damaged();
        const { machine, log } = of;
        const known = producersOf(log);
        let operations = 0;
        machine.device.watch = () => {
          operations += 1;
          if (operations === stop) machine.crash(power);
        };
        assert.equal(obeyTrim(obeying(log), { index: index(of.lastIndex), offset: offset(of.endOffset) }), of.lastIndex);
        await machine.settle();
        machine.device.watch = undefined;
        finished = operations < stop;
        if (finished) await assertBehind(of, log);
        machine.crash(power);
        const again = (await machine.open()).open(group(7));
        // Known, or not said yet: then it is obeyed as it was.
        if (again.start.index === 0) {
          assert.equal(again.startOffset, 0);
          obeyTrim(obeying(again), { index: index(of.lastIndex), offset: offset(of.endOffset) });
          await machine.settle();
        }
        await assertBehind(of, again);
        assert.deepEqual(producersOf(again), known);
        append(again, term(9), [fromProducer(40, 1_000)]);
        again.commit(again.lastIndex);
        await machine.settle();
        assert.deepEqual(machine.failures, []);
        assert.ok(stop < 30);
      }
    }
  });

  it("moves nothing that is not gone there, not passed over by it, or not committed here", async () => {
    const { machine, log, frames, lastIndex, endOffset } = await damaged();
    for (const [at, to] of [
      // Begins before what is damaged, or within it.
      [0, 0],
      [lastIndex, (log.segments[0]?.endOffset ?? 0) - 1],
      // Further than anything that is committed here.
      [FRAMES + 1, log.endOffset + 1],
    ] as const) {
      assert.equal(obeyTrim(obeying(log), { index: index(at), offset: offset(to) }), undefined, `${at} ${to}`);
      await machine.settle();
      assert.deepEqual([log.start.index, log.startOffset, log.holes.length], [0, 0, 2]);
    }
    // The part that is passed over; the rest comes from there.
    const first = log.segments[0] ?? assert.fail();
    const part = { index: first.lastIndex as never, offset: first.endOffset };
    assert.equal(obeyTrim(obeying(log), part), first.lastIndex);
    await machine.settle();
    assert.deepEqual([log.start.index, log.startOffset, log.holes.length], [first.lastIndex, first.endOffset, 1]);
    assert.equal(await machine.run(log.repair(peer(frames))), true);
    assert.ok(endOffset > log.startOffset);
  });

  it("is not needed where a machine's own snapshot passes over it, and waits for one", async () => {
    const of = await damaged();
    const { machine, log, lastIndex } = of;
    // Whoever was asked has dropped the first few frames, and a trim to there is committed.
    const elsewhere = { index: index(lastIndex), offset: offset(1) };
    for (const snapshot of [undefined, 1]) assert.equal(obeyTrim(obeying(log, snapshot), elsewhere), undefined);
    // Not what the other one may still give.
    assert.equal(obeyTrim(obeying(log, lastIndex), { index: index(0), offset: offset(0) }), undefined);
    const told = { obeyTrim: () => true, dropTrimmed: () => {}, holes: log.holes, segments: log.segments };
    const part = { index: index((log.holes[1]?.first ?? 0) - 1), offset: offset(1) };
    assert.equal(obeyTrim({ ...obeying(log, lastIndex), log: told }, part), log.segments[0]?.lastIndex);
    const replica = obeying(log, lastIndex);
    assert.equal(obeyTrim(replica, elsewhere), lastIndex);
    assert.equal(replica.passedOver, lastIndex);
    await machine.settle();
    await assertBehind(of, log);
  });
});
