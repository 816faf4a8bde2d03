import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { GroupId, Incarnation } from "../../src/base/ids.ts";
import { incarnationBytes } from "../../src/log/model/block.ts";
import { FrameOwner } from "../../src/log/model/held.ts";
import { Life, Ring } from "../../src/log/model/ring.ts";
import { WAL_FOLDER } from "../../src/log/model/segment-name.ts";
import { WalImage } from "../../src/log/model/wal-image.ts";
import { Slabs } from "../../src/log/slabs.ts";
import { Wal } from "../../src/log/wal.ts";
import { WalFiles } from "../../src/log/wal-files.ts";
import { SimClock } from "../../src/testing/sim/clock.ts";
import { KiB, Machine } from "./machine.ts";

const DISK = incarnationBytes("01234567-89ab-4def-8123-456789abcdef" as Incarnation);

describe("the loop of the write-ahead log", () => {
  it("ends a wait for all that was handed over, however many records that overtake keep coming", async () => {
    const machine = new Machine();
    const files = new WalFiles(machine.disk, 64 * KiB);
    await machine.run(machine.disk.makeDirectory(WAL_FOLDER));
    for (let file = 0; file < 4; file++) await machine.run(files.make(file));
    const image = new WalImage();
    const ring = new Ring(4, 4, [0, 1, 2, 3], []);
    let blocks = 0;
    const wal = new Wal(
      new SimClock(machine.process),
      new Slabs(64 * KiB),
      { incarnation: DISK, files, ring, image, sequence: 0, position: 0 },
      {
        failed: (error) => assert.fail(error),
        blockDurable: () => void blocks++,
        lifeBegan() {},
        stalled: () => assert.fail("there is room"),
      },
    );
    await machine.run(wal.firstCheckpoint());
    const [owner, life] = [new FrameOwner(1 as GroupId), new Life(9, 1)];
    let marks = 0;
    const MARKS = 400;
    // So often that one comes while any block is on its way to disk.
    const mark = (): void => {
      wal.system({ kind: "moved", owner, life, above: 0, durable() {} });
      if (++marks < MARKS) machine.scheduler.after(0.02, "mark", mark);
    };
    mark();
    const begun = blocks;
    await machine.run(wal.barrier());
    assert.ok(marks < MARKS, "they were still coming");
    assert.ok(blocks - begun <= 2, `it waited for ${blocks - begun} blocks`);
    await machine.settle();
    assert.equal(marks, MARKS);
    assert.ok(blocks - begun > 4, "they took many blocks");
  });
});
