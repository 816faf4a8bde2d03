import { constants, open } from "node:fs";
import { mkdir, open as openHandle, readdir, rename, rmdir, statfs, unlink } from "node:fs/promises";
import type { Disk, DiskEntry, DiskFile, OpenOptions } from "../base/ports/disk.ts";
import { claimDataDirectory } from "./data-directory.ts";
import { toDiskError } from "./disk-error.ts";
import { takeLock } from "./lock.ts";
import { NodeFile } from "./node-file.ts";
import { resolveInside } from "./paths.ts";

const MODE_FLAGS = {
  read: constants.O_RDONLY,
  write: constants.O_RDWR,
  create: constants.O_RDWR | constants.O_CREAT | constants.O_EXCL,
} as const;

/**
 * The file system below `directory`, which is made when it is missing.
 *
 * @throws {DiskError} when the directory is one we refuse (see `claimDataDirectory`)
 */
export function openDisk(directory: string): Disk {
  claimDataDirectory(directory);
  return new NodeDisk(directory);
}

class NodeDisk implements Disk {
  readonly root: string;

  constructor(root: string) {
    this.root = root;
  }

  async open(path: string, options: OpenOptions): Promise<DiskFile> {
    const place = resolveInside(this.root, path);
    // A link inside the data directory would lead out of it.
    const flags = MODE_FLAGS[options.mode] | constants.O_NOFOLLOW | (options.durable === true ? constants.O_DSYNC : 0);
    return new Promise((resolve, reject) => {
      open(place, flags, 0o600, (error, descriptor) => {
        if (error === null) resolve(new NodeFile(path, descriptor));
        else reject(toDiskError(error, path, options.mode === "create" ? "create" : "open"));
      });
    });
  }

  async list(path: string): Promise<readonly DiskEntry[]> {
    const entries = await named(path, "list", readdir(resolveInside(this.root, path), { withFileTypes: true }));
    return entries.map((entry) => ({ name: entry.name, kind: entry.isFile() ? "file" : entry.isDirectory() ? "directory" : "other" }));
  }

  async makeDirectory(path: string): Promise<void> {
    await named(path, "make directory", mkdir(resolveInside(this.root, path), { recursive: true, mode: 0o700 }));
  }

  async rename(from: string, to: string): Promise<void> {
    await named(from, `rename to ${to}:`, rename(resolveInside(this.root, from), resolveInside(this.root, to)));
  }

  async unlink(path: string): Promise<void> {
    await named(path, "remove", unlink(resolveInside(this.root, path)));
  }

  async removeDirectory(path: string): Promise<void> {
    await named(path, "remove directory", rmdir(resolveInside(this.root, path)));
  }

  async syncDirectory(path: string): Promise<void> {
    const directory = await named(
      path,
      "open directory",
      openHandle(resolveInside(this.root, path), constants.O_RDONLY | constants.O_DIRECTORY),
    );
    try {
      await named(path, "sync directory", directory.sync());
    } finally {
      await directory.close();
    }
  }

  async freeBytes(): Promise<number> {
    const stats = await named("", "look at the file system of", statfs(this.root));
    return stats.bavail * stats.bsize;
  }

  lock(): Promise<{ release(): Promise<void> }> {
    return takeLock(this.root);
  }
}

async function named<T>(path: string, action: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw toDiskError(error, path === "" ? "the data directory" : path, action);
  }
}
