import { gunzipSync, gzipSync } from "node:zlib";
import type { DiskDevice } from "../../src/testing/sim/disk/device.ts";

const PAGE_BYTES = 4096;

interface PackedFile {
  readonly path: string;
  readonly size: number;
  /** Pages that are not all zeros, by number, in base64: a ring of empty files takes no room. */
  readonly pages: Readonly<Record<string, string>>;
}

/** Everything on a simulated disk, as bytes small enough for the repository. */
export function pack(device: DiskDevice): Uint8Array {
  const files = device.files().map(({ path, file }): PackedFile => {
    const bytes = new Uint8Array(file.size);
    file.read(0, bytes);
    const pages: Record<string, string> = {};
    for (let at = 0; at < bytes.length; at += PAGE_BYTES) {
      const page = bytes.subarray(at, at + PAGE_BYTES);
      if (page.some((byte) => byte !== 0)) pages[at / PAGE_BYTES] = Buffer.from(page).toString("base64");
    }
    return { path, size: bytes.length, pages };
  });
  files.sort((a, b) => (a.path < b.path ? -1 : 1));
  return gzipSync(JSON.stringify(files), { level: 9 });
}

/** Puts it on an empty disk, where all of it is durable. */
export function unpack(archive: Uint8Array, device: DiskDevice): void {
  const { tree } = device;
  for (const { path, size, pages } of JSON.parse(gunzipSync(archive).toString()) as PackedFile[]) {
    const folder = path.split("/").slice(0, -1).join("/");
    if (folder !== "") tree.makeDirectory(folder);
    const file = tree.create(path);
    file.truncate(size);
    for (const [page, text] of Object.entries(pages)) file.write(Number(page) * PAGE_BYTES, Buffer.from(text, "base64"));
    file.harden(file.dirtyNow());
    for (let at = folder; ; at = at.split("/").slice(0, -1).join("/")) {
      tree.syncDirectory(at);
      if (at === "") break;
    }
  }
}
