import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { MillraceError } from "../../../src/base/errors.ts";
import { toBrokerId } from "../../../src/base/ids.ts";
import { silentTelemetry } from "../../../src/base/ports/telemetry.ts";
import type { IncomingCall } from "../../../src/broker/peers/peer-calls.ts";
import { serveRange } from "../../../src/broker/repair/range-read.ts";
import { Repairer, type RepairPorts } from "../../../src/broker/repair/repairer.ts";
import type { Replica } from "../../../src/broker/replica.ts";
import { GroupLogImpl } from "../../../src/log/group-log.ts";
import { incarnationBytes, padded, readBlockHeader } from "../../../src/log/model/block.ts";
import { readBlock } from "../../../src/log/model/block-reader.ts";
import { Producers } from "../../../src/log/model/producers.ts";
import { TermTable } from "../../../src/log/model/terms.ts";
import type { GroupLog } from "../../../src/log/types.ts";
import { decodeFrame } from "../../../src/records/frame.ts";
import { type Frame, nextOffsetOf } from "../../../src/records/frame-types.ts";
import { assertSame, file, lostOf, peer, readAll } from "../../log/damaged.ts";
import { append, EMPTY, fromProducer, group, index, replica, term, text } from "../../log/frames.ts";
import { KiB, Machine } from "../../log/machine.ts";

const options = { walFileBytes: 128 * KiB, walFilesMax: 6 };
/** Where the log began anew, by a reset: what lies below was trimmed. */
const BEGUN = 8;

/** The log as everybody else has it, begun at 0: the first six entries are of term 1, two of term 2, then of term 3. */
async function whole() {
  const machine = new Machine(3);
  const log = await machine.run((await machine.open(options)).create(group(7), replica(4), EMPTY, text("who votes")));
  const frames: Frame[] = [];
  for (let i = 0; i < 12; i += 1)
    for (const frame of append(log, term(i < 6 ? 1 : i < BEGUN ? 2 : 3), [fromProducer(40, i)]))
      frames.push(decodeFrame(Uint8Array.from(frame.bytes)));
  await machine.settle();
  log.commit(log.lastIndex);
  assert.ok(log instanceof GroupLogImpl);
  await machine.run(log.flush());
  return { machine, log, frames };
}

/** A replica that was reset to `BEGUN`, and whose write-ahead log lost the records which said so. */
async function guessing(
  frames: readonly Frame[],
): Promise<{ readonly machine: Machine; readonly log: GroupLog; readonly terms: TermTable }> {
  const machine = new Machine(7);
  const store = await machine.open(options);
  const log = await machine.run(store.create(group(7), replica(3), EMPTY, text("who votes")));
  const last = frames[BEGUN - 1] as Frame;
  const start = { index: index(BEGUN), term: last.term, offset: nextOffsetOf(last) };
  const point = { start, terms: [], config: text("later"), producers: new Producers(), appendTime: last.appendTime };
  assert.equal(await machine.run(log.install(point)), "installed");
  for (const frame of frames.slice(BEGUN, -1)) append(log, frame.term, [fromProducer(40, frame.index - 1)]);
  await machine.settle();
  log.commit(log.lastIndex);
  assert.ok(log instanceof GroupLogImpl);
  await machine.run(log.flush());
  append(log, term(3), [fromProducer(40, frames.length - 1)]);
  await machine.settle();
  machine.crash();
  for (const { path, file: node } of machine.device.files().filter((one) => /^\/?wal\//.test(one.path))) {
    const bytes = new Uint8Array(node.size);
    node.read(0, bytes);
    for (let at = 0, before = 0; ; ) {
      const header = readBlockHeader(bytes, at, incarnationBytes(store.incarnation));
      if (header === undefined || (before > 0 && header.sequence !== before + 1)) break;
      before = header.sequence;
      const records = readBlock(bytes.subarray(at, at + header.bytes), header);
      const said =
        typeof records !== "string" && records.some((one) => one.kind === "op" && (one.op.kind === "install" || one.op.kind === "synced"));
      if (said) file(machine, path).flipBit(at + 70, 5);
      at += padded(header.bytes);
    }
  }
  const again = await machine.open(options);
  return { machine, log: again.open(group(7)), terms: new TermTable(again.recovered[0]?.terms) };
}

/** What another broker answers whose log is `log`, committed. @param trimmedTo its log start offset */
function answers(log: GroupLog, trimmedTo: number): RepairPorts["links"]["call"] {
  const held = { log: { read: log.read.bind(log), startOffset: trimmedTo }, core: { commit: log.lastIndex } };
  const other: Replica = Object.assign(Object.create(null), held);
  return (_to, _method, [body], _timeout, done) => {
    const call: IncomingCall = Object.assign(Object.create(null), {
      body,
      reply: (parts: readonly Uint8Array[]) => done({ body: Uint8Array.from(Buffer.concat(parts)) }),
      fail: (error: MillraceError) => done({ error }),
    });
    void serveRange(call, () => other);
    return () => {};
  };
}

describe("A hole whose terms were inferred wrongly", () => {
  it("is filled with nothing, and nothing of it is served; what stands behind it is", async () => {
    const { frames } = await whole();
    const { machine, log, terms } = await guessing(frames);
    assert.deepEqual(lostOf(log.holes), [1, 2, 3, 4, 5, 6, 7, 8]);
    assert.deepEqual([terms.termAt(index(1)), frames[0]?.term], [2, 1], "what it says of the first entry is a guess, and wrong");
    for (let round = 0; round < 2; round += 1) {
      assert.equal(await machine.run(log.repair(peer(frames))), false);
      assert.deepEqual(lostOf(log.holes), [1, 2, 3, 4, 5, 6, 7, 8]);
      for (let at = 1; at <= BEGUN; at += 1)
        await assert.rejects(machine.run(Promise.resolve(log.read(index(at), KiB, log.lastIndex))), { code: "DATA_LOSS" });
      assertSame(await readAll(machine, log, lostOf(log.holes)), frames.slice(BEGUN, log.lastIndex));
    }
    assert.deepEqual(machine.failures, []);
  });

  it("ends by the trim behind which the log began once, though everybody still has the frames", async () => {
    const other = await whole();
    const { machine, log } = await guessing(other.frames);
    const { scheduler } = machine;
    const before = nextOffsetOf(other.frames[BEGUN - 1] as Frame);
    let trimmedTo = 0;
    const holed: number[] = [];
    const mine: Replica = Object.assign(Object.create(null), {
      ...{ groupId: group(7), log, passedOver: 0, snapshotAt: () => undefined },
      holed: (holes: readonly unknown[]) => void holed.push(holes.length),
    });
    const asked: string[] = [];
    const repairer = new Repairer({
      clock: {
        monotonic: () => scheduler.now,
        wall: () => scheduler.now,
        soon: (run) => void scheduler.after(0, "soon", run),
        after: (ms, run) => scheduler.after(ms, "timer", run),
      },
      telemetry: { ...silentTelemetry, log: (_, event) => void asked.push(event) },
      links: { call: (...args) => answers(other.log, trimmedTo)(...args) },
      bytesPerSecond: 0,
      replica: () => mine,
      others: () => [toBrokerId(1), toBrokerId(2)],
      failed: (error) => assert.fail(String(error)),
    });
    repairer.holesChanged(group(7), log.holes);
    await machine.settle();
    await scheduler.run(scheduler.now + 60_000);
    // No trim is committed that passes over all of it: it stays.
    assert.deepEqual([lostOf(log.holes).length, log.start.index], [BEGUN, 0]);
    trimmedTo = before - 1;
    await scheduler.run(scheduler.now + 60_000);
    assert.deepEqual([lostOf(log.holes).length, log.start.index], [BEGUN, 0]);
    trimmedTo = before;
    await scheduler.run(scheduler.now + 60_000);
    assert.deepEqual([log.holes, log.start.index, log.startOffset, holed.at(-1)], [[], BEGUN, before, 0]);
    assert.ok(asked.includes("log.trim_obeyed"));
    const read: Frame[] = [];
    for (let next = BEGUN + 1; next <= log.lastIndex; next = (read.at(-1)?.index ?? 0) + 1) {
      const found = await machine.run(Promise.resolve(log.read(index(next), 64 * KiB, log.lastIndex)));
      assert.ok(found.kind === "frames");
      read.push(...found.frames);
    }
    assertSame(read, other.frames.slice(BEGUN, log.lastIndex));
    repairer.close();
    assert.deepEqual(machine.failures, []);
  });
});
