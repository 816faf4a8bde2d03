import type { ReplicaId } from "../base/ids.ts";
import { type Disk, DiskError } from "../base/ports/disk.ts";
import type { Telemetry } from "../base/ports/telemetry.ts";
import { GROUPS_FOLDER, groupFolder, parseGroupFolder } from "./model/segment-name.ts";
import type { WalImage } from "./model/wal-image.ts";

/**
 * Folders of replicas that were dropped, or that a crash kept from ever being opened (empty ones), go away. One with files whose
 * replica this log never knew is not ours to remove.
 *
 * @param forgot the write-ahead log forgot whose some may be: they are kept under another name
 */
export async function removeLeftFolders(disk: Disk, telemetry: Telemetry, image: WalImage, forgot: boolean): Promise<void> {
  const wanted = new Set([...image.groups.values()].map(({ groupId, replicaId }) => groupFolder(groupId, replicaId)));
  for (const entry of await disk.list(GROUPS_FOLDER)) {
    const folder = `${GROUPS_FOLDER}/${entry.name}`;
    if (entry.kind !== "directory" || wanted.has(folder)) continue;
    const dropped = image.dropped.has(parseGroupFolder(entry.name)?.replicaId ?? (0 as ReplicaId));
    if (dropped || (await disk.list(folder)).length === 0) await removeFolder(disk, folder);
    else if (forgot && parseGroupFolder(entry.name) !== undefined) await setFolderAside(disk, telemetry, folder, "forgotten");
    else if (!isSetAside(entry.name)) telemetry.log("warn", "log.unknown_folder", { folder });
  }
}

/** Removes one group's folder with all its files, durably. One that is not there is fine. */
export async function removeFolder(disk: Disk, folder: string): Promise<void> {
  try {
    for (const entry of await disk.list(folder)) await disk.unlink(`${folder}/${entry.name}`);
    await disk.removeDirectory(folder);
    await disk.syncDirectory(GROUPS_FOLDER);
  } catch (error) {
    if (!(error instanceof DiskError && error.code === "ENOENT")) throw error;
  }
}

/** What is renamed may be made again from its peers, has a successor on this disk, or was given up by a recovery; nothing is deleted. */
export async function setFolderAside(
  disk: Disk,
  telemetry: Telemetry,
  folder: string,
  why: "forgotten" | "replaced" | "fenced",
): Promise<void> {
  const names = new Set((await disk.list(GROUPS_FOLDER)).map(({ name }) => `${GROUPS_FOLDER}/${name}`));
  // A crash came after it had been set aside.
  if (!names.has(folder)) return;
  let aside = `${folder}.${why}`;
  for (let i = 2; names.has(aside); i += 1) aside = `${folder}.${why}-${i}`;
  await disk.rename(folder, aside);
  await disk.syncDirectory(GROUPS_FOLDER);
  telemetry.log("warn", "log.folder_set_aside", { folder, aside });
}

function isSetAside(name: string): boolean {
  return /^\d+-\d+\.(?:forgotten|replaced|fenced)(?:-\d+)?$/.test(name);
}
