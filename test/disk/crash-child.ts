import { writeSync } from "node:fs";
import type { Disk, DiskFile } from "../../src/base/ports/disk.ts";
import { openDisk } from "../../src/disk/index.ts";
import { work } from "./crash-contract.ts";

/**
 * Does the work of the crash contract on a real directory and kills itself, without a word, while its n-th operation is under way.
 * Started by `node-disk.test.ts` as `crash-child DIRECTORY N`; says each step that begins or ends on stdout, a line each.
 */
const [directory, at] = process.argv.slice(2);
if (directory === undefined || at === undefined) throw new Error("usage: crash-child DIRECTORY N");

const killAt = Number(at);
let operations = 0;

/** The call is issued first, so that the kernel may or may not have done it. */
function cut<T>(call: Promise<T>): Promise<T> {
  operations++;
  if (operations === killAt) process.kill(process.pid, "SIGKILL");
  return call;
}

function cutFile(file: DiskFile): DiskFile {
  return {
    path: file.path,
    write: (position, chunks) => cut(file.write(position, chunks)),
    read: (position, into) => cut(file.read(position, into)),
    sync: () => cut(file.sync()),
    truncate: (size) => cut(file.truncate(size)),
    size: () => cut(file.size()),
    close: () => cut(file.close()),
  };
}

function cutDisk(disk: Disk): Disk {
  return {
    root: disk.root,
    open: async (path, options) => cutFile(await cut(disk.open(path, options))),
    list: (path) => cut(disk.list(path)),
    makeDirectory: (path) => cut(disk.makeDirectory(path)),
    rename: (from, to) => cut(disk.rename(from, to)),
    unlink: (path) => cut(disk.unlink(path)),
    removeDirectory: (path) => cut(disk.removeDirectory(path)),
    syncDirectory: (path) => cut(disk.syncDirectory(path)),
    freeBytes: () => cut(disk.freeBytes()),
    lock: () => cut(disk.lock()),
  };
}

await work(cutDisk(openDisk(directory)), (event, step) => writeSync(1, `${event}\t${step}\n`));
