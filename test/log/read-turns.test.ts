import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Offset } from "../../src/base/ids.ts";
import { ReadTurns } from "../../src/log/read-turns.ts";
import { append, draft, EMPTY, group, index, replica, term, text } from "./frames.ts";
import { KiB, Machine } from "./machine.ts";

const MiB = 1024 * KiB;

describe("ReadTurns (read.pending.max.bytes)", () => {
  /** Reads that end when the test says so. */
  const reads = (turns: ReadTurns) => {
    const begun: string[] = [];
    const ends = new Map<string, () => void>();
    return {
      begun,
      begin: (name: string, maxBytes: number) =>
        turns.run(maxBytes, () => {
          begun.push(name);
          return new Promise<void>((resolve) => ends.set(name, resolve));
        }),
      end: async (name: string) => {
        ends.get(name)?.();
        for (let turn = 0; turn < 5; turn++) await Promise.resolve();
      },
    };
  };

  it("lets no more be under way than it may hold, however little each asks for, and the others in their order", async () => {
    const turns = new ReadTurns(12 * MiB);
    const { begun, begin, end } = reads(turns);
    for (const name of ["a", "b", "c", "d"]) void begin(name, 1);
    assert.deepEqual([begun, turns.waiting], [["a", "b"], 2], "a frame may have 4 MiB, and is a view of what was read with it");
    await end("b");
    assert.deepEqual(begun, ["a", "b", "c"]);
    void begin("e", 1);
    await end("a");
    await end("c");
    assert.deepEqual(begun, ["a", "b", "c", "d", "e"]);
    await end("d");
    await end("e");
    assert.deepEqual([turns.bytes, turns.waiting], [0, 0]);
  });

  it("lets one that is larger than all there is go alone, and none that is smaller before it", async () => {
    const turns = new ReadTurns(12 * MiB);
    const { begun, begin, end } = reads(turns);
    void begin("a", 1);
    void begin("large", 60 * MiB);
    void begin("b", 1);
    assert.deepEqual(begun, ["a"]);
    await end("a");
    assert.deepEqual(begun, ["a", "large"]);
    await end("large");
    assert.deepEqual(begun, ["a", "large", "b"]);
  });

  it("passes the turn on when a read fails", async () => {
    const turns = new ReadTurns(5 * MiB);
    const failed = turns.run(1, () => Promise.reject(new Error("bad sector")));
    const next = turns.run(1, async () => "read");
    await assert.rejects(failed, /bad sector/);
    assert.equal(await next, "read");
    assert.equal(turns.bytes, 0);
  });

  it("holds readers in line, and not what replication reads", async () => {
    const machine = new Machine();
    const store = await machine.open({
      hotTailBytes: 0,
      walFileBytes: 4 * MiB,
      walFilesMax: 8,
      segmentBytes: 4 * MiB,
      readPendingMaxBytes: 8 * MiB,
    });
    const log = await machine.run(store.create(group(7), replica(3), EMPTY, text("")));
    for (let i = 0; i < 60; i += 1) {
      append(log, term(1), [draft(i, 50_000)]);
      log.commit(log.lastIndex);
      await machine.settle();
    }
    const asked: string[] = [];
    const ended: string[] = [];
    const read = async (name: string, work: unknown): Promise<void> => {
      assert.ok(work instanceof Promise, "it is on the disk");
      await work;
      ended.push(name);
    };
    const reader = (name: string): Promise<void> =>
      read(
        name,
        log.readFrom(0 as Offset, 2 * MiB, log.lastIndex, () => {
          asked.push(name);
          return false;
        }),
      );
    const readers = [reader("a"), reader("b"), reader("c")];
    readers.push(read("replication", log.read(index(1), 2 * MiB, log.lastIndex)));
    await machine.run(Promise.all(readers));
    const loads = asked.length / 3;
    assert.ok(loads >= 2);
    assert.deepEqual(
      asked,
      ["a", "b", "c"].flatMap((name) => Array.from({ length: loads }, () => name)),
    );
    assert.ok(ended.indexOf("replication") < ended.indexOf("b"), ended.join(" "));
  });
});
