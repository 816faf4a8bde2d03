import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Broker, requireRoomAgain } from "./full-ring.ts";
import { KiB } from "./machine.ts";

// FS18, FS19
describe("a ring of files that are small beside what is said of tiny segments", () => {
  it("has free files again, from any state, once nothing more comes", () => requireRoomAgain(72010, 40));

  it("has, too, when it grew for records that it is told were refused", () => requireRoomAgain(72010, 40, true));

  it("goes on where a start finds all files in use, because the process died before the last one let another go", async () => {
    let found = 0;
    for (let seed = 1; seed <= 12; seed += 1) {
      const walFilesMax = 4 + (seed % 2);
      const broker = new Broker(3, { walFilesMax, walFileBytes: 64 * KiB }, seed);
      await broker.open();
      await broker.fillUp();
      // The checkpoint and the vote for which it was begun stand in the file before the last, its end is kept: now it is full.
      await broker.votes(1, 13);
      assert.equal(await broker.files, walFilesMax);
      assert.ok(await broker.dieInBlock(seed % 3 === 0 ? 0 : 1, seed % 4 === 0), "the last file was begun");
      await broker.open();
      if (broker.free === 0) found += 1;
      await broker.requireRoom();
      const files = await broker.files;
      assert.ok(files <= walFilesMax + 2, `${files} files`);
    }
    assert.ok(found > 2, `${found} starts found all files in use`);
  });

  it("lets votes go on when more of them come than the file for them takes, while nothing can be committed", async () => {
    const broker = new Broker(3, { walFilesMax: 5, walFileBytes: 64 * KiB });
    await broker.open();
    await broker.fillUp();
    await broker.votes(1, 60);
    const files = await broker.files;
    assert.ok(files > 5 && files < 12, `${files} files`);
    await broker.requireRoom();
    assert.ok(broker.machine.events.some((event) => event.startsWith("log.ring_grew")));
  });

  it("does not begin the last file for what lets none go", async () => {
    const broker = new Broker(6, { walFilesMax: 5, walFileBytes: 64 * KiB });
    await broker.open();
    await broker.fillUp();
    // The file before it is full.
    await broker.votes(1, 13);
    await broker.sayInVain();
    assert.equal(await broker.files, 5);
    await broker.requireRoom();
  });

  it("lets frames come past it to one group while what keeps it is not committed", async () => {
    const broker = new Broker(6, { walFilesMax: 5, walFileBytes: 64 * KiB });
    await broker.open();
    await broker.fillUp();
    await broker.votes(1, 3);
    await broker.sayInVain();
    await broker.extend();
    assert.equal(await broker.files, 5);
    await broker.requireRoom();
  });

  it("drops a group, and begins another anew, while nothing can be committed and no file be let go", async () => {
    const broker = new Broker(6, { walFilesMax: 5, walFileBytes: 64 * KiB });
    await broker.open();
    await broker.fillUp();
    await broker.votes(1, 3);
    await broker.dropAndInstall();
    assert.equal(await broker.files, 5);
  });
});
