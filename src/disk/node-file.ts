import { close, fdatasync, fstat, ftruncate, read, writev } from "node:fs";
import { DiskError, type DiskFile } from "../base/ports/disk.ts";
import { toDiskError } from "./disk-error.ts";

/** Most pieces one pwritev takes on Linux (IOV_MAX). */
const CHUNKS_PER_WRITE = 1024;

/** One descriptor. Nothing is retried: after a failed write or sync nobody knows what the page cache holds (reliability D3). */
export class NodeFile implements DiskFile {
  readonly path: string;
  readonly #descriptor: number;

  constructor(path: string, descriptor: number) {
    this.path = path;
    this.#descriptor = descriptor;
  }

  async write(position: number, chunks: readonly Uint8Array[]): Promise<void> {
    let at = position;
    let rest: readonly Uint8Array[] = chunks.filter((chunk) => chunk.length > 0);
    while (rest.length > 0) {
      const taken = await this.#writeOnce(at, rest.slice(0, CHUNKS_PER_WRITE));
      // A short write is no error, but one that takes nothing would go round for ever.
      if (taken === 0) throw new DiskError("EIO", this.path, "write to");
      at += taken;
      rest = afterBytes(rest, taken);
    }
  }

  #writeOnce(position: number, chunks: readonly Uint8Array[]): Promise<number> {
    return new Promise((resolve, reject) => {
      writev(this.#descriptor, [...chunks], position, (error, taken) => {
        if (error === null) resolve(taken);
        else reject(toDiskError(error, this.path, "write to"));
      });
    });
  }

  async read(position: number, into: Uint8Array): Promise<number> {
    let filled = 0;
    while (filled < into.length) {
      const got = await this.#readOnce(position + filled, into, filled);
      if (got === 0) break;
      filled += got;
    }
    return filled;
  }

  #readOnce(position: number, into: Uint8Array, from: number): Promise<number> {
    return new Promise((resolve, reject) => {
      read(this.#descriptor, into, from, into.length - from, position, (error, got) => {
        if (error === null) resolve(got);
        else reject(toDiskError(error, this.path, "read"));
      });
    });
  }

  /** fdatasync: it also makes a changed size durable, which is all the metadata we rely on. */
  sync(): Promise<void> {
    return this.#call("sync", (done) => fdatasync(this.#descriptor, done));
  }

  truncate(size: number): Promise<void> {
    return this.#call("truncate", (done) => ftruncate(this.#descriptor, size, done));
  }

  size(): Promise<number> {
    return new Promise((resolve, reject) => {
      fstat(this.#descriptor, (error, stats) => {
        if (error === null) resolve(stats.size);
        else reject(toDiskError(error, this.path, "look at"));
      });
    });
  }

  close(): Promise<void> {
    return this.#call("close", (done) => close(this.#descriptor, done));
  }

  #call(action: string, start: (done: (error: NodeJS.ErrnoException | null | undefined) => void) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      start((error) => {
        if (error === null || error === undefined) resolve();
        else reject(toDiskError(error, this.path, action));
      });
    });
  }
}

/** What is left of `chunks` once their first `bytes` bytes are written. */
function afterBytes(chunks: readonly Uint8Array[], bytes: number): readonly Uint8Array[] {
  let skip = bytes;
  for (const [i, chunk] of chunks.entries()) {
    if (skip < chunk.length) return skip === 0 ? chunks.slice(i) : [chunk.subarray(skip), ...chunks.slice(i + 1)];
    skip -= chunk.length;
  }
  return [];
}
