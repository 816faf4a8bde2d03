import { lstatSync, mkdirSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { DiskError } from "../base/ports/disk.ts";
import { errnoOf, toDiskError } from "./disk-error.ts";

const WRITABLE_BY_OTHERS = 0o002;

/**
 * Makes the data directory when it is missing (mode 0700) and refuses one that others could swap or fill: a symbolic link, anything
 * that is no directory, one owned by another user, one that everybody may write (case 52).
 *
 * @throws {DiskError} "ELOOP" link · "ENOTDIR" no directory · "EPERM" foreign owner · "EACCES" world-writable · errno of mkdir or lstat
 */
export function claimDataDirectory(directory: string): void {
  const found = statOf(directory);
  if (found === undefined) {
    makeWithParents(resolve(directory));
    return;
  }
  if (found.isSymbolicLink()) throw new DiskError("ELOOP", directory, "use a symbolic link as data directory; name its target instead of");
  if (!found.isDirectory()) throw new DiskError("ENOTDIR", directory, "use something that is no directory as data directory:");
  const self = process.geteuid?.();
  if (self !== undefined && found.uid !== self) {
    throw new DiskError("EPERM", directory, `use a data directory owned by user ${found.uid} while running as ${self}:`);
  }
  if ((found.mode & WRITABLE_BY_OTHERS) !== 0) throw new DiskError("EACCES", directory, "use a world-writable data directory (chmod o-w):");
}

/** Step by step: where nothing can be made (below `/proc`) the recursive mkdir of Node 20 tries for ever. */
function makeWithParents(directory: string): void {
  const parent = dirname(directory);
  if (parent !== directory && statOf(parent) === undefined) makeWithParents(parent);
  try {
    mkdirSync(directory, { mode: 0o700 });
  } catch (error) {
    // Another broker may have made a folder that both are in.
    if (errnoOf(error) !== "EEXIST") throw toDiskError(error, directory, "make the data directory");
  }
}

function statOf(directory: string) {
  try {
    return lstatSync(directory);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw toDiskError(error, directory, "look at the data directory");
  }
}
