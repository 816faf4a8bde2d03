import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ClusterId } from "../../src/base/ids.ts";
import { BadDataDirectory, formMeta, readMeta } from "../../src/log/meta.ts";
import { incarnationBytes, padded, readBlockHeader } from "../../src/log/model/block.ts";
import type { LogStore } from "../../src/log/types.ts";
import type { Frame } from "../../src/records/frame-types.ts";
import type { FileNode } from "../../src/testing/sim/disk/file-node.ts";
import { append, draft, EMPTY, group, index, replica, term, text } from "./frames.ts";
import { KiB, Machine } from "./machine.ts";

function file(machine: Machine, path: string): FileNode {
  const found = machine.device.files().find((one) => one.path === path || one.path === `/${path}`);
  assert.ok(found !== undefined, `${path} is there: ${machine.device.files().map((one) => one.path)}`);
  return found.file;
}

/** Places of the blocks at the head of a ring file, one after the other. */
function blocksOf(machine: Machine, store: LogStore, path: string): { sequence: number; at: number; bytes: number }[] {
  const node = file(machine, path);
  const bytes = new Uint8Array(node.size);
  node.read(0, bytes);
  const blocks: { sequence: number; at: number; bytes: number }[] = [];
  for (let at = 0; ; ) {
    const header = readBlockHeader(bytes, at, incarnationBytes(store.incarnation));
    if (header === undefined || (blocks.length > 0 && header.sequence !== (blocks.at(-1)?.sequence ?? 0) + 1)) return blocks;
    blocks.push({ sequence: header.sequence, at, bytes: header.bytes });
    at += padded(header.bytes);
  }
}

/** A group with ten durable frames, each in a block of its own, after which the process died. */
async function tenBlocks(): Promise<{ machine: Machine; blocks: { sequence: number; at: number; bytes: number }[]; frames: Frame[] }> {
  const machine = new Machine();
  const store = await machine.open();
  const log = await machine.run(store.create(group(7), replica(3), EMPTY, text("")));
  const frames: Frame[] = [];
  for (let i = 0; i < 10; i += 1) {
    frames.push(...append(log, term(1), [draft(i, 500)]));
    await machine.settle();
  }
  const blocks = blocksOf(machine, store, "wal/00");
  machine.crash();
  return { machine, blocks, frames };
}

describe("damage to the write-ahead log", () => {
  // Scenario 67: nothing that was synced stands behind it.
  it("is a torn tail in the last block: the block is dropped, its place and sequence go to the next one", async () => {
    for (const spoil of ["payload", "record", "header", "zeros", "cut short"] as const) {
      const { machine, blocks } = await tenBlocks();
      const last = blocks.at(-1);
      assert.ok(last !== undefined);
      const node = file(machine, "wal/00");
      if (spoil === "payload") node.flipBit(last.at + last.bytes - 10, 3);
      if (spoil === "record") node.flipBit(last.at + 70, 3);
      if (spoil === "header") node.flipBit(last.at + 26, 3);
      if (spoil === "zeros") node.write(last.at, new Uint8Array(padded(last.bytes)));
      if (spoil === "cut short") node.write(last.at + 512, new Uint8Array(padded(last.bytes) - 512));
      let store = await machine.open();
      const log = store.open(group(7));
      assert.equal(log.lastIndex, 9, spoil);
      assert.equal(store.durableBlockSequence, last.sequence - 1);
      append(log, term(1), [draft(77, 500)]);
      await machine.settle();
      const again = blocksOf(machine, store, "wal/00").at(-1);
      assert.deepEqual([again?.sequence, again?.at], [last.sequence, last.at]);
      machine.crash(true);
      store = await machine.open();
      assert.equal(store.recovered[0]?.lastIndex, 10);
    }
  });

  it("is found when frames come back from it later: they are not handed out", async () => {
    const { machine } = await tenBlocks();
    const store = await machine.open({ hotTailBytes: 0 });
    const log = store.open(group(7));
    assert.equal(log.hotFrom, 11);
    file(machine, "wal/00").flipBit(3 * 4096 + 300, 1);
    await assert.rejects(machine.run(Promise.resolve(log.read(index(1), 1024 * KiB, index(10)))), /damaged/);
  });
});

describe("a disk that fails", () => {
  it("ends the broker once, and nothing is called durable any more", async () => {
    for (const kind of ["write", "sync"] as const) {
      const machine = new Machine();
      const store = await machine.open();
      const log = await machine.run(store.create(group(7), replica(3), EMPTY, text("")));
      let durable = 0;
      machine.device.failNext(kind, "EIO");
      if (kind === "sync") machine.device.failNext(kind, "EIO");
      for (let i = 0; i < 200; i += 1) {
        append(log, term(1), [draft(i, 4000)], () => durable++);
        log.commit(log.lastIndex);
        if (i % 4 === 3) await machine.settle();
      }
      await machine.settle();
      assert.equal(machine.failures.length, 1, kind);
      assert.ok(kind === "write" ? durable === 0 : durable < 200, `${durable} after a failed ${kind}`);
      await machine.run(store.close());
    }
  });
});

describe("meta.json", () => {
  it("says which cluster the disk belongs to, for good", async () => {
    const machine = new Machine();
    await machine.open();
    const cluster = "c0ffee00-0000-4000-8000-000000000000" as ClusterId;
    await machine.run(formMeta(machine.disk, cluster, 0));
    machine.crash(true);
    assert.equal((await machine.run(readMeta(machine.disk)))?.clusterId, cluster);
    await assert.rejects(machine.run(formMeta(machine.disk, "other" as ClusterId, 0)), BadDataDirectory);
    await machine.open();
  });

  it("is refused by name when a letter of an id is another one", async () => {
    const machine = new Machine();
    await machine.open();
    const path = "meta.json";
    const bytes = new Uint8Array(file(machine, path).size);
    file(machine, path).read(0, bytes);
    const at = new TextDecoder().decode(bytes).indexOf("-");
    file(machine, path).flipBit(at + 1, 0);
    machine.crash(false);
    await assert.rejects(machine.run(readMeta(machine.disk)), /meta\.json does not match its CRC/);
  });

  it("and the data refuse to start without each other", async () => {
    const { machine } = await tenBlocks();
    const meta = new Uint8Array(file(machine, "meta.json").size);
    file(machine, "meta.json").read(0, meta);
    await machine.run(machine.disk.unlink("meta.json"));
    await assert.rejects(machine.open(), BadDataDirectory);
    const back = await machine.run(machine.disk.open("meta.json", { mode: "create" }));
    await machine.run(back.write(0, [meta]));
    const wal = machine.device.files().filter((one) => /wal\//.test(one.path));
    for (const one of wal) await machine.run(machine.disk.unlink(one.path.replace(/^\//, "")));
    await assert.rejects(machine.open(), BadDataDirectory);
    await machine.run(back.write(0, [text("{]")]));
    await assert.rejects(machine.open(), BadDataDirectory);
  });
});
