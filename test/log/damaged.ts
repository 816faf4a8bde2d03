import assert from "node:assert/strict";
import type { Hole, PullFrames } from "../../src/log/holes.ts";
import type { GroupLog } from "../../src/log/types.ts";
import { decodeFrame } from "../../src/records/frame.ts";
import type { Frame } from "../../src/records/frame-types.ts";
import type { FileNode } from "../../src/testing/sim/disk/file-node.ts";
import { append, EMPTY, fromProducer, group, index, replica, term, text } from "./frames.ts";
import { KiB, Machine } from "./machine.ts";

export const FOLDER = "groups/7-3";
export const FRAMES = 120;

export function file(machine: Machine, path: string): FileNode {
  const found = machine.device.files().find((one) => one.path === path || one.path === `/${path}`);
  assert.ok(found !== undefined, `${path} is there: ${machine.device.files().map((one) => one.path)}`);
  return found.file;
}

export function contents(machine: Machine, path: string): Uint8Array {
  const bytes = new Uint8Array(file(machine, path).size);
  file(machine, path).read(0, bytes);
  return bytes;
}

export function segmentPaths(machine: Machine, kind = ".log", folder = FOLDER): string[] {
  const paths = machine.device.files().map((one) => one.path.replace(/^\//, ""));
  return paths.filter((path) => path.startsWith(folder) && path.endsWith(kind)).sort();
}

export async function overwrite(machine: Machine, path: string, bytes: Uint8Array): Promise<void> {
  await machine.run(machine.disk.unlink(path)).catch(() => {});
  const made = await machine.run(machine.disk.open(path, { mode: "create" }));
  await machine.run(made.write(0, [bytes]));
  await machine.run(made.sync());
  await machine.run(made.close());
}

/** Groups 7 and 8 with 120 frames of 4 KiB each, alike but for their names, in several segments, closed in peace. */
async function written(): Promise<{ machine: Machine; frames: Frame[] }> {
  const machine = new Machine();
  const store = await machine.open();
  const frames: Frame[] = [];
  for (const id of [7, 8]) {
    const log = await machine.run(store.create(group(id), replica(id === 7 ? 3 : 4), EMPTY, text("who votes")));
    for (let i = 0; i < FRAMES; i += 1) {
      // The memory a frame was written from is used again.
      for (const frame of append(log, term(1 + Math.floor(i / 50)), [fromProducer(40 + (i % 3), Math.floor(i / 3), i, 4000)]))
        if (id === 7) frames.push(decodeFrame(Uint8Array.from(frame.bytes)));
      log.commit(log.lastIndex);
      if (i % 4 === 0) await machine.settle();
    }
  }
  await machine.settle();
  await machine.run(store.close());
  machine.crash();
  return { machine, frames };
}

let made: Promise<{ readonly files: ReadonlyMap<string, Uint8Array>; readonly frames: readonly Frame[] }> | undefined;

/** The same disk each time, on a machine of its own. */
export async function twoGroups(): Promise<{ machine: Machine; frames: Frame[] }> {
  made ??= written().then(({ machine, frames }) => {
    const paths = machine.device.files().map((one) => one.path.replace(/^\//, ""));
    return { files: new Map(paths.map((path) => [path, contents(machine, path)])), frames };
  });
  const { files, frames } = await made;
  const machine = new Machine();
  for (const [path, bytes] of files) {
    const folder = path.slice(0, Math.max(0, path.lastIndexOf("/")));
    if (folder !== "") await machine.run(machine.disk.makeDirectory(folder));
    await overwrite(machine, path, bytes);
    await machine.run(machine.disk.syncDirectory(folder));
  }
  for (const folder of ["groups", ""]) await machine.run(machine.disk.syncDirectory(folder));
  machine.crash();
  return { machine, frames: [...frames] };
}

/** Another replica, which has all frames but those in `but`. */
export function peer(frames: readonly Frame[], but: readonly number[] = []): PullFrames {
  return async (first, last) => {
    const found: Frame[] = [];
    for (let at: number = first; at <= last && !but.includes(at) && found.length < 5; at += 1) found.push(frames[at - 1] as Frame);
    return found.length === 0 ? undefined : found;
  };
}

export async function readAll(machine: Machine, log: GroupLog, but: readonly number[] = []): Promise<Frame[]> {
  const found: Frame[] = [];
  for (let next = 1; next <= log.lastIndex; next = (found.at(-1)?.index ?? 0) + 1) {
    while (but.includes(next)) next += 1;
    if (next > log.lastIndex) break;
    const result = await machine.run(Promise.resolve(log.read(index(next), 64 * KiB, log.lastIndex)));
    assert.ok(result.kind === "frames" && result.frames.length > 0 && result.frames[0]?.index === next, `frame ${next} is read`);
    if (result.kind === "frames") found.push(...result.frames);
  }
  return found;
}

export function assertSame(found: readonly Frame[], frames: readonly Frame[], but: readonly number[] = []): void {
  const wanted = frames.filter((frame) => !but.includes(frame.index));
  assert.deepEqual(
    found.map((frame) => frame.index),
    wanted.map((frame) => frame.index),
  );
  for (const [i, frame] of found.entries()) assert.ok(Buffer.from(frame.bytes).equals(Buffer.from(wanted[i]?.bytes ?? [])));
}

export function producersOf(log: GroupLog): unknown {
  return [40, 41, 42].map((id) => log.producers.get(id));
}

export const unpaced = <T>(_bytes: number, read: () => Promise<T>): Promise<T> => read();

export function lostOf(holes: readonly Hole[]): number[] {
  return holes.flatMap(({ first, last }) => Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => first + i));
}
