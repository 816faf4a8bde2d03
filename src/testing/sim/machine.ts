import type { Background } from "../../base/ports/background.ts";
import type { Inflate } from "../../base/ports/inflate.ts";
import type { Patterns } from "../../base/ports/patterns.ts";
import { re2Patterns } from "../../patterns/re2-patterns.ts";
import { simBackground } from "./background.ts";
import { SimClock, type WallClock } from "./clock.ts";
import { DiskDevice, type DiskLies } from "./disk/device.ts";
import { SimDisk } from "./disk/sim-disk.ts";
import { simInflate } from "./inflate.ts";
import { SimTransport } from "./network/sim-transport.ts";
import { SimProcess } from "./process.ts";
import type { SimRandom } from "./random.ts";
import { SimRpcClient } from "./rpc/sim-rpc-client.ts";
import { SimRpcServer } from "./rpc/sim-rpc-server.ts";
import type { World } from "./world.ts";

/** Every port one process has, all dead once the process is. */
export interface MachinePorts {
  readonly process: SimProcess;
  readonly clock: SimClock;
  readonly random: SimRandom;
  readonly disk: SimDisk;
  readonly transport: SimTransport;
  readonly rpcServer: SimRpcServer;
  readonly rpcClient: SimRpcClient;
  readonly inflate: Inflate;
  readonly patterns: Patterns;
  readonly background: Background;
}

/** One host with one disk, running at most one process at a time. Disk and wall clock outlive processes. */
export class Machine {
  readonly name: string;
  readonly device: DiskDevice;
  readonly wall: WallClock = { offsetMs: 0 };
  readonly #world: World;
  #process: SimProcess | undefined;
  #lives = 0;

  constructor(world: World, name: string, lies: DiskLies) {
    this.#world = world;
    this.name = name;
    this.device = new DiskDevice(world.scheduler, name, { lies });
  }

  /** Starts so far: the number of the present life. */
  get lives(): number {
    return this.#lives;
  }

  get running(): boolean {
    return this.#process?.alive === true;
  }

  /** Starts a process; one that runs is crashed first. A machine without power gets it back. */
  boot(): MachinePorts {
    this.crash();
    this.#world.network.powerOn(this.name);
    this.#lives++;
    const process = new SimProcess(this.#world.scheduler, `${this.name}.${this.#lives}`);
    this.#process = process;
    this.#world.note(`${process.name} starts`);
    const clock = new SimClock(process, this.wall);
    return {
      process,
      clock,
      random: this.#world.random.fork(process.name),
      disk: new SimDisk(this.device, process),
      transport: new SimTransport(this.#world.network, process, this.name),
      rpcServer: new SimRpcServer(this.#world.network, process, clock),
      rpcClient: new SimRpcClient(this.#world.network, process, this.name),
      inflate: simInflate(process),
      patterns: re2Patterns,
      background: simBackground(process),
    };
  }

  /** The process dies at once (SIGKILL); the machine lives on and keeps its page cache. */
  crash(): void {
    if (!this.running) return;
    this.#process?.kill();
    this.device.processCrash();
  }

  /** The process hangs (SIGSTOP), until it goes on or dies. */
  pause(): void {
    this.#process?.pause();
  }

  /** SIGCONT. */
  resume(): void {
    this.#process?.resume();
  }

  /** The machine dies: nobody is told, and the disk keeps what was promised. */
  powerCut(): void {
    this.#world.network.powerOff(this.name);
    this.#process?.kill();
    this.device.powerCut();
  }
}
