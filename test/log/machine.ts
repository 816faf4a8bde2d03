import type { BrokerId } from "../../src/base/ids.ts";
import type { Telemetry } from "../../src/base/ports/telemetry.ts";
import { drawMeta, readMeta } from "../../src/log/meta.ts";
import { openLogStore } from "../../src/log/store.ts";
import type { LogStore, LogStoreOptions } from "../../src/log/types.ts";
import { SimClock } from "../../src/testing/sim/clock.ts";
import { DiskDevice, type DiskLies } from "../../src/testing/sim/disk/device.ts";
import { SimDisk } from "../../src/testing/sim/disk/sim-disk.ts";
import { SimProcess } from "../../src/testing/sim/process.ts";
import { pump } from "../../src/testing/sim/pump.ts";
import { Scheduler } from "../../src/testing/sim/scheduler.ts";

export const KiB = 1024;

/** Small files, so that a few hundred frames go round the ring. */
export const smallLog: Omit<LogStoreOptions, "failed"> = {
  walFileBytes: 64 * KiB,
  walFilesMax: 4,
  segmentBytes: 96 * KiB,
  segmentMs: 1_000_000,
  hotTailBytes: 256 * KiB,
};

/** One simulated machine: a disk that outlives the processes which open a log on it, one after the other. */
export class Machine {
  readonly scheduler: Scheduler;
  readonly device: DiskDevice;
  process: SimProcess;
  /** What `options.failed` was told. */
  failures: Error[] = [];
  /** Warnings and errors since the last crash: the id, then the fields as JSON. */
  events: string[] = [];
  readonly #telemetry: Telemetry = {
    log: (level, event, fields) => {
      if (level === "warn" || level === "error") this.events.push(`${event} ${JSON.stringify(fields ?? {})}`);
    },
    count() {},
    observe() {},
  };

  constructor(seed = 1, lies: DiskLies = {}) {
    this.scheduler = new Scheduler(seed);
    this.device = new DiskDevice(this.scheduler, "disk", { lies });
    this.process = new SimProcess(this.scheduler, "broker");
  }

  get disk(): SimDisk {
    return new SimDisk(this.device, this.process);
  }

  /** A promise of the log, while virtual time runs. */
  run<T>(work: Promise<T>): Promise<T> {
    return pump(this.scheduler, work);
  }

  /** Lets everything that is under way end. */
  async settle(): Promise<void> {
    await this.scheduler.run(this.scheduler.now + 10_000);
  }

  open(options: Partial<LogStoreOptions> = {}): Promise<LogStore> {
    return this.run(this.opening(options));
  }

  async opening(options: Partial<LogStoreOptions> = {}): Promise<LogStore> {
    const { process, scheduler } = this;
    const disk = this.disk;
    if ((await readMeta(disk)) === undefined) await drawMeta(disk, scheduler.random, 1 as BrokerId);
    const background = {
      async run(slice: () => boolean): Promise<void> {
        while (!slice());
      },
    };
    const ports = { disk, clock: new SimClock(process), random: scheduler.random, telemetry: this.#telemetry, background };
    const failed = (error: Error): void => {
      this.failures.push(error);
    };
    return openLogStore(ports, { ...smallLog, failed, ...options });
  }

  /** The process dies; with `power`, the machine too. A new process takes its place. */
  crash(power = false): void {
    this.process.kill();
    if (power) this.device.powerCut();
    else this.device.processCrash();
    this.process = new SimProcess(this.scheduler, "broker");
    this.failures = [];
    this.events = [];
  }
}
