import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type DumpItem, dumpFile } from "../../src/log/dump/dump-file.ts";
import { dumpGroup, groupsOf, WalDump } from "../../src/log/dump/dump-group.ts";
import { append, draft, EMPTY, group, index, offset, replica, term, text } from "./frames.ts";
import { KiB, Machine } from "./machine.ts";

const FRAMES = 60;

function pathsOf(machine: Machine): string[] {
  return machine.device
    .files()
    .map((one) => one.path.replace(/^\//, ""))
    .sort();
}

function contents(machine: Machine, path: string): Uint8Array {
  const node = machine.device.files().find((one) => one.path.replace(/^\//, "") === path)?.file;
  assert.ok(node !== undefined, path);
  const bytes = new Uint8Array(node.size);
  node.read(0, bytes);
  return bytes;
}

async function overwrite(machine: Machine, path: string, bytes: Uint8Array): Promise<void> {
  await machine.run(machine.disk.unlink(path));
  const made = await machine.run(machine.disk.open(path, { mode: "create" }));
  await machine.run(made.write(0, [bytes]));
  await machine.run(made.close());
}

/** A group with frames in segments and behind them in the write-ahead log, whose process died. */
async function written(): Promise<Machine> {
  const machine = new Machine();
  const store = await machine.open();
  const log = await machine.run(store.create(group(7), replica(3), EMPTY, text("who votes")));
  for (let i = 0; i < FRAMES; i += 1) {
    append(log, term(1 + Math.floor(i / 30)), [draft(i, 4000)]);
    if (i < FRAMES - 5) log.commit(log.lastIndex);
    await machine.settle();
  }
  // Two that are given up and written anew, in another term.
  const from = log.lastIndex - 1;
  log.write({ state: { term: term(5), votedFor: replica(3) }, truncateFrom: from as typeof log.lastIndex, frames: [] }, () => {});
  append(log, term(5), [draft(100, 300), draft(101, 300)]);
  await machine.settle();
  machine.crash();
  return machine;
}

/** The same, with a snapshot. */
async function withSnapshots(): Promise<Machine> {
  const machine = await written();
  const store = await machine.open();
  const header = { start: { index: index(20), term: term(1), offset: offset(40) }, appendTime: 5, recoveryEpoch: 2, config: text("c") };
  await machine.run(store.snapshots(group(7)).write(header, [new Uint8Array(40).fill(1), new Uint8Array(50).fill(2)]));
  machine.crash();
  return machine;
}

async function dumped(machine: Machine, path: string): Promise<DumpItem[]> {
  const items: DumpItem[] = [];
  await machine.run(
    dumpFile(machine.disk, path, (item) => {
      items.push(item);
    }),
  );
  return items;
}

function framesIn(items: readonly DumpItem[]): number[] {
  return items.flatMap((item) => (item.kind === "frame" ? [item.frame.index] : []));
}

describe("A dump of the log", () => {
  it("prints what every file holds, and finds nothing bad in whole ones", async () => {
    const machine = await written();
    let segmentFrames = 0;
    for (const path of pathsOf(machine).filter((one) => /wal\/|groups\//.test(one))) {
      const items = await dumped(machine, path);
      assert.deepEqual(
        items.filter((item) => item.kind === "bad"),
        [],
        path,
      );
      assert.ok(items.length > 0);
      if (path.endsWith(".log")) segmentFrames += framesIn(items).length;
    }
    assert.ok(segmentFrames > 10);
  });

  it("of a group says the same after a start as before it: segments first, then what only the write-ahead log has", async () => {
    const machine = await written();
    const list = async (): Promise<string[]> => {
      const wal = await machine.run(WalDump.read(machine.disk, () => assert.fail("nothing is bad")));
      const [found] = await machine.run(groupsOf(machine.disk, wal));
      assert.ok(found !== undefined && new TextDecoder().decode(found.config) === "who votes");
      const lines: string[] = [];
      await machine.run(
        dumpGroup(machine.disk, wal, found, (item) => {
          assert.ok(item.kind === "frame");
          if (item.kind === "frame") lines.push(`${item.frame.index} ${item.frame.term} ${item.frame.baseOffset} ${item.frame.payloadCrc}`);
        }),
      );
      return lines;
    };
    const before = await list();
    assert.deepEqual(
      before.map((line) => Number.parseInt(line, 10)),
      Array.from({ length: FRAMES }, (_, i) => i + 1),
    );
    assert.deepEqual(
      before.slice(-3).map((line) => line.split(" ")[1]),
      ["2", "5", "5"],
    );
    const store = await machine.open();
    const log = store.open(group(7));
    log.commit(log.lastIndex);
    await machine.run(store.close());
    machine.crash();
    assert.deepEqual(await list(), before);
  });

  it("names the byte of what is bad, and goes on behind it where it can", async () => {
    const machine = await written();
    const path = pathsOf(machine).filter((one) => one.endsWith(".log"))[0] as string;
    const whole = framesIn(await dumped(machine, path));
    const bytes = contents(machine, path);
    bytes[Math.floor(bytes.length / 2)] = (bytes[Math.floor(bytes.length / 2)] ?? 0) ^ 1;
    await overwrite(machine, path, bytes);
    const items = await dumped(machine, path);
    const bad = items.filter((item) => item.kind === "bad");
    assert.equal(bad.length, 1);
    assert.ok((bad[0]?.position ?? 0) > 4096 && (bad[0]?.position ?? 0) < bytes.length / 2);
    assert.equal(framesIn(items).length, whole.length - 1);
    const wal = pathsOf(machine).find((one) => one.startsWith("wal/")) as string;
    const ring = contents(machine, wal);
    ring.fill(0, 8192, 12_288);
    await overwrite(machine, wal, ring);
    assert.deepEqual(
      (await dumped(machine, wal)).flatMap((item) => (item.kind === "bad" ? [item.position % 4096] : [])),
      [0],
    );
  });

  it("prints the snapshots of a machine group, as a file and before its frames", async () => {
    const machine = await withSnapshots();
    const [path] = pathsOf(machine).filter((one) => one.endsWith(".snapshot"));
    const lines = (await dumped(machine, path as string)).map((item) => (item.kind === "note" ? item.text : item.kind));
    assert.match(lines[0] ?? "", /^snapshot: group 7, replica 3, as of index 20 of term 1, offset 40, recovery epoch 2/);
    assert.deepEqual(
      lines.slice(1).map((line) => line.replace(/CRC \w{8}/, "CRC")),
      ["chunk 0: 40 bytes, CRC", "chunk 1: 50 bytes, CRC", "footer: 2 chunks, 90 bytes"],
    );
    const items: DumpItem[] = [];
    const wal = await machine.run(WalDump.read(machine.disk, (item) => void items.push(item)));
    const [found] = await machine.run(groupsOf(machine.disk, wal));
    assert.ok(found !== undefined);
    await machine.run(dumpGroup(machine.disk, wal, found, (item) => void items.push(item)));
    assert.deepEqual(
      items.slice(0, 4).map((item) => item.kind),
      ["note", "note", "note", "note"],
    );
    assert.equal(framesIn(items).length, FRAMES);
  });

  it("case 53: names the byte of a snapshot that lies of its lengths, and takes no memory for them", async () => {
    const machine = await withSnapshots();
    const path = pathsOf(machine).find((one) => one.endsWith(".snapshot")) as string;
    const bytes = contents(machine, path);
    const header = new DataView(bytes.buffer).getUint32(4, true);
    const lies: readonly (readonly [at: number, value: number, position: number, what: RegExp])[] = [
      [4, 0xffff_ffff, 0, /a header of 4294967295 bytes/],
      [4, 8_000_000, 0, /the file ends at/],
      [header, 0xffff_ffff, header, /a chunk of 4294967295 bytes/],
      [header, 1_000_000, header + 8, /the file ends at/],
      [header, 0, header, /footer|number/],
      [header + 4, 7, header, /CRC of chunk 0/],
      [bytes.length - 8, 7, bytes.length - 32, /the footer at byte/],
    ];
    for (const [at, value, position, what] of lies) {
      const lying = bytes.slice();
      new DataView(lying.buffer).setUint32(at, value, true);
      await overwrite(machine, path, lying);
      const bad = (await dumped(machine, path)).filter((item) => item.kind === "bad");
      assert.equal(bad.length, 1, `${at}`);
      assert.equal(bad[0]?.position, position, `${at}`);
      assert.match(bad[0]?.kind === "bad" ? bad[0].what : "", what);
    }
  });

  it("case 53: whatever a file holds, ends with what it says", async () => {
    const machine = await withSnapshots();
    const paths = pathsOf(machine).filter((one) => /wal\/|groups\//.test(one));
    const originals = new Map(paths.map((path) => [path, contents(machine, path)]));
    const change = fc.record({ at: fc.nat(70 * KiB), bytes: fc.uint8Array({ minLength: 1, maxLength: 12 }) });
    const changes = fc.record({
      path: fc.constantFrom(...paths),
      changes: fc.array(change, { minLength: 1, maxLength: 6 }),
      cut: fc.nat(99 * KiB),
    });
    await fc.assert(
      fc.asyncProperty(changes, async ({ path, changes: list, cut }) => {
        const bytes = Uint8Array.from(originals.get(path) as Uint8Array);
        for (const one of list)
          bytes.set(one.bytes.subarray(0, Math.max(0, bytes.length - (one.at % bytes.length))), one.at % bytes.length);
        await overwrite(machine, path, bytes.subarray(0, Math.max(cut, 0)));
        const items = await dumped(machine, path);
        assert.ok(items.length < 10_000);
        await overwrite(machine, path, originals.get(path) as Uint8Array);
      }),
      { numRuns: 60 },
    );
  });
});
