import type { Disk } from "../../src/base/ports/disk.ts";
import { DiskDevice, type DiskLies } from "../../src/testing/sim/disk/device.ts";
import { SimDisk } from "../../src/testing/sim/disk/sim-disk.ts";
import { SimProcess } from "../../src/testing/sim/process.ts";
import { Scheduler } from "../../src/testing/sim/scheduler.ts";
import { type Cut, judge, Progress, work } from "./crash-contract.ts";

export interface Bench {
  readonly scheduler: Scheduler;
  readonly device: DiskDevice;
  /** A new process on the device. */
  start(): { readonly process: SimProcess; readonly disk: Disk };
}

export function simulatedBench(seed: number, lies: DiskLies = {}): Bench {
  const scheduler = new Scheduler(seed);
  const device = new DiskDevice(scheduler, "d1", { lies });
  let life = 0;
  return {
    scheduler,
    device,
    start() {
      const process = new SimProcess(scheduler, `p${++life}`);
      return { process, disk: new SimDisk(device, process) };
    },
  };
}

/** Lets virtual time run until `promise` settles. */
export async function settled<T>(scheduler: Scheduler, promise: Promise<T>): Promise<T> {
  let over = false;
  const done = promise.finally(() => {
    over = true;
  });
  done.catch(() => {});
  const reached = await scheduler.run(scheduler.now + 3_600_000, () => over);
  if (!reached) throw new Error("nothing is left to happen and the promise has not settled");
  return done;
}

/**
 * One run of the crash contract on a simulated disk, cut at operation `at`.
 * @returns undefined when the work ended before its `at`-th operation
 */
export async function cutRun(
  seed: number,
  at: number,
  cut: Cut,
  lies: DiskLies = {},
): Promise<{ broken: readonly string[]; judged: number } | undefined> {
  const { scheduler, device, start } = simulatedBench(seed, lies);
  const first = start();
  const progress = new Progress();
  const die = () => {
    first.process.kill();
    if (cut === "power cut") device.powerCut();
    else device.processCrash();
  };
  device.watch = (_kind, _path, number) => {
    if (number === at) die();
  };
  void work(first.disk, (event, step) => progress.note(event, step));
  await scheduler.run(3_600_000, () => !first.process.alive || progress.finished);
  device.watch = undefined;
  if (first.process.alive) return undefined;
  return settled(scheduler, judge(start().disk, progress, cut));
}
