import type { BrokerConfig } from "../../base/broker-config.ts";
import { MillraceError } from "../../base/errors.ts";
import { DiskError } from "../../base/ports/disk.ts";
import { type Broker, createBroker } from "../../broker/broker.ts";
import { SimTelemetry } from "../cluster/telemetry.ts";
import type { Machine } from "../sim/machine.ts";
import type { SimProcess } from "../sim/process.ts";
import type { World } from "../sim/world.ts";
import type { InvariantWatch } from "./invariant-watch.ts";

/** A broker told to stop that takes longer is killed, as a supervisor would. */
const STOP_MS_MAX = 30_000;

interface Life {
  readonly broker: Broker;
  readonly process: SimProcess;
  readonly number: number;
  /** Failures of the disk before this life: one that came since explains why the broker ended. */
  readonly diskFailures: number;
}

export type BrokerState = "down" | "starting" | "joining" | "waiting" | "running" | "leaving" | "stopping";

/** One broker of `createBroker` on its simulated machine. Nobody starts it again by itself. */
export class HostedBroker {
  readonly id: number;
  readonly machine: Machine;
  readonly #world: World;
  readonly #config: BrokerConfig;
  readonly #watch: InvariantWatch;
  readonly #errors = new Map<string, number>();
  #life: Life | undefined;
  #ended: Error | undefined;

  constructor(world: World, machine: Machine, config: BrokerConfig, watch: InvariantWatch) {
    this.id = config.brokerId;
    this.machine = machine;
    this.#world = world;
    this.#config = config;
    this.#watch = watch;
  }

  get state(): BrokerState {
    const life = this.#life;
    if (life === undefined || !this.machine.running || life.broker.state === "stopped") return "down";
    return life.broker.state;
  }

  /** Its process hangs. */
  get paused(): boolean {
    return this.machine.running && this.#life?.process.paused === true;
  }

  /** Why its last life ended by itself; undefined: it runs, or somebody ended it. */
  get ended(): Error | undefined {
    return this.#ended;
  }

  /** The term in which it leads this partition; undefined: it does not. */
  leads(topic: string, partition: number): number | undefined {
    if (this.state === "down") return undefined;
    for (const { members, leads, core } of this.#life?.broker.replicas ?? []) {
      if (leads && members.partition.topic === topic && members.partition.partition === partition) return core.term;
    }
    return undefined;
  }

  start(): void {
    if (this.state !== "down") return;
    const ports = this.machine.boot();
    const { process } = ports;
    this.#ended = undefined;
    const number = this.machine.lives;
    const ended = (error: unknown): void => this.#endedByItself(number, error);
    const telemetry = new SimTelemetry(this.#world, process.name, this.#errors);
    const broker = createBroker({ ...ports, telemetry }, this.#config, { version: "simulated", fatal: ended });
    this.#life = { broker, process, number, diskFailures: this.machine.device.failed };
    this.#watch.begin(this.machine, process, broker);
    broker.start().catch(ended);
  }

  /** As SIGTERM does. Resolves when it has ended. */
  async stop(): Promise<void> {
    const life = this.#life;
    if (life === undefined || this.state === "down") return;
    const { scheduler } = this.#world;
    await new Promise<void>((resolve) => {
      const over = () => {
        if (this.machine.lives === life.number) this.machine.crash();
        resolve();
      };
      life.process.atDeath(resolve);
      scheduler.after(STOP_MS_MAX, `kill ${this.machine.name}`, over);
      // A process that hangs is told when it goes on.
      life.process.whenAwake("SIGTERM", () => {
        life.process.turn();
        life.broker.stop().then(over, (error: Error) => scheduler.fail(error));
      });
    });
  }

  /** The machine is off, and its disk an empty one. */
  wipeDisk(): void {
    this.machine.powerCut();
    this.machine.device.replace();
  }

  /** Room, speed, and no failure to come. */
  mendDisk(): void {
    const { device } = this.machine;
    device.capacityBytes = Number.MAX_SAFE_INTEGER;
    device.slowness = 1;
    device.platterMs = 0;
    device.forgetFailures();
  }

  /** Ends by itself only when its disk failed, or when it cannot belong to the cluster and says so; all else is a bug. */
  #endedByItself(number: number, thrown: unknown): void {
    if (this.machine.lives !== number || !this.machine.running) return;
    const error = thrown instanceof Error ? thrown : new Error(String(thrown));
    const failed = this.machine.device.failed > (this.#life?.diskFailures ?? 0) && error.name !== "InvariantViolated";
    const full = error instanceof DiskError && error.code === "ENOSPC";
    this.#ended = error;
    this.#world.note(`${this.machine.name} ends: ${error.message}`);
    if (!failed && !full && !(error instanceof MillraceError)) this.#world.scheduler.fail(error);
    this.machine.crash();
  }
}
