import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Malformed } from "../../src/log/model/bytes.ts";
import { decodeSnapshot, encodeSnapshot, joined, type SnapshotHeader } from "../../src/log/model/snapshot-file.ts";
import { DamagedLog, type LogStore } from "../../src/log/types.ts";
import { EMPTY, group, index, offset, replica, term, text } from "./frames.ts";
import { Machine } from "./machine.ts";

const headerAt = (at: number): SnapshotHeader => ({
  groupId: group(1),
  replicaId: replica(1),
  start: { index: index(at), term: term(2), offset: offset(at * 3) },
  appendTime: 1000 + at,
  recoveryEpoch: 4,
  config: text("who votes"),
});

function stateOf(bytes: number, seed = 1): Uint8Array {
  const state = new Uint8Array(bytes);
  for (let i = 0; i < bytes; i++) state[i] = i * seed * 31;
  return state;
}

function fileOf(header: SnapshotHeader, state: readonly Uint8Array[]): Uint8Array {
  const parts = [...encodeSnapshot(header, state)];
  return joined(
    parts,
    parts.reduce((sum, part) => sum + part.length, 0),
  );
}

async function withStore(run: (machine: Machine, store: LogStore) => Promise<void>): Promise<void> {
  const machine = new Machine();
  const store = await machine.open();
  await machine.run(store.create(group(1), replica(1), EMPTY, text("")));
  await run(machine, store);
}

describe("a snapshot file", () => {
  it("gives back header and state, whatever the pieces they came in", () => {
    for (const parts of [[], [stateOf(0)], [stateOf(10), stateOf(2_500_000, 3)], [stateOf(1024 * 1024)]]) {
      const { header, state } = decodeSnapshot(fileOf(headerAt(7), parts));
      assert.deepEqual(header, headerAt(7));
      assert.deepEqual(Buffer.concat(parts).equals(state), true);
    }
  });

  it("is refused with any bit changed, cut anywhere, or with a chunk of another one", () => {
    const bytes = fileOf(headerAt(7), [stateOf(40), stateOf(50)]);
    for (let at = 0; at < bytes.length; at += 1) {
      const flipped = bytes.slice();
      flipped[at] = (flipped[at] ?? 0) ^ 4;
      assert.throws(() => decodeSnapshot(flipped), Malformed, `byte ${at}`);
      assert.throws(() => decodeSnapshot(bytes.subarray(0, at)), Malformed, `cut at ${at}`);
    }
    const other = fileOf(headerAt(8), [stateOf(40), stateOf(50)]);
    const head = bytes.length - 32 - 40 - 50;
    const mixed = bytes.slice();
    mixed.set(other.subarray(head, head + 48), head);
    assert.throws(() => decodeSnapshot(mixed), Malformed);
  });
});

describe("the snapshots of a group", () => {
  it("are listed, read and pruned; the newest whole one that the log joins is found", async () => {
    await withStore(async (machine, store) => {
      const snapshots = store.snapshots(group(1));
      for (const at of [10, 20, 30]) await machine.run(snapshots.write(headerAt(at), [stateOf(100, at)]));
      assert.deepEqual(await machine.run(snapshots.indexes()), [10, 20, 30]);
      assert.deepEqual((await machine.run(snapshots.read(index(20)))).state, stateOf(100, 20));
      assert.equal((await machine.run(snapshots.newest(index(0), index(25)))).good?.header.start.index, 20);
      assert.equal((await machine.run(snapshots.newest(index(31), index(40)))).good, undefined);
      await machine.run(snapshots.prune((at) => at === 30));
      assert.deepEqual(await machine.run(snapshots.indexes()), [30]);
    });
  });

  it("are written one at a time: two that are asked for at once are both whole", async () => {
    await withStore(async (machine, store) => {
      const snapshots = store.snapshots(group(1));
      const asked = [10, 20, 15].map((at) => snapshots.write(headerAt(at), [stateOf(2_500_000, at)]));
      await machine.run(Promise.all(asked));
      for (const at of [10, 15, 20]) assert.deepEqual((await machine.run(snapshots.read(index(at)))).state, stateOf(2_500_000, at));
    });
  });

  it("stand in for one another: a rotten newest one is named, and the older one taken (scenario 49)", async () => {
    await withStore(async (machine, store) => {
      const snapshots = store.snapshots(group(1));
      for (const at of [10, 20]) await machine.run(snapshots.write(headerAt(at), [stateOf(100, at)]));
      const path = "groups/1-1/00000000000000000020.snapshot";
      const file = await machine.run(machine.disk.open(path, { mode: "write" }));
      await machine.run(file.write(90, [new Uint8Array([1, 2, 3])]));
      const { good, damaged } = await machine.run(snapshots.newest(index(5), index(40)));
      assert.equal(good?.header.start.index, 10);
      assert.equal(damaged[0]?.path, path);
      assert.ok(damaged[0] instanceof DamagedLog);
      assert.equal((await machine.run(snapshots.newest(index(15), index(40)))).good, undefined, "the log does not reach the older one");
    });
  });

  it("are whole or not there, whatever disk operation a crash cuts short (scenario 44)", async () => {
    for (let at = 1; at < 14; at += 1) {
      for (const power of [false, true]) {
        const machine = new Machine(at);
        const store = await machine.open();
        await machine.run(store.create(group(1), replica(1), EMPTY, text("")));
        const snapshots = store.snapshots(group(1));
        await machine.run(snapshots.write(headerAt(10), [stateOf(5000)]));
        const from = machine.device.operations;
        let over = false;
        machine.device.watch = (_kind, _path, number) => {
          if (number !== from + at) return;
          over = true;
          machine.crash(power);
        };
        let written = false;
        snapshots.write(headerAt(20), [stateOf(5000, 2), stateOf(5000, 3)]).then(
          () => {
            written = true;
          },
          () => {},
        );
        await machine.scheduler.run(machine.scheduler.now + 10_000, () => over || written);
        machine.device.watch = undefined;
        if (!over) machine.crash(power);
        const { good, damaged } = await machine.run((await machine.open()).snapshots(group(1)).newest(index(0), index(100)));
        assert.deepEqual(damaged, []);
        assert.ok(good?.header.start.index === 20 || (good?.header.start.index === 10 && !written), `cut at ${at}`);
      }
    }
  });

  it("are read in pieces by others", async () => {
    await withStore(async (machine, store) => {
      const snapshots = store.snapshots(group(1));
      await machine.run(snapshots.write(headerAt(10), [stateOf(3000)]));
      const first = await machine.run(snapshots.piece(index(10), 0, 1000));
      const rest = await machine.run(snapshots.piece(index(10), 1000, 1_000_000));
      assert.ok(first !== undefined && rest !== undefined);
      const all = joined([first.bytes, rest.bytes], first.total);
      assert.deepEqual(decodeSnapshot(all).state, stateOf(3000));
      assert.equal(await machine.run(snapshots.piece(index(11), 0, 10)), undefined);
    });
  });
});
