import { closeSync, fstatSync, openSync, readdirSync, readSync } from "node:fs";
import { join } from "node:path";
import { openDisk } from "../../src/disk/index.ts";
import { blocksOf, type DumpedBlock } from "../../src/log/dump/dump-wal.ts";
import { FileWindow } from "../../src/log/file-window.ts";
import { Malformed } from "../../src/log/model/bytes.ts";
import { decodeFooter, FOOTER_BYTES, START_HEADER_BYTES, startPointBytes } from "../../src/log/model/segment-files.ts";
import { GROUPS_FOLDER, parseGroupFolder, parseSegment, WAL_FOLDER, walPath } from "../../src/log/model/segment-name.ts";
import { parseSnapshot } from "../../src/log/model/snapshot-file.ts";
import { withFile } from "../../src/log/segment-loader.ts";
import type { Draws } from "../draws.ts";
import type { Spot } from "./wounds.ts";

/** Whom a spot is for, and beside whom it lies. */
export interface Groups {
  readonly group: number;
  readonly sibling: number;
}

const METADATA = 1;

/** Where on the disk of a broker each place of the issue lies; `undefined` when it holds none just now. */
export const places = {
  "sealed segment": (data: string, groups: Groups, draws: Draws) => segmentSpot(data, groups, draws, true),
  "unsealed tail": (data: string, groups: Groups, draws: Draws) => segmentSpot(data, groups, draws, false),
  index: indexSpot,
  footer: footerSpot,
  "write-ahead log": (data: string, { group }: Groups, draws: Draws) =>
    walSpot(data, draws, ({ records }) => records.some((record) => record.kind === "frame" && record.frame.groupId === group)),
  "term and vote": (data: string, { group }: Groups, draws: Draws) =>
    walSpot(data, draws, ({ records }) =>
      records.some((record) => record.kind === "op" && record.op.kind === "state" && record.op.groupId === group),
    ),
  "metadata snapshot": snapshotSpot,
  "meta.json": (data: string) => Promise.resolve<Spot | undefined>({ path: "meta.json", from: 0, to: sizeOf(join(data, "meta.json")) }),
} as const satisfies Readonly<Record<string, (data: string, groups: Groups, draws: Draws) => Promise<Spot | undefined>>>;

export type PlaceName = keyof typeof places;

interface SegmentFile {
  /** Without its ending. */
  readonly stem: string;
  /** Where the frames begin. */
  readonly frames: number;
  readonly size: number;
  readonly sealed: boolean;
}

function segmentSpot(data: string, groups: Groups, draws: Draws, sealed: boolean): Promise<Spot | undefined> {
  const own = segmentsOf(data, groups.group).filter((segment) => segment.sealed === sealed && segment.size > segment.frames);
  const other = segmentsOf(data, groups.sibling).findLast((segment) => segment.sealed === sealed);
  if (own.length === 0 || other === undefined) return Promise.resolve(undefined);
  const { stem, frames, size } = sealed ? draws.pick(own) : (own.at(-1) as SegmentFile);
  const to = sealed ? size - FOOTER_BYTES : size;
  return Promise.resolve({ path: `${stem}.log`, from: frames, to, sibling: { path: `${other.stem}.log`, from: 0, to: other.size } });
}

function indexSpot(data: string, groups: Groups, draws: Draws): Promise<Spot | undefined> {
  const own = segmentsOf(data, groups.group).filter(({ sealed }) => sealed);
  const other = segmentsOf(data, groups.sibling).find(({ sealed }) => sealed);
  if (own.length === 0 || other === undefined) return Promise.resolve(undefined);
  const path = `${draws.pick(own).stem}.index`;
  const sibling = { path: `${other.stem}.index`, from: 0, to: 0 };
  return Promise.resolve({ path, from: 0, to: sizeOf(join(data, path)), sibling });
}

function footerSpot(data: string, groups: Groups, draws: Draws): Promise<Spot | undefined> {
  const footer = ({ stem, size }: SegmentFile): Spot => ({ path: `${stem}.log`, from: size - FOOTER_BYTES, to: size, part: true });
  const own = segmentsOf(data, groups.group).filter(({ sealed }) => sealed);
  const other = segmentsOf(data, groups.sibling).find(({ sealed }) => sealed);
  if (own.length === 0 || other === undefined) return Promise.resolve(undefined);
  return Promise.resolve({ ...footer(draws.pick(own)), sibling: footer(other) });
}

/**
 * A block of the newest file of the ring, but none of the last two: the very last, damaged, is what a torn write leaves (design §4), and
 * then nothing was promised.
 */
async function walSpot(data: string, draws: Draws, fits: (block: DumpedBlock) => boolean): Promise<Spot | undefined> {
  const disk = openDisk(data);
  let newest: { readonly path: string; readonly blocks: readonly DumpedBlock[] } | undefined;
  for (const name of readdirSync(join(data, WAL_FOLDER)).filter((entry) => /^\d{2,}$/.test(entry))) {
    const path = walPath(Number(name));
    const blocks: DumpedBlock[] = [];
    await withFile(disk, path, "read", async (file) => {
      for await (const block of blocksOf(new FileWindow(file, await file.size()), () => undefined)) blocks.push(block);
    });
    const last = blocks.at(-1)?.header.sequence ?? 0;
    if (last > (newest?.blocks.at(-1)?.header.sequence ?? 0)) newest = { path, blocks };
  }
  if (newest === undefined) return undefined;
  const fitting = newest.blocks.slice(0, -2).filter(fits);
  if (fitting.length === 0) return undefined;
  // The later, the less is behind it that says the same again.
  const { position, header } = draws.pick(fitting.slice(-4));
  return { path: newest.path, from: position, to: position + header.bytes };
}

/** The newest one; the older one beside it is what is copied over, since no other group has any. */
function snapshotSpot(data: string): Promise<Spot | undefined> {
  const paths = snapshotsOf(data);
  const path = paths.at(-1);
  const older = paths.at(-2);
  if (path === undefined || older === undefined) return Promise.resolve(undefined);
  const sibling = { path: older, from: 0, to: 0 };
  return Promise.resolve({ path, from: 0, to: sizeOf(join(data, path)), spares: paths.slice(0, -1), sibling });
}

/** Of the metadata, ascending. */
export function snapshotsOf(data: string): readonly string[] {
  const folder = folderOf(data, METADATA);
  const names = folder === undefined ? [] : readdirSync(join(data, folder)).filter((name) => parseSnapshot(name) !== undefined);
  return names.sort().map((name) => `${folder}/${name}`);
}

/** `groups/<group>-<replica>`: of a replica that was made anew, the newest. */
export function folderOf(data: string, group: number): string | undefined {
  const found = readdirSync(join(data, GROUPS_FOLDER))
    .map((name) => ({ name, parsed: parseGroupFolder(name) }))
    .filter(({ parsed }) => parsed?.groupId === group)
    .sort((a, b) => (a.parsed?.replicaId ?? 0) - (b.parsed?.replicaId ?? 0));
  const name = found.at(-1)?.name;
  return name === undefined ? undefined : `${GROUPS_FOLDER}/${name}`;
}

/** Ascending. */
function segmentsOf(data: string, group: number): readonly SegmentFile[] {
  const folder = folderOf(data, group);
  if (folder === undefined) return [];
  const names = readdirSync(join(data, folder)).filter((name) => parseSegment(name) !== undefined);
  return names.sort().map((name) => segmentFile(data, `${folder}/${name}`));
}

function segmentFile(data: string, path: string): SegmentFile {
  const file = openSync(join(data, path), "r");
  try {
    const { size } = fstatSync(file);
    const head = Buffer.alloc(START_HEADER_BYTES);
    readSync(file, head, 0, head.length, 0);
    const foot = Buffer.alloc(FOOTER_BYTES);
    readSync(file, foot, 0, foot.length, Math.max(0, size - FOOTER_BYTES));
    return { stem: path.replace(/\.log$/, ""), frames: startPointBytes(head), size, sealed: isFooter(foot) };
  } finally {
    closeSync(file);
  }
}

function isFooter(bytes: Uint8Array): boolean {
  try {
    decodeFooter(bytes);
    return true;
  } catch (error) {
    if (error instanceof Malformed) return false;
    throw error;
  }
}

function sizeOf(path: string): number {
  const file = openSync(path, "r");
  try {
    return fstatSync(file).size;
  } finally {
    closeSync(file);
  }
}
