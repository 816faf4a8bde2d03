import type { Disk } from "../base/ports/disk.ts";
import { incarnationOf } from "./meta.ts";
import { GROUPS_FOLDER, WAL_FOLDER } from "./model/segment-name.ts";

/** Where data goes that its broker shall not use any more: `set-aside/1`, `set-aside/2`, … */
export const SET_ASIDE_FOLDER = "set-aside";

const PARTS = [GROUPS_FOLDER, WAL_FOLDER, "meta.json"];

/** What came of `--new-incarnation`. */
export interface SetAside {
  /** Whose disk it was: an incarnation, or that this cannot be read; undefined: the directory was empty. */
  readonly found: string | undefined;
  /** Where it went; undefined: it stayed, because it is another one than was named. */
  readonly folder: string | undefined;
}

/**
 * Sets a disk aside if it is the one that was named. One that was set aside has another incarnation from then on: who says the same at
 * every start (a unit file, a chart) changes nothing by it.
 *
 * @param incarnation of the disk that shall not be used any more, or `UNREADABLE`
 */
export async function setAsideIf(disk: Disk, incarnation: string): Promise<SetAside> {
  const found = await incarnationOf(disk);
  return { found, folder: found === incarnation ? await setAside(disk) : undefined };
}

/**
 * Moves everything a log consists of out of the way, so that the directory begins as an empty one: the data of a restored copy may
 * contradict what its broker promised since (design §4). Nothing is deleted. Before anything is read: what is there may be damaged.
 * After a crash in the middle the rest is found by the next call, and goes into a folder of its own.
 *
 * @returns the folder, or undefined when there was nothing
 */
export async function setAside(disk: Disk): Promise<string | undefined> {
  const names = new Set((await disk.list("")).map((entry) => entry.name));
  const parts = PARTS.filter((part) => names.has(part));
  if (parts.length === 0) return undefined;
  const earlier = names.has(SET_ASIDE_FOLDER) ? (await disk.list(SET_ASIDE_FOLDER)).map((entry) => Number(entry.name)) : [];
  const folder = `${SET_ASIDE_FOLDER}/${1 + Math.max(0, ...earlier.filter(Number.isSafeInteger))}`;
  await disk.makeDirectory(folder);
  await disk.syncDirectory(SET_ASIDE_FOLDER);
  // The folder of folders is new too: a power cut would take it, and all that was renamed into it.
  await disk.syncDirectory("");
  // `meta.json` last: until then the directory is refused as one whose log is missing, not taken for that of another cluster's beginner.
  for (const part of parts) {
    await disk.rename(part, `${folder}/${part}`);
    await disk.syncDirectory(folder);
    await disk.syncDirectory("");
  }
  return folder;
}
