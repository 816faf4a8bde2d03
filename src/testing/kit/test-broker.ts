import type { Driver } from "./driver.ts";
import { invalid } from "./errors.ts";
import type { FaultCounts } from "./fault-counts.ts";
import type { BrokerState, HostedBroker } from "./hosted-broker.ts";
import type { HostName, Hosts } from "./hosts.ts";
import { checkKnown, duration, whole } from "./options.ts";

/** How a disk is slow. */
export interface SlowDisk {
  /** Every call takes so many times as long, 1 to 10,000. Default 1. */
  readonly times?: number;
  /** Every write and sync that waits for the platter takes so many milliseconds longer. Default 0. */
  readonly extraMs?: number;
}

/** One broker of a test's cluster, and what can happen to it. What makes no sense now (a crash of one that is down) does nothing. */
export class TestBroker {
  readonly #hosted: HostedBroker;
  readonly #driver: Driver;
  readonly #hosts: Hosts;
  readonly #faults: FaultCounts;

  constructor(hosted: HostedBroker, driver: Driver, hosts: Hosts, faults: FaultCounts) {
    this.#hosted = hosted;
    this.#driver = driver;
    this.#hosts = hosts;
    this.#faults = faults;
  }

  get id(): number {
    return this.#hosted.id;
  }

  /** "down" or what it does now; "running": it serves. */
  get state(): BrokerState {
    return this.#hosted.state;
  }

  get running(): boolean {
    return this.state === "running";
  }

  /** Why it ended by itself, such as a failed disk; undefined: it did not. */
  get ended(): Error | undefined {
    return this.#hosted.ended;
  }

  /** `kill -9`: the process dies at once; the machine lives on, with its page cache. */
  crash(): void {
    if (!this.#begin("crash", this.state !== "down")) return;
    this.#hosted.machine.crash();
  }

  /** The same just before its `call`-th disk call from now, if it comes to that. @param call 1 or more */
  crashAtDiskCall(call: number): void {
    const { machine } = this.#hosted;
    const last = machine.device.operations + whole("The number of a disk call", call, 1, 1_000_000_000);
    const life = machine.lives;
    if (!this.#begin("crash-at-disk-call", this.state !== "down")) return;
    machine.device.watch = (_kind, _path, number) => {
      if (number < last || machine.lives !== life) return;
      machine.device.watch = undefined;
      machine.crash();
    };
  }

  /** The machine loses power: nobody is told, and of what the disk did not promise any part may be lost. */
  powerCut(): void {
    if (!this.#begin("power-cut", true)) return;
    this.#hosted.machine.powerCut();
  }

  /** SIGSTOP: it hangs, with all its connections open, until `resume`. */
  pause(): void {
    if (!this.#begin("pause", this.state !== "down" && !this.#hosted.paused)) return;
    this.#hosted.machine.pause();
  }

  resume(): void {
    this.#driver.checkOpen();
    this.#hosted.machine.resume();
  }

  /** SIGTERM: it hands leadership over, answers what is open and ends. Resolves when it has. */
  stop(): Promise<void> {
    const sense = this.#begin("stop", this.state !== "down");
    return this.#driver.track(`broker ${this.id}.stop`, sense ? this.#hosted.stop() : Promise.resolve());
  }

  /** Starts it on the disk it has. It serves once it is `running`: `await cluster.until(() => broker.running)`. */
  start(): void {
    this.#driver.checkOpen();
    this.#hosted.start();
  }

  /**
   * What is sent between it and `other` waits until the cut is healed; connections stay open until somebody gives up.
   *
   * @param other a broker by its id, or a client or process by its name
   * @param options direction "to": only what it sends to `other` waits; "from": only what `other` sends. Default "both"
   */
  cutFrom(other: HostName, options: { readonly direction?: "both" | "to" | "from" } = {}): void {
    checkKnown("cutFrom", options, ["direction"]);
    const { direction = "both" } = options;
    if (direction !== "both" && direction !== "to" && direction !== "from")
      throw invalid(`direction must be both, to or from: got ${String(direction)}`);
    const machine = this.#hosts.of(other);
    if (machine === this.#hosted.machine) throw invalid(`Broker ${this.id} cannot be cut from itself`);
    this.#begin("cut", true);
    this.#hosts.cut(this.#hosted.machine, machine, direction);
  }

  /** Nobody hears it and it hears nobody: brokers, clients and processes, also those that come later. */
  isolate(): void {
    this.#begin("isolate", true);
    this.#hosts.isolate(this.#hosted.machine);
  }

  /** Ends every cut between it and others. */
  reconnect(): void {
    this.#driver.checkOpen();
    this.#hosts.reconnect(this.#hosted.machine);
  }

  /** So much is free on its disk from now on. @param freeBytes Default 0 */
  fillDisk(freeBytes = 0): void {
    whole("freeBytes", freeBytes, 0, Number.MAX_SAFE_INTEGER);
    this.#begin("disk-full", true);
    this.#hosted.machine.device.leaveFree(freeBytes);
  }

  slowDisk(how: SlowDisk): void {
    checkKnown("slowDisk", how, ["times", "extraMs"]);
    const times = whole("times", how.times ?? 1, 1, 10_000);
    const extraMs = duration("extraMs", how.extraMs ?? 0);
    this.#begin("disk-slow", true);
    const { device } = this.#hosted.machine;
    device.slowness = times;
    device.platterMs = extraMs;
  }

  /** Its next disk call of this kind fails with EIO. A broker whose write or sync failed ends by itself. */
  failDisk(kind: "read" | "write" | "sync"): void {
    if (kind !== "read" && kind !== "write" && kind !== "sync") throw invalid(`failDisk takes read, write or sync: got ${String(kind)}`);
    this.#begin("disk-failure", true);
    this.#hosted.machine.device.failNext(kind, "EIO");
  }

  /** Its disk has room, is as fast as before, and fails no more. */
  mendDisk(): void {
    this.#driver.checkOpen();
    this.#hosted.mendDisk();
  }

  /** The machine dies and its disk with it: an empty one is there when it starts. */
  wipeDisk(): void {
    this.#begin("disk-wiped", true);
    this.#hosted.wipeDisk();
  }

  /** Its wall clock jumps, forward or (below 0) back. */
  jumpClock(ms: number): void {
    if (!Number.isFinite(ms)) throw invalid(`jumpClock takes milliseconds: got ${String(ms)}`);
    this.#begin("clock-jump", true);
    this.#hosted.machine.wall.offsetMs += ms;
  }

  /** @returns whether it makes sense; then it is counted */
  #begin(kind: string, sense: boolean): boolean {
    this.#driver.checkOpen();
    if (sense) this.#faults.count(kind, `b${this.id}`);
    return sense;
  }
}
