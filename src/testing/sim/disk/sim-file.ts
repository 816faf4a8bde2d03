import { DiskError, type DiskFile, type OpenOptions } from "../../../base/ports/disk.ts";
import type { SimProcess } from "../process.ts";
import type { SimRandom } from "../random.ts";
import type { DiskDevice, Operation, OperationKind } from "./device.ts";
import type { FileNode } from "./file-node.ts";
import { PAGE_BYTES } from "./pages.ts";

/** One open file of one process. Calls under way at the same time complete in any order, as on a real disk. */
export class SimFile implements DiskFile {
  readonly path: string;
  readonly #device: DiskDevice;
  readonly #process: SimProcess;
  readonly node: FileNode;
  readonly #options: OpenOptions;
  /** By kind of call, in the trace: each is made once. */
  readonly #labels = new Map<OperationKind, string>();
  #closed = false;

  constructor(device: DiskDevice, process: SimProcess, node: FileNode, path: string, options: OpenOptions) {
    this.#device = device;
    this.#process = process;
    this.node = node;
    this.path = path;
    this.#options = options;
    process.openFiles.add(this);
  }

  write(position: number, chunks: readonly Uint8Array[]): Promise<void> {
    const length = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    const failure = this.#writeFailure(position + length);
    // The bytes are taken when the write happens, not when it is asked for: a caller that reuses its buffer too early gets what it wrote.
    const put = (limit: number) => {
      let at = position;
      for (const chunk of chunks) {
        const piece = chunk.subarray(0, Math.max(0, position + limit - at));
        this.node.write(at, piece);
        at += chunk.length;
      }
    };
    this.#device.wrote?.(this.path, position);
    const { scheduler } = this.#device;
    scheduler.trace.noteBytes(scheduler.now, this.#label("write"), chunks, position);
    return this.#call(
      "write",
      () => {
        if (failure === "ENOSPC") {
          // What found room was written, as far as the kernel got.
          put(Math.min(this.#device.random.below(length + 1), Math.max(0, this.#device.freeBytes - (position - this.node.size))));
          throw this.#error(failure, "write to");
        }
        if (failure !== undefined) {
          // Part of it reached the page cache, and the kernel calls those pages clean.
          put(this.#device.random.below(length + 1));
          this.node.abandon(this.node.sectorsOf(position, position + length));
          throw this.#error(failure, "write to");
        }
        put(length);
        if (this.#options.durable === true && this.#device.lies.durableWrites !== true) {
          this.node.harden(this.node.sectorsOf(position, position + length));
        }
      },
      // A killed process' write may stop at any page; a power cut then takes sectors out of it.
      (random) =>
        put(
          random.chance(1, 2)
            ? length
            : Math.max(0, random.below(Math.ceil(length / PAGE_BYTES) + 1) * PAGE_BYTES - (position % PAGE_BYTES)),
        ),
      this.#device.lies.earlyWrites === true,
    );
  }

  #writeFailure(end: number): string | undefined {
    const planned = this.#device.failureFor("write", this.path);
    if (planned !== undefined) return planned;
    if (this.#options.mode === "read") return "EBADF";
    const { capacityBytes, freeBytes } = this.#device;
    if (capacityBytes === Number.MAX_SAFE_INTEGER || end <= this.node.size) return undefined;
    return end - this.node.size > freeBytes ? "ENOSPC" : undefined;
  }

  read(position: number, into: Uint8Array): Promise<number> {
    const failure = this.#device.failureFor("read", this.path);
    return this.#call("read", () => {
      if (failure !== undefined) throw this.#error(failure, "read");
      const length = this.node.read(position, into);
      const { scheduler } = this.#device;
      scheduler.trace.noteBytes(scheduler.now, this.#label("read"), [into.subarray(0, length)], position);
      return length;
    });
  }

  sync(): Promise<void> {
    const failure = this.#device.failureFor("sync", this.path);
    const promised = this.node.dirtyNow();
    return this.#call(
      "sync",
      () => {
        if (failure !== undefined) {
          this.node.abandon(promised);
          throw this.#error(failure, "sync");
        }
        if (this.#device.lies.sync !== true) this.node.harden(promised);
      },
      () => {
        if (this.#device.lies.sync !== true) this.node.harden(promised);
      },
    );
  }

  truncate(size: number): Promise<void> {
    return this.#call(
      "truncate",
      () => this.node.truncate(size),
      () => this.node.truncate(size),
    );
  }

  size(): Promise<number> {
    return this.#call("size", () => this.node.size);
  }

  close(): Promise<void> {
    return this.#call("close", () => {
      this.#closed = true;
      this.#process.openFiles.delete(this);
    });
  }

  #call<T>(kind: OperationKind, act: () => T, interrupted: (random: SimRandom) => void = () => {}, early = false): Promise<T> {
    return this.#process.promise((resolve, reject) => {
      if (this.#closed) {
        reject(this.#error("EBADF", kind));
        return;
      }
      const operation: Operation = {
        kind,
        path: this.path,
        label: this.#label(kind),
        slow: kind === "sync" || (kind === "write" && this.#options.durable === true),
        interrupted,
        complete: () => {
          try {
            resolve(act());
          } catch (error) {
            reject(error as Error);
          }
        },
      };
      if (early) resolve(undefined as T);
      this.#device.start(operation);
    });
  }

  #label(kind: OperationKind): string {
    let label = this.#labels.get(kind);
    if (label === undefined) {
      label = `${this.#device.name} ${kind} ${this.path}`;
      this.#labels.set(kind, label);
    }
    return label;
  }

  #error(code: string, action: string): DiskError {
    return new DiskError(code, this.path, action);
  }
}
