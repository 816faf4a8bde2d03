import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { BrokerId, ClusterId } from "../../src/base/ids.ts";
import { changeMeta, drawMeta, formMeta, readMeta, writeMeta } from "../../src/log/meta.ts";
import { StrictDisk } from "../../src/log/strict-disk.ts";
import { Machine } from "./machine.ts";

describe("meta.json", () => {
  it("keeps what several say at once, the log by a watched disk and the broker by the disk itself", async () => {
    const machine = new Machine();
    const { disk } = machine;
    await machine.run(drawMeta(disk, machine.scheduler.random, 1 as BrokerId));
    const watched = new StrictDisk(disk, () => {});
    const cluster = "0198f0a2-7c11-7e6b-a44d-3f7a51c2b6aa" as ClusterId;
    const all = [
      changeMeta(watched, (meta) => ({ ...meta, forgot: true })),
      changeMeta(disk, (meta) => ({ ...meta, recovery: "fenced" })),
      formMeta(disk, cluster, 3),
      changeMeta(watched, (meta) => ({ ...meta, admittedBlockSequence: 7 })),
      changeMeta(disk, (meta) => ({ ...meta, recoveries: 2 })),
    ];
    await machine.run(Promise.all(all));
    const { forgot, recovery, clusterId, recoveryEpoch, admittedBlockSequence, recoveries } = (await machine.run(readMeta(disk))) ?? {};
    assert.deepEqual(
      { forgot, recovery, clusterId, recoveryEpoch, admittedBlockSequence, recoveries },
      { forgot: true, recovery: "fenced", clusterId: cluster, recoveryEpoch: 3, admittedBlockSequence: 7, recoveries: 2 },
    );
  });

  it("forgets an admission that no disk can have made: with it no peer could tell the disk anything any more", async () => {
    const machine = new Machine();
    const { disk } = machine;
    const meta = await machine.run(drawMeta(disk, machine.scheduler.random, 1 as BrokerId));
    await machine.run(writeMeta(disk, { ...meta, admittedBlockSequence: 2 ** 53 - 1 }));
    assert.equal((await machine.run(readMeta(disk)))?.admittedBlockSequence, undefined);
    await machine.run(writeMeta(disk, { ...meta, admittedBlockSequence: 2 ** 44 }));
    assert.equal((await machine.run(readMeta(disk)))?.admittedBlockSequence, 2 ** 44);
  });
});
