import { type Disk, type DiskEntry, DiskError, type DiskFile, type OpenOptions } from "../../../base/ports/disk.ts";
import type { SimProcess } from "../process.ts";
import type { DiskDevice, OperationKind } from "./device.ts";
import { SimFile } from "./sim-file.ts";

/** One process' view of a simulated disk: the `Disk` port. */
export class SimDisk implements Disk {
  readonly root: string;
  readonly #device: DiskDevice;
  readonly #process: SimProcess;

  constructor(device: DiskDevice, process: SimProcess) {
    this.root = `/sim/${device.name}`;
    this.#device = device;
    this.#process = process;
  }

  open(path: string, options: OpenOptions): Promise<DiskFile> {
    const existing = options.mode !== "create";
    return this.#names("open", path, () => {
      const tree = this.#device.tree;
      const lenient = this.#device.lies.create === true && [...tree.walk()].some((at) => at.path === path);
      const node = existing || lenient ? tree.file(path, "open") : tree.create(path);
      return new SimFile(this.#device, this.#process, node, path, options);
    });
  }

  list(path: string): Promise<readonly DiskEntry[]> {
    return this.#names("list", path, () => this.#device.random.shuffled(this.#device.tree.list(path)));
  }

  makeDirectory(path: string): Promise<void> {
    return this.#names("makeDirectory", path, () => this.#device.tree.makeDirectory(path));
  }

  rename(from: string, to: string): Promise<void> {
    return this.#names("rename", from, () => this.#device.tree.rename(from, to));
  }

  unlink(path: string): Promise<void> {
    return this.#names("unlink", path, () => this.#device.tree.unlink(path));
  }

  removeDirectory(path: string): Promise<void> {
    return this.#names("removeDirectory", path, () => this.#device.tree.removeDirectory(path));
  }

  syncDirectory(path: string): Promise<void> {
    return this.#names("syncDirectory", path, () => {
      if (this.#device.lies.syncDirectory !== true) this.#device.tree.syncDirectory(path);
    });
  }

  freeBytes(): Promise<number> {
    return this.#process.promise((resolve) => resolve(this.#device.freeBytes));
  }

  lock(): Promise<{ release(): Promise<void> }> {
    return this.#names("lock", "", () => {
      const device = this.#device;
      if (device.holder?.alive === true && device.lies.lock !== true) {
        throw new DiskError("ELOCKED", this.root, "use the data directory while another process does:");
      }
      const self = this.#process;
      device.holder = self;
      return {
        async release() {
          if (device.holder === self) device.holder = undefined;
        },
      };
    });
  }

  /** A call on names: it happens whole when it completes, or not at all. */
  #names<T>(kind: OperationKind, path: string, act: () => T): Promise<T> {
    return this.#process.promise((resolve, reject) => {
      const failure = this.#device.failureFor(kind, path);
      this.#device.start({
        kind,
        path,
        label: `${this.#device.name} ${kind} ${path}`,
        slow: kind === "syncDirectory",
        complete: () => {
          try {
            if (failure !== undefined) throw new DiskError(failure, path, kind);
            resolve(act());
          } catch (error) {
            reject(error as Error);
          }
        },
        interrupted: () => {
          // What only reads has nothing to leave behind; what would have failed leaves nothing either.
          if (failure !== undefined || kind === "list" || kind === "lock") return;
          try {
            act();
          } catch (error) {
            if (!(error instanceof DiskError)) throw error;
          }
        },
      });
    });
  }
}
