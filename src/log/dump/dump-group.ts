import type { GroupId, LogIndex } from "../../base/ids.ts";
import type { Disk } from "../../base/ports/disk.ts";
import { FileWindow } from "../file-window.ts";
import { Malformed } from "../model/bytes.ts";
import { GroupImage } from "../model/image.ts";
import type { WalOp } from "../model/records.ts";
import { decodeStartPoint, START_HEADER_BYTES, startPointBytes } from "../model/segment-files.ts";
import { GROUPS_FOLDER, parseGroupFolder, parseSegment, WAL_FOLDER } from "../model/segment-name.ts";
import { parseSnapshot } from "../model/snapshot-file.ts";
import { withFile } from "../segment-loader.ts";
import { type DumpSink, dumpFile } from "./dump-file.ts";
import { blocksOf } from "./dump-wal.ts";

/** A group as the files of one data directory tell of it. */
export interface FoundGroup {
  readonly groupId: GroupId;
  /** Its folder, when there is one. */
  readonly folder: string | undefined;
  /** What was given when the group was made; undefined: nothing that is left says it. */
  readonly config: Uint8Array | undefined;
}

interface WalFrame {
  readonly path: string;
  readonly position: number;
  readonly bytes: number;
}

interface WalBlock {
  readonly sequence: number;
  readonly lowMark: number;
  /** What it says of groups, in order. */
  readonly events: readonly (
    | { readonly kind: "frame"; readonly groupId: GroupId; readonly index: LogIndex; readonly at: WalFrame }
    | { readonly kind: "op"; readonly op: WalOp }
  )[];
}

/** The write-ahead log of a data directory as far as it can be read, without changing anything. */
export class WalDump {
  readonly #blocks: readonly WalBlock[];

  private constructor(blocks: readonly WalBlock[]) {
    this.#blocks = blocks;
  }

  /** @param bad places where a block must have been */
  static async read(disk: Disk, bad: DumpSink): Promise<WalDump> {
    const blocks: WalBlock[] = [];
    for (const name of await namesIn(disk, WAL_FOLDER)) {
      if (!/^\d{2,}$/.test(name)) continue;
      const path = `${WAL_FOLDER}/${name}`;
      await withFile(disk, path, "read", async (file) => {
        const window = new FileWindow(file, await file.size());
        const told = (position: number, what: string): void | Promise<void> => bad({ kind: "bad", path, position, what });
        for await (const { position, header, records } of blocksOf(window, told)) {
          const events = records.map((record) => {
            if (record.kind === "op") return record;
            const { groupId, index, bytes } = record.frame;
            return { kind: "frame" as const, groupId, index, at: { path, position: position + record.at, bytes: bytes.length } };
          });
          blocks.push({ sequence: header.sequence, lowMark: header.lowMark, events });
        }
      });
    }
    blocks.sort((a, b) => a.sequence - b.sequence);
    const needed = blocks.at(-1)?.lowMark ?? 0;
    return new WalDump(blocks.filter(({ sequence }) => sequence >= needed));
  }

  /** Configurations of the groups it names. */
  configs(): Map<GroupId, Uint8Array> {
    const configs = new Map<GroupId, Uint8Array>();
    for (const { events } of this.#blocks)
      for (const event of events) {
        if (event.kind !== "op") continue;
        const { op } = event;
        if (op.kind === "open" || op.kind === "install") configs.set(op.groupId, op.config);
        else if (op.kind === "drop") configs.delete(op.groupId);
        else if (op.kind === "checkpoint") {
          const image = imageOf(op.image);
          if (image !== undefined) configs.set(image.groupId, image.configs.base);
        }
      }
    return configs;
  }

  /** Where the frames of a group lie, ascending, as the records say they stand at the end. */
  framesOf(groupId: GroupId): Map<LogIndex, WalFrame> {
    const frames = new Map<LogIndex, WalFrame>();
    for (const { events } of this.#blocks)
      for (const event of events) {
        if (event.kind === "frame" && event.groupId === groupId) frames.set(event.index, event.at);
        if (event.kind !== "op" || !("groupId" in event.op) || event.op.groupId !== groupId) continue;
        const { op } = event;
        if (op.kind === "open" || op.kind === "drop" || op.kind === "install") frames.clear();
        if (op.kind === "truncate") for (const index of [...frames.keys()]) if (index >= op.from) frames.delete(index);
      }
    return new Map([...frames].sort(([a], [b]) => a - b));
  }
}

/** Groups that have files here, or that the write-ahead log names. */
export async function groupsOf(disk: Disk, wal: WalDump): Promise<readonly FoundGroup[]> {
  const found = new Map<GroupId, FoundGroup>();
  for (const [groupId, config] of wal.configs()) found.set(groupId, { groupId, folder: undefined, config });
  for (const name of await namesIn(disk, GROUPS_FOLDER)) {
    const parsed = parseGroupFolder(name);
    if (parsed === undefined) continue;
    const folder = `${GROUPS_FOLDER}/${name}`;
    const config = found.get(parsed.groupId)?.config ?? (await configIn(disk, folder));
    found.set(parsed.groupId, { groupId: parsed.groupId, folder, config });
  }
  return [...found.values()].sort((a, b) => a.groupId - b.groupId);
}

/** What one group has: its snapshots, then every frame, from its segments and then from the write-ahead log. */
export async function dumpGroup(disk: Disk, wal: WalDump, group: FoundGroup, sink: DumpSink): Promise<void> {
  let last = 0;
  const names = group.folder === undefined ? [] : await namesIn(disk, group.folder);
  for (const name of names) if (parseSnapshot(name) !== undefined) await dumpFile(disk, `${group.folder}/${name}`, sink);
  const segments = names.filter((name) => parseSegment(name) !== undefined);
  for (const name of segments) {
    await dumpFile(disk, `${group.folder}/${name}`, (item) => {
      if (item.kind === "frame") {
        // A segment that was begun and never promised may repeat what stands before it.
        if (item.frame.index <= last) return undefined;
        last = item.frame.index;
      }
      return item.kind === "note" ? undefined : sink(item);
    });
  }
  for (const [index, { path, position, bytes }] of wal.framesOf(group.groupId)) {
    if (index <= last) continue;
    const frame = await withFile(disk, path, "read", async (file) =>
      new FileWindow(file, await file.size(), undefined, bytes).frame(position),
    );
    await sink(typeof frame === "string" ? { kind: "bad", path, position, what: frame } : { kind: "frame", path, position, frame });
    last = index;
  }
}

async function configIn(disk: Disk, folder: string): Promise<Uint8Array | undefined> {
  for (const name of await namesIn(disk, folder)) {
    if (parseSegment(name) === undefined) continue;
    const config = await withFile(disk, `${folder}/${name}`, "read", async (file) => {
      const window = new FileWindow(file, await file.size());
      const head = await window.at(0, START_HEADER_BYTES);
      if (typeof head === "string") return undefined;
      try {
        const bytes = await window.at(0, startPointBytes(head));
        return typeof bytes === "string" ? undefined : decodeStartPoint(bytes).config;
      } catch (error) {
        if (error instanceof Malformed) return undefined;
        throw error;
      }
    });
    if (config !== undefined) return config;
  }
  return undefined;
}

function imageOf(bytes: Uint8Array): GroupImage | undefined {
  try {
    return GroupImage.decode(bytes);
  } catch (error) {
    if (error instanceof Malformed) return undefined;
    throw error;
  }
}

async function namesIn(disk: Disk, folder: string): Promise<string[]> {
  return (await disk.list(folder)).map(({ name }) => name).sort();
}
