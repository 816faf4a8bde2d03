import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { decodeFooter, encodeFooter, FOOTER_BYTES, type SegmentFacts } from "../../src/log/model/segment-files.ts";
import type { FileNode } from "../../src/testing/sim/disk/file-node.ts";
import { append, draft, EMPTY, group, index, replica, term, text } from "./frames.ts";
import { KiB, Machine } from "./machine.ts";

const FRAMES = 80;

/** One group in several segments of 96 KiB, closed in peace. @returns its machine, and the second of its segments */
async function written(): Promise<{ machine: Machine; path: string; file: FileNode }> {
  const machine = new Machine();
  const store = await machine.open();
  const log = await machine.run(store.create(group(7), replica(3), EMPTY, text("who votes")));
  for (let i = 0; i < FRAMES; i += 1) {
    append(log, term(1), [draft(1, 4000)]);
    log.commit(log.lastIndex);
    if (i % 4 === 0) await machine.settle();
  }
  await machine.settle();
  await machine.run(store.close());
  machine.crash();
  const logs = machine.device.files().filter(({ path }) => /groups\/7-3\/.*\.log$/.test(path));
  const { path, file } = logs.sort((a, b) => (a.path < b.path ? -1 : 1))[1] as (typeof logs)[number];
  return { machine, path: path.replace(/^\//, ""), file };
}

/** Puts another footer in the place of the segment's, whole by its CRC. */
function replaceFooter(file: FileNode, change: (facts: SegmentFacts) => Partial<SegmentFacts>): void {
  const bytes = new Uint8Array(FOOTER_BYTES);
  file.read(file.size - FOOTER_BYTES, bytes);
  const facts = decodeFooter(bytes);
  const other = encodeFooter({ ...facts, ...change(facts) });
  for (const [i, byte] of other.entries())
    for (let bit = 0; bit < 8; bit += 1) if ((((bytes[i] as number) ^ byte) >> bit) & 1) file.flipBit(file.size - FOOTER_BYTES + i, bit);
}

async function assertWhole(machine: Machine): Promise<void> {
  const log = (await machine.open()).open(group(7));
  assert.deepEqual(log.holes, []);
  for (let next = 1; next <= FRAMES; ) {
    const read = await machine.run(Promise.resolve(log.read(index(next), 64 * KiB, log.lastIndex)));
    assert.ok(read.kind === "frames" && read.frames[0]?.index === next);
    next += read.frames.length;
  }
}

describe("the footer of a sealed segment", () => {
  it("that a start finds bad is made again, and named by file and position", async () => {
    const { machine, path, file } = await written();
    const position = file.size - FOOTER_BYTES;
    file.flipBit(position + 20, 3);
    await assertWhole(machine);
    assert.deepEqual(machine.events, [`log.footer_rebuilt ${JSON.stringify({ path, position })}`]);
    machine.crash(true);
    await assertWhole(machine);
    // Index files are derived and not synced: a power cut may take those.
    assert.deepEqual(
      machine.events.filter((event) => event.startsWith("log.footer")),
      [],
    );
  });

  // As when another partition's segment of the same name is there instead: no frame would ever fit into the gap that it speaks of.
  for (const [name, change] of [
    ["one frame too early", ({ lastIndex }: SegmentFacts) => ({ lastIndex: (lastIndex - 1) as typeof lastIndex })],
    ["one record too early", ({ endOffset }: SegmentFacts) => ({ endOffset: (endOffset - 1) as typeof endOffset })],
    ["where the next segment does not begin", ({ endOffset }: SegmentFacts) => ({ endOffset: (endOffset + 1) as typeof endOffset })],
  ] as const)
    it(`is not believed when it ends ${name}: there is no gap`, async () => {
      const { machine, path, file } = await written();
      const position = file.size - FOOTER_BYTES;
      replaceFooter(file, change);
      await assertWhole(machine);
      assert.deepEqual(machine.events, [`log.footer_rebuilt ${JSON.stringify({ path, position })}`]);
    });
});
