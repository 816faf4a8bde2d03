import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { crc32c } from "../../src/base/crc32c.ts";
import type { Incarnation } from "../../src/base/ids.ts";
import { GroupLogImpl } from "../../src/log/group-log.ts";
import { incarnationBytes, padded, readBlockHeader } from "../../src/log/model/block.ts";
import { readBlock } from "../../src/log/model/block-reader.ts";
import type { RecoveredGroup } from "../../src/log/types.ts";
import { type FrameDraft, FrameType } from "../../src/records/frame-types.ts";
import { contents, file, segmentPaths } from "./damaged.ts";
import { append, draft, EMPTY, group, replica, term, text } from "./frames.ts";
import { KiB, Machine } from "./machine.ts";

const votes = (who: string): FrameDraft => ({ ...draft(1), ...payload(text(who)), type: FrameType.config, recordCount: 0 });

function payload(bytes: Uint8Array): Pick<FrameDraft, "payload" | "payloadCrc"> {
  return { payload: bytes, payloadCrc: crc32c(bytes) };
}

/** Damages the block of the write-ahead log that holds the newest configuration frame. */
function loseConfigurationBlock(machine: Machine, incarnation: Incarnation): void {
  const places = machine.device
    .files()
    .flatMap(({ path }) => (/^\/?wal\//.test(path) ? configurationBlocks(machine, path, incarnation) : []));
  places.sort((a, b) => b.sequence - a.sequence);
  const [newest] = places;
  assert.ok(newest !== undefined, "a configuration frame is in the write-ahead log");
  file(machine, newest.path).flipBit(newest.at + 70, 5);
}

function configurationBlocks(machine: Machine, path: string, incarnation: Incarnation): { path: string; at: number; sequence: number }[] {
  const name = path.replace(/^\//, "");
  const bytes = contents(machine, name);
  const found = [];
  for (let at = 0; ; ) {
    const header = readBlockHeader(bytes, at, incarnationBytes(incarnation));
    if (header === undefined) return found;
    const records = readBlock(bytes.subarray(at, at + header.bytes), header);
    assert.ok(typeof records !== "string");
    if (records.some((one) => one.kind === "frame" && one.frame.type === FrameType.config))
      found.push({ path: name, at, sequence: header.sequence });
    at += padded(header.bytes);
  }
}

/** A group whose voters change in a block that goes bad, while the records that say it was synced stay. */
async function changed(more: FrameDraft[] = [], segmentBytes = 96 * KiB): Promise<Machine> {
  const machine = new Machine();
  const store = await machine.open({ segmentBytes });
  const log = await machine.run(store.create(group(7), replica(3), EMPTY, text("1 2 3")));
  const synced = async (...frames: FrameDraft[]): Promise<void> => {
    append(log, term(1), frames);
    await machine.settle();
    log.commit(log.lastIndex);
    assert.ok(log instanceof GroupLogImpl);
    await machine.run(log.flush());
  };
  await synced(draft(1), draft(2));
  await synced(votes("4 2 3"), draft(5));
  for (const one of more) await synced(one);
  // Later blocks are there, so the damaged one is no torn end.
  append(log, term(1), [draft(8)]);
  await machine.settle();
  machine.crash();
  loseConfigurationBlock(machine, store.incarnation);
  return machine;
}

async function recovered(machine: Machine): Promise<RecoveredGroup> {
  const [found] = (await machine.open()).recovered;
  assert.ok(found?.doubted === true);
  return found;
}

const said = ({ config }: RecoveredGroup): string => new TextDecoder().decode(config);

// FS20
describe("Who votes, when the block that said so is damaged and the record that it was synced is not", () => {
  it("is what the newest segment says, at the next start too", async () => {
    const machine = await changed();
    assert.equal(said(await recovered(machine)), "4 2 3");
    assert.ok(machine.events.some((event) => event.startsWith("log.configuration_proved")));
    machine.crash(true);
    assert.equal(said(await recovered(machine)), "4 2 3");
    assert.ok(!machine.events.some((event) => event.startsWith("log.configuration_proved")), "it was said in the log");
  });

  it("is what the start point of the newest segment says, where the frame is in one before", async () => {
    const machine = await changed([draft(6, 3_000), draft(7, 3_000)], 4 * KiB);
    assert.ok(segmentPaths(machine).length >= 2);
    assert.equal(said(await recovered(machine)), "4 2 3");
  });

  it("is what the write-ahead log says, where not all of that segment is whole", async () => {
    const machine = await changed([draft(6)]);
    const path = segmentPaths(machine).at(-1) ?? "";
    file(machine, path).flipBit(contents(machine, path).length - 20, 2);
    assert.equal(said(await recovered(machine)), "1 2 3");
    assert.deepEqual(machine.failures, []);
  });
});
