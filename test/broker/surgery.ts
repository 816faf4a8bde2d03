import assert from "node:assert/strict";
import { padded, readBlockHeader } from "../../src/log/model/block.ts";
import { readBlock } from "../../src/log/model/block-reader.ts";
import type { WalOp } from "../../src/log/model/records.ts";
import { SimDisk } from "../../src/testing/sim/disk/sim-disk.ts";
import { SimProcess } from "../../src/testing/sim/process.ts";
import type { Cluster } from "./harness.ts";

/** The disk of a broker that is off, as somebody with a disk editor sees it. */
export class Surgery {
  readonly #cluster: Cluster;
  readonly #disk: SimDisk;
  readonly #n: number;

  constructor(cluster: Cluster, n: number) {
    this.#cluster = cluster;
    this.#n = n;
    this.#disk = new SimDisk(cluster.disk(n), new SimProcess(cluster.world.scheduler, "surgeon"));
  }

  paths(folder: string, ending = ""): string[] {
    const paths = this.#cluster
      .disk(this.#n)
      .files()
      .map((one) => one.path.replace(/^\//, ""));
    return paths.filter((path) => path.startsWith(folder) && path.endsWith(ending)).sort();
  }

  read(path: string): Uint8Array {
    const found = this.#cluster
      .disk(this.#n)
      .files()
      .find((one) => one.path.replace(/^\//, "") === path);
    assert.ok(found !== undefined, path);
    const bytes = new Uint8Array(found.file.size);
    found.file.read(0, bytes);
    return bytes;
  }

  async write(path: string, bytes: Uint8Array): Promise<void> {
    await this.delete(path).catch(() => {});
    const file = await this.#cluster.settle(this.#disk.open(path, { mode: "create" }));
    await this.#cluster.settle(file.write(0, [bytes]));
    await this.#cluster.settle(file.sync());
    await this.#cluster.settle(file.close());
  }

  delete(path: string): Promise<void> {
    return this.#cluster.settle(this.#disk.unlink(path));
  }

  /** Flips a bit of the newest block of the write-ahead log with such a record: whatever stood in it is gone. */
  async rotBlockWith(wanted: (op: WalOp) => boolean): Promise<void> {
    let newest: { readonly path: string; readonly at: number; readonly sequence: number } | undefined;
    for (const path of this.paths("wal/")) {
      const bytes = this.read(path);
      for (let at = 0, last = 0; ; ) {
        const header = readBlockHeader(bytes, at, bytes.slice(8, 24));
        if (header === undefined || (last > 0 && header.sequence !== last + 1)) break;
        last = header.sequence;
        const records = readBlock(bytes.subarray(at, at + header.bytes), header);
        const has = typeof records !== "string" && records.some((one) => one.kind === "op" && wanted(one.op));
        if (has && last > (newest?.sequence ?? 0)) newest = { path, at, sequence: last };
        at += padded(header.bytes);
      }
    }
    assert.ok(newest !== undefined, "such a record is there");
    await this.rot(newest.path, newest.at + 90);
  }

  async rot(path: string, at: number): Promise<void> {
    const bytes = this.read(path);
    bytes[at] = (bytes[at] ?? 0) ^ 8;
    await this.write(path, bytes);
  }
}
