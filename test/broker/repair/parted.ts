import assert from "node:assert/strict";
import { obeyTrim } from "../../../src/broker/repair/obey-trim.ts";
import type { GroupLog } from "../../../src/log/types.ts";
import type { Frame } from "../../../src/records/frame-types.ts";
import { FRAMES, file, peer, segmentPaths, twoGroups, unpaced } from "../../log/damaged.ts";
import { group, index, offset } from "../../log/frames.ts";
import { KiB, type Machine } from "../../log/machine.ts";

/** What of the segment is damaged: a payload, or everything from a frame on; of which one. */
export interface Damage {
  readonly segment: number;
  readonly toTheEnd: boolean;
}

export interface Parted {
  readonly machine: Machine;
  readonly frames: readonly Frame[];
  /** The last frame that others have dropped: within the damaged segment, behind or in the hole. */
  readonly cut: number;
  readonly log: GroupLog;
}

export async function damaged({ segment, toTheEnd }: Damage): Promise<Parted> {
  const { machine, frames } = await twoGroups();
  const path = segmentPaths(machine).at(segment) as string;
  if (toTheEnd) await machine.run(machine.disk.unlink(path.replace(/log$/, "index")));
  // Of a header, or of a payload.
  const place = segment < 0 ? 2_000 : 20_000;
  const length = toTheEnd ? 5_000 : 1;
  for (let at = 0; at < length; at += 100) file(machine, path).flipBit(place + at, 2);
  const log = (await machine.open()).open(group(7));
  await machine.run(log.scrub(unpaced));
  const [hole] = log.holes;
  assert.ok(hole !== undefined && log.holes.length === 1, JSON.stringify(log.holes));
  const span = log.segments.find(({ lastIndex }) => lastIndex >= hole.first);
  if (toTheEnd) assert.equal(hole.last, span?.lastIndex);
  return { machine, frames, log, cut: hole.first + (segment < 0 ? 1 : 6) };
}

/** What the others say of where they begin: a little further on than the last frame they dropped. */
export const elsewhere = ({ frames, cut }: Parted) => ({ index: index(cut), offset: offset((frames[cut]?.baseOffset ?? 0) + 1) });

/** As the repairer does it. */
export async function obey(of: Parted, log = of.log, trimmed = elsewhere(of).offset): Promise<number | undefined> {
  const { machine, frames, cut } = of;
  const gone = Array.from({ length: cut }, (_, i) => i + 1);
  assert.equal(await machine.run(log.repair(peer(frames, gone))), false);
  const parting = log.part(index(cut), trimmed, peer(frames, gone));
  await machine.run(parting);
  const replica = { log, snapshotAt: () => undefined, passedOver: index(0) };
  return obeyTrim(replica, { index: index(cut), offset: trimmed });
}

export async function assertBehind({ machine, frames, cut }: Parted, log: GroupLog): Promise<void> {
  assert.deepEqual([log.start.index, log.holes], [cut, []]);
  const found: number[] = [];
  for (let next = cut + 1; next <= log.lastIndex; next = (found.at(-1) ?? 0) + 1) {
    const read = await machine.run(Promise.resolve(log.read(index(next), 64 * KiB, log.lastIndex)));
    assert.ok(read.kind === "frames" && read.frames.length > 0);
    for (const frame of read.frames) assert.ok(Buffer.from(frame.bytes).equals(Buffer.from(frames[frame.index - 1]?.bytes ?? [])));
    found.push(...read.frames.map((frame) => frame.index));
  }
  assert.equal(found.length, FRAMES - cut);
}

export const DAMAGE: readonly (readonly [string, Damage])[] = [
  ["a frame in the middle", { segment: 1, toTheEnd: false }],
  ["all from a frame on", { segment: 1, toTheEnd: true }],
  ["a frame of the newest segment", { segment: -1, toTheEnd: false }],
];
