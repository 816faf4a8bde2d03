import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Disk, DiskError } from "../../src/base/ports/disk.ts";

/**
 * What every `Disk` must do while nothing goes wrong. Crashes have their own suite (`crash-contract.ts`).
 * Each case gets an empty disk.
 */
export interface DiskCase {
  readonly name: string;
  run(disk: Disk, openAgain: () => Disk): Promise<void>;
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

export async function readText(disk: Disk, path: string): Promise<string> {
  const file = await disk.open(path, { mode: "read" });
  const into = new Uint8Array(await file.size());
  assert.equal(await file.read(0, into), into.length);
  await file.close();
  return new TextDecoder().decode(into);
}

async function writeText(disk: Disk, path: string, text: string): Promise<void> {
  const file = await disk.open(path, { mode: "create" });
  await file.write(0, [bytes(text)]);
  await file.close();
}

async function refusal(call: Promise<unknown>): Promise<string> {
  try {
    await call;
  } catch (error) {
    assert.ok(error instanceof DiskError, `expected a DiskError, got ${String(error)}`);
    return error.code;
  }
  return "nothing refused";
}

export const diskCases: readonly DiskCase[] = [
  {
    name: "a file keeps what was written, at the place it was written",
    async run(disk) {
      const file = await disk.open("f", { mode: "create" });
      await file.write(0, [bytes("abc"), new Uint8Array(0), bytes("def")]);
      await file.write(2, [bytes("XY")]);
      await file.write(8, [bytes("end")]);
      assert.equal(await file.size(), 11);
      await file.close();
      assert.equal(await readText(disk, "f"), "abXYef\0\0end");
    },
  },
  {
    name: "a write is visible to every reader once it returned",
    async run(disk) {
      const file = await disk.open("f", { mode: "create" });
      for (let i = 0; i < 10; i++) {
        await file.write(i * 3, [bytes(`<${i}>`)]);
        const seen = await readText(disk, "f");
        assert.equal(seen.length, (i + 1) * 3);
        assert.ok(seen.endsWith(`<${i}>`));
      }
      await file.close();
    },
  },
  {
    name: "one write takes more chunks than one system call does",
    async run(disk) {
      const chunks = Array.from({ length: 2500 }, (_, i) => bytes(`${i},`));
      const file = await disk.open("f", { mode: "create", durable: true });
      await file.write(0, chunks);
      await file.close();
      assert.equal(await readText(disk, "f"), chunks.map((_, i) => `${i},`).join(""));
    },
  },
  {
    name: "a read returns fewer bytes only at the end of the file",
    async run(disk) {
      await writeText(disk, "f", "0123456789");
      const file = await disk.open("f", { mode: "read" });
      assert.equal(await file.read(4, new Uint8Array(4)), 4);
      assert.equal(await file.read(8, new Uint8Array(4)), 2);
      assert.equal(await file.read(10, new Uint8Array(4)), 0);
      assert.equal(await file.read(1000, new Uint8Array(4)), 0);
      await file.close();
    },
  },
  {
    name: "truncate cuts, and what it adds reads as zeros",
    async run(disk) {
      const file = await disk.open("f", { mode: "create" });
      await file.write(0, [bytes("abcdef")]);
      await file.truncate(3);
      await file.truncate(6);
      assert.equal(await file.size(), 6);
      await file.sync();
      await file.close();
      assert.equal(await readText(disk, "f"), "abc\0\0\0");
    },
  },
  {
    name: "create refuses an existing file, read and write refuse a missing one",
    async run(disk) {
      await writeText(disk, "f", "kept");
      assert.equal(await refusal(disk.open("f", { mode: "create" })), "EEXIST");
      assert.equal(await refusal(disk.open("g", { mode: "read" })), "ENOENT");
      assert.equal(await refusal(disk.open("g", { mode: "write" })), "ENOENT");
      assert.equal(await readText(disk, "f"), "kept");
    },
  },
  {
    name: "a file opened to be read refuses writes",
    async run(disk) {
      await writeText(disk, "f", "kept");
      const file = await disk.open("f", { mode: "read" });
      assert.equal(await refusal(file.write(0, [bytes("x")])), "EBADF");
      await file.close();
      assert.equal(await readText(disk, "f"), "kept");
    },
  },
  {
    name: "directories are made with their parents, twice without harm, and list what they hold",
    async run(disk) {
      await disk.makeDirectory("a/b");
      await disk.makeDirectory("a/b");
      await writeText(disk, "a/f", "");
      const entries = [...(await disk.list("a"))].sort((x, y) => (x.name < y.name ? -1 : 1));
      assert.deepEqual(entries, [
        { name: "b", kind: "directory" },
        { name: "f", kind: "file" },
      ]);
      assert.deepEqual(await disk.list("a/b"), []);
      assert.equal(await refusal(disk.list("c")), "ENOENT");
    },
  },
  {
    name: "rename moves a file over another one",
    async run(disk) {
      await disk.makeDirectory("a");
      await writeText(disk, "new", "new");
      await writeText(disk, "a/old", "old");
      await disk.rename("new", "a/old");
      await disk.syncDirectory("a");
      assert.equal(await readText(disk, "a/old"), "new");
      assert.equal(await refusal(disk.open("new", { mode: "read" })), "ENOENT");
      assert.equal(await refusal(disk.rename("new", "b")), "ENOENT");
    },
  },
  {
    name: "an unlinked file is gone by name and stays readable for who holds it",
    async run(disk) {
      await writeText(disk, "f", "held");
      const file = await disk.open("f", { mode: "read" });
      await disk.unlink("f");
      assert.equal(await refusal(disk.open("f", { mode: "read" })), "ENOENT");
      const into = new Uint8Array(4);
      assert.equal(await file.read(0, into), 4);
      assert.equal(new TextDecoder().decode(into), "held");
      await file.close();
      assert.equal(await refusal(disk.unlink("f")), "ENOENT");
    },
  },
  {
    name: "only an empty directory is removed",
    async run(disk) {
      await disk.makeDirectory("a");
      await writeText(disk, "a/f", "");
      assert.equal(await refusal(disk.removeDirectory("a")), "ENOTEMPTY");
      await disk.unlink("a/f");
      await disk.removeDirectory("a");
      assert.equal(await refusal(disk.list("a")), "ENOENT");
    },
  },
  {
    name: "paths that lead out of the data directory, or are not plain, are refused",
    async run(disk) {
      for (const path of ["../f", "a/../../f", "/etc/passwd", ".", "..", "a//b", "a/", "a\\b", "a\0b"]) {
        assert.equal(await refusal(disk.open(path, { mode: "create" })), "EINVAL", JSON.stringify(path));
        assert.equal(await refusal(disk.makeDirectory(path)), "EINVAL", JSON.stringify(path));
        assert.equal(await refusal(disk.unlink(path)), "EINVAL", JSON.stringify(path));
        assert.equal(await refusal(disk.list(path)), "EINVAL", JSON.stringify(path));
      }
    },
  },
  {
    name: "the lock keeps a second owner away until it is released",
    async run(disk, openAgain) {
      const first = await disk.lock();
      assert.equal(await refusal(openAgain().lock()), "ELOCKED");
      await first.release();
      const second = await openAgain().lock();
      assert.equal(await refusal(disk.lock()), "ELOCKED");
      await second.release();
    },
  },
  {
    name: "there is room for something",
    async run(disk) {
      assert.ok((await disk.freeBytes()) > 0);
    },
  },
];

/** Runs the suite on one implementation. `use` hands an empty disk, and a second opener of the same disk, to the case. */
export function diskContract(name: string, use: (work: (disk: Disk, openAgain: () => Disk) => Promise<void>) => Promise<void>): void {
  describe(`Disk contract: ${name}`, () => {
    for (const each of diskCases) it(each.name, () => use((disk, openAgain) => each.run(disk, openAgain)));
  });
}
