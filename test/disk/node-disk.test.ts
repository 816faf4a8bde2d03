import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { describe, it } from "node:test";
import { DiskError } from "../../src/base/ports/disk.ts";
import { openDisk } from "../../src/disk/index.ts";
import { diskContract } from "./contract.ts";
import { inDirectory } from "./in-directory.ts";

function refusalOf(directory: string): DiskError {
  try {
    openDisk(directory);
  } catch (error) {
    assert.ok(error instanceof DiskError);
    return error;
  }
  assert.fail(`${directory} was not refused`);
}

diskContract("node:fs", (work) => inDirectory((directory) => work(openDisk(directory), () => openDisk(directory))));

describe("openDisk", () => {
  it("makes a missing data directory that only its owner can enter", () =>
    inDirectory(async (directory) => {
      openDisk(`${directory}/new/data`);
      assert.equal(statSync(`${directory}/new/data`).mode & 0o777, 0o700);
    }));

  it("refuses a symbolic link, a file, and a world-writable directory by name (case 52)", () =>
    inDirectory(async (directory) => {
      mkdirSync(`${directory}/real`);
      symlinkSync(`${directory}/real`, `${directory}/link`);
      assert.equal(refusalOf(`${directory}/link`).code, "ELOOP");
      writeFileSync(`${directory}/file`, "");
      assert.equal(refusalOf(`${directory}/file`).code, "ENOTDIR");
      mkdirSync(`${directory}/open`);
      chmodSync(`${directory}/open`, 0o777);
      const refused = refusalOf(`${directory}/open`);
      assert.equal(refused.code, "EACCES");
      assert.ok(refused.message.includes(`${directory}/open`));
    }));

  it("refuses a place where nothing can be made, at once and by name", () => {
    assert.match(refusalOf("/proc/nope/data").message, /make the data directory \/proc\/nope/);
  });

  it("refuses a named pipe (case 52), and makes a directory with all that are missing above it", () =>
    inDirectory(async (directory) => {
      execFileSync("mkfifo", [`${directory}/pipe`]);
      assert.equal(refusalOf(`${directory}/pipe`).code, "ENOTDIR");
      openDisk(`${directory}/a/b/c`);
      assert.equal(statSync(`${directory}/a/b/c`).mode & 0o777, 0o700);
    }));

  it("does not follow a link inside the data directory", () =>
    inDirectory(async (directory) => {
      mkdirSync(`${directory}/data`, { mode: 0o700 });
      writeFileSync(`${directory}/secret`, "secret");
      symlinkSync(`${directory}/secret`, `${directory}/data/f`);
      await assert.rejects(openDisk(`${directory}/data`).open("f", { mode: "write" }), { code: "ELOOP" });
    }));
});

describe("The lock", () => {
  it("refuses a path over 90 bytes by name", () =>
    inDirectory(async (directory) => {
      const long = `${directory}/${"x".repeat(90)}`;
      await assert.rejects(openDisk(long).lock(), { code: "ENAMETOOLONG" });
    }));

  it("gives exactly one of many that start at once the directory", () =>
    inDirectory(async (directory) => {
      const tries = await Promise.allSettled(Array.from({ length: 8 }, () => openDisk(directory).lock()));
      const owners = tries.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
      assert.equal(owners.length, 1);
      for (const each of tries) if (each.status === "rejected") assert.equal((each.reason as DiskError).code, "ELOCKED");
      await owners[0]?.release();
    }));

  it("says which process holds it, and what to do", () =>
    inDirectory(async (directory) => {
      const owner = await openDisk(directory).lock();
      await assert.rejects(openDisk(directory).lock(), (error: DiskError) => {
        assert.match(error.message, new RegExp(`another process \\(pid ${process.pid}\\)`));
        assert.match(error.message, /ELOCKED \(stop that broker first, or give this one a directory of its own with --data\)$/);
        return true;
      });
      await owner.release();
    }));

  it("leaves nothing behind when it is released, and one socket while it is held", () =>
    inDirectory(async (directory) => {
      const disk = openDisk(directory);
      writeFileSync(`${directory}/lock.1`, "");
      writeFileSync(`${directory}/lock.2`, "");
      const lock = await disk.lock();
      assert.deepEqual(await disk.list(""), [{ name: "lock.3", kind: "other" }]);
      await lock.release();
      assert.deepEqual(await disk.list(""), []);
    }));
});
