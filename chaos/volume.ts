import { execFileSync } from "node:child_process";
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, statfsSync, truncateSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const MiB = 1024 * 1024;
const BLOCK = Buffer.alloc(4096);

/** A small real file system: an ext4 image, mounted by a loop device below a temporary folder. Needs root. */
export class Volume {
  readonly path: string;
  readonly #ballast: string;

  private constructor(path: string) {
    this.path = path;
    this.#ballast = join(path, "ballast");
  }

  /** @throws {Error} what mkfs or mount said */
  static make(folder: string, name: string, bytes: number): Volume {
    const image = join(folder, `${name}.img`);
    const path = join(folder, name);
    closeSync(openSync(image, "w"));
    truncateSync(image, bytes);
    mkdirSync(path);
    run("mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0", image);
    run("mount", "-o", "loop,noatime", image, path);
    return new Volume(path);
  }

  get freeBytes(): number {
    const { bavail, bsize } = statfsSync(this.path);
    return bavail * bsize;
  }

  /** Somebody else takes all but so much. */
  fill(leaveBytes: number): void {
    const bytes = this.freeBytes - Math.max(leaveBytes, MiB);
    if (bytes > 0) run("fallocate", "-l", `${bytes}`, this.#ballast);
    // The last of it block by block: how much of it the file system needs for itself only shows then.
    const file = openSync(this.#ballast, "a");
    try {
      while (this.freeBytes > leaveBytes) writeSync(file, BLOCK);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
    } finally {
      closeSync(file);
    }
  }

  /** And gives it back. */
  drain(): void {
    rmSync(this.#ballast, { force: true });
  }

  unmount(): void {
    // Lazily: a process that was just killed may still hold a file.
    run("umount", "-l", this.path);
  }
}

/**
 * Volumes below a temporary folder of their own, gone when the process ends, whatever ends it.
 *
 * @returns the reason when this machine cannot do that
 */
export function smallVolumes(count: number, bytes: number): { readonly folder: string; readonly volumes: readonly Volume[] } | string {
  if (process.getuid?.() !== 0) return "mounting needs root";
  const folder = mkdtempSync(join(tmpdir(), "millrace-disk-full-"));
  const volumes: Volume[] = [];
  process.on("exit", () => {
    for (const volume of volumes) {
      try {
        volume.unmount();
      } catch (error) {
        console.log(`note: ${volume.path} stays mounted: ${(error as Error).message}`);
        return;
      }
    }
    rmSync(folder, { recursive: true, force: true });
  });
  try {
    for (let n = 1; n <= count; n++) volumes.push(Volume.make(folder, `disk-${n}`, bytes));
  } catch (error) {
    return `no loop-mounted ext4 on this machine: ${(error as Error).message.trim().split("\n").at(-1)}`;
  }
  return { folder, volumes };
}

export function mebibytes(bytes: number): string {
  return `${(bytes / MiB).toFixed(1)} MiB`;
}

function run(program: string, ...args: readonly string[]): void {
  execFileSync(program, args, { stdio: ["ignore", "ignore", "pipe"], encoding: "utf8" });
}
