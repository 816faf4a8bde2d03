import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Incarnation } from "../../src/base/ids.ts";
import { GroupLogImpl } from "../../src/log/group-log.ts";
import { incarnationBytes, padded, readBlockHeader } from "../../src/log/model/block.ts";
import { readBlock } from "../../src/log/model/block-reader.ts";
import { Producers } from "../../src/log/model/producers.ts";
import { TermTable } from "../../src/log/model/terms.ts";
import type { GroupLog } from "../../src/log/types.ts";
import { TermTable as RaftTerms } from "../../src/raft/term-table.ts";
import { decodeFrame } from "../../src/records/frame.ts";
import type { Frame } from "../../src/records/frame-types.ts";
import { assertSame, file, lostOf, peer, readAll, segmentPaths } from "./damaged.ts";
import { append, EMPTY, fromProducer, group, index, offset, replica, term, text } from "./frames.ts";
import { KiB, Machine } from "./machine.ts";

const options = { walFileBytes: 128 * KiB, walFilesMax: 6 };

interface Written {
  readonly machine: Machine;
  readonly frames: readonly Frame[];
  readonly incarnation: Incarnation;
  /** The newest frame that was in a segment. */
  readonly inSegments: number;
}

/** One group, written and committed for a while; then the process dies. */
async function written(count: number): Promise<Written> {
  const machine = new Machine(7);
  const store = await machine.open(options);
  const log = await machine.run(store.create(group(7), replica(3), EMPTY, text("who votes")));
  const frames: Frame[] = [];
  for (let i = 0; i < count; i += 1) {
    for (const frame of append(log, term(1 + Math.floor(i / 60)), [fromProducer(40 + (i % 3), Math.floor(i / 3), i, 4000)]))
      frames.push(decodeFrame(Uint8Array.from(frame.bytes)));
    log.commit(log.lastIndex);
    if (i % 2 === 0) await machine.settle();
  }
  await machine.settle();
  const inSegments = log.segments.at(-1)?.lastIndex ?? 0;
  machine.crash();
  return { machine, frames, incarnation: store.incarnation, inSegments };
}

/** The newest block with such a record, unless it is the last one of all, which would pass for torn. */
function lastWith(
  kind: "synced" | "install",
  { machine, incarnation }: Pick<Written, "machine" | "incarnation">,
): { readonly path: string; readonly at: number; readonly mark: number } | undefined {
  const found: { path: string; at: number; sequence: number; has: boolean; mark: number }[] = [];
  for (const { path, file: node } of machine.device.files()) {
    if (!/^\/?wal\//.test(path)) continue;
    const bytes = new Uint8Array(node.size);
    node.read(0, bytes);
    for (let at = 0, last = 0; ; ) {
      const header = readBlockHeader(bytes, at, incarnationBytes(incarnation));
      if (header === undefined || (last > 0 && header.sequence !== last + 1)) break;
      last = header.sequence;
      const records = readBlock(bytes.subarray(at, at + header.bytes), header);
      const ops = typeof records === "string" ? [] : records.flatMap((one) => (one.kind === "op" && one.op.kind === kind ? [one.op] : []));
      const has = ops.length > 0;
      const mark = Math.max(0, ...ops.map((op) => ("mark" in op ? op.mark.index : 0)));
      found.push({ path: path.replace(/^\//, ""), at, sequence: last, has, mark });
      at += padded(header.bytes);
    }
  }
  found.sort((a, b) => b.sequence - a.sequence);
  return found.slice(1).find(({ has }) => has);
}

/** Opens it again without that block. @returns whether frames were proved by segments alone */
async function reopened(of: Written): Promise<{ readonly log: GroupLog; readonly proved: boolean }> {
  const store = await of.machine.open(options);
  for (const { term: stored, votedFor, lastIndex, doubted } of store.recovered) {
    if (!doubted) continue;
    const last = of.frames[lastIndex - 1]?.term ?? 0;
    assert.ok(stored >= last && votedFor === undefined, `an entry of term ${last} is kept, the stored term is ${stored}`);
  }
  const proved = of.machine.events.some((event) => event.startsWith("log.frames_proved"));
  return { log: store.open(group(7)), proved };
}

// FS21
describe("Segments above the last record that says they are synced", () => {
  it("stay when that record goes bad: what stands in them is committed", async () => {
    let proofs = 0;
    for (let count = 100; count < 136; count += 4) {
      const of = await written(count);
      const block = lastWith("synced", of);
      if (block === undefined) continue;
      file(of.machine, block.path).flipBit(block.at + 70, 5);
      const { log, proved } = await reopened(of);
      if (proved) proofs += 1;
      assert.ok(log.lastIndex >= of.inSegments, `${log.lastIndex} is left of ${of.inSegments} in segments and ${count} in all`);
      assert.deepEqual(log.holes, []);
      assertSame(await readAll(of.machine, log), of.frames.slice(0, log.lastIndex));
      const known = log.producers.get(40);
      // The same after the next start, and it goes on.
      of.machine.crash(true);
      const again = (await reopened(of)).log;
      assert.equal(again.lastIndex, log.lastIndex, "nothing more is lost by starting once more");
      assert.deepEqual(again.producers.get(40), known);
      append(again, term(9), [fromProducer(40, 1_000)]);
      again.commit(again.lastIndex);
      await of.machine.settle();
      assert.deepEqual(of.machine.failures, []);
    }
    assert.ok(proofs > 0, "some block said alone that frames were synced");
  });

  it("stay behind one that is damaged too, which is a hole and repaired", async () => {
    let proofs = 0;
    for (let count = 100; count < 136; count += 4) {
      const of = await written(count);
      const block = lastWith("synced", of);
      const path = segmentPaths(of.machine).at(-2);
      if (block === undefined || path === undefined) continue;
      file(of.machine, block.path).flipBit(block.at + 70, 5);
      file(of.machine, path).flipBit(20_000, 2);
      const { log, proved } = await reopened(of);
      if (proved) proofs += 1;
      assert.ok(log.lastIndex >= of.inSegments, `${log.lastIndex} is left of ${of.inSegments} in segments`);
      await of.machine.run(log.scrub((_bytes, read) => read()));
      const lost = lostOf(log.holes);
      assertSame(await readAll(of.machine, log, lost), of.frames.slice(0, log.lastIndex), lost);
      assert.equal(await of.machine.run(log.repair(peer(of.frames))), true);
      assertSame(await readAll(of.machine, log), of.frames.slice(0, log.lastIndex));
      assert.deepEqual(of.machine.failures, []);
    }
    assert.ok(proofs > 0);
  });

  it("leave no hole for a frame that is bad in them and whole in the write-ahead log", async () => {
    const machine = new Machine(7);
    // All of it stays in one file of the ring.
    const large = { walFileBytes: 1024 * KiB, walFilesMax: 4 };
    const store = await machine.open(large);
    const log = await machine.run(store.create(group(7), replica(3), EMPTY, text("who votes")));
    assert.ok(log instanceof GroupLogImpl);
    const frames: Frame[] = [];
    const write = async (i: number): Promise<void> => {
      for (const frame of append(log, term(1 + Math.floor(i / 30)), [fromProducer(40, i, i, 4000)]))
        frames.push(decodeFrame(Uint8Array.from(frame.bytes)));
      await machine.settle();
    };
    for (const to of [30, 104]) {
      while (frames.length < to) await write(frames.length);
      log.commit(log.lastIndex);
      await machine.run(log.flush());
    }
    await write(104);
    machine.crash();
    const of = { machine, incarnation: store.incarnation };
    for (let block = lastWith("synced", of); block !== undefined && block.mark > 30; block = lastWith("synced", of))
      file(machine, block.path).flipBit(block.at + 70, 5);
    const paths = segmentPaths(machine);
    assert.ok(paths.length > 4);
    file(machine, paths[2] as string).flipBit(50_000, 2);
    for (let starts = 0; starts < 2; starts += 1) {
      const again = (await machine.open(large)).open(group(7));
      assert.ok(again.doubted);
      assert.deepEqual(again.holes, []);
      assert.ok(again.lastIndex >= 104);
      assertSame(await readAll(machine, again), frames.slice(0, again.lastIndex));
      // What stood in segments behind it comes there once more.
      again.commit(again.lastIndex);
      await machine.settle();
      assertSame(await readAll(machine, again), frames.slice(0, again.lastIndex));
      assert.deepEqual((await machine.run(again.scrub((_bytes, read) => read()))).holes, []);
      assert.deepEqual(machine.failures, []);
      machine.crash(true);
    }
  });

  // What the terms were before is not told of a machine's log: its snapshot says all (`MetadataSnapshots.restore` asks for its term).
  for (const terms of [
    [],
    [
      { term: term(2), firstIndex: index(40) },
      { term: term(7), firstIndex: index(4_990) },
    ],
  ]) {
    it(`name the term of the entry before them when the record that began the log there is bad, with ${terms.length} terms before`, async () => {
      const machine = new Machine(7);
      const store = await machine.open(options);
      const log = await machine.run(store.create(group(7), replica(3), EMPTY, text("who votes")));
      assert.ok(log instanceof GroupLogImpl);
      append(log, term(1), [fromProducer(40, 0)]);
      await machine.settle();
      log.commit(log.lastIndex);
      await machine.run(log.flush());
      const start = { index: index(5_000), term: term(7), offset: offset(9_000) };
      const point = { start, terms, config: text("later"), producers: new Producers(), appendTime: 0 };
      assert.equal(await machine.run(log.install(point)), "installed");
      append(log, term(7), [fromProducer(41, 0)]);
      await machine.settle();
      log.commit(log.lastIndex);
      await machine.run(log.flush());
      append(log, term(8), [fromProducer(41, 1)]);
      await machine.settle();
      machine.crash();
      const block = lastWith("install", { machine, incarnation: store.incarnation });
      assert.ok(block !== undefined);
      file(machine, block.path).flipBit(block.at + 70, 5);
      const again = await machine.open(options);
      assert.ok(machine.events.some((event) => event.startsWith("log.frames_proved")));
      const [recovered] = again.recovered;
      const table = new TermTable(recovered?.terms);
      assert.deepEqual(
        [1, ...terms.map(({ firstIndex }) => firstIndex), 5_000, 5_001].map((at) => table.termAt(index(at))),
        [1, ...terms.map((one) => one.term), 7, 7],
      );
      assert.equal(recovered?.lastIndex, 5_001);
      // What no frame proves lies in a hole: to raft its terms are nobody's (`RaftCore.holes`).
      const { holes } = again.open(group(7));
      assert.deepEqual([holes[0]?.first, holes.at(-1)?.last, holes.length], [1, 5_000, 1]);
    });
  }

  it("begin the table of terms at the first entry, when what began the log later is bad and no entry before it is known", async () => {
    const machine = new Machine(7);
    const store = await machine.open(options);
    const log = await machine.run(store.create(group(7), replica(3), EMPTY, text("who votes")));
    assert.ok(log instanceof GroupLogImpl);
    const start = { index: index(8), term: term(2), offset: offset(4) };
    const terms = [{ term: term(2), firstIndex: index(7) }];
    const point = { start, terms, config: text("later"), producers: new Producers(), appendTime: 0 };
    assert.equal(await machine.run(log.install(point)), "installed");
    append(log, term(3), [fromProducer(41, 0)]);
    await machine.settle();
    log.commit(log.lastIndex);
    await machine.run(log.flush());
    append(log, term(3), [fromProducer(41, 1)]);
    await machine.settle();
    machine.crash();
    const of = { machine, incarnation: store.incarnation };
    for (const kind of ["install", "synced"] as const) {
      const block = lastWith(kind, of);
      if (block !== undefined) file(machine, block.path).flipBit(block.at + 70, 5);
    }
    for (let starts = 0; starts < 2; starts += 1) {
      const again = await machine.open(options);
      const [recovered] = again.recovered;
      assert.deepEqual([recovered?.start.index, recovered?.lastIndex, recovered?.doubted], [0, 9, true]);
      assert.deepEqual(
        again.open(group(7)).holes.map(({ first, last }) => [first, last]),
        [[1, 8]],
      );
      // What raft asks of a table: an entry for the first index, and no term that falls.
      const table = new RaftTerms(recovered?.start ?? EMPTY, recovered?.terms ?? [], index(9));
      assert.deepEqual(
        [1, 7, 8, 9].map((at) => table.termAt(index(at))),
        [2, 2, 2, 3],
      );
      if (starts === 0) assert.ok(machine.events.some((event) => event.startsWith("log.frames_proved")));
      machine.crash(true);
    }
  });
});
