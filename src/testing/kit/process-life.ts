import { Client } from "../../client/client.ts";
import { nodeCallScope } from "../../host/call-scope.ts";
import { clientAddress } from "../cluster/config.ts";
import { SimTelemetry } from "../cluster/telemetry.ts";
import type { Machine, MachinePorts } from "../sim/machine.ts";
import type { World } from "../sim/world.ts";
import { simDeflate } from "./deflate.ts";
import type { Driver } from "./driver.ts";
import type { FaultCounts } from "./fault-counts.ts";
import { tracked } from "./tracked.ts";

/**
 * One life of a process that is not a broker: what the code in it may ask of its machine. When the process dies, nothing of what that
 * code waits for ever comes.
 */
export class ProcessLife {
  readonly #world: World;
  readonly #machine: Machine;
  readonly #driver: Driver;
  readonly #faults: FaultCounts;
  readonly #brokers: readonly string[];
  readonly #ports: MachinePorts;
  readonly #clients: Client[] = [];
  readonly #unheard = (): boolean => !this.alive;
  /** It dies instead of going on for the so-manieth time. */
  readonly #crashAtStep: number;
  #steps = 0;

  /** @param crashAtStep Default: it does not */
  constructor(
    world: World,
    machine: Machine,
    driver: Driver,
    faults: FaultCounts,
    brokers: number,
    crashAtStep = Number.POSITIVE_INFINITY,
  ) {
    this.#world = world;
    this.#machine = machine;
    this.#driver = driver;
    this.#faults = faults;
    this.#brokers = Array.from({ length: brokers }, (_, i) => clientAddress(i + 1));
    this.#crashAtStep = crashAtStep;
    this.#ports = machine.boot();
  }

  get alive(): boolean {
    return this.#ports.process.alive;
  }

  /** How often something it awaited of the cluster has come. */
  get steps(): number {
    return this.#steps;
  }

  /** What its wall clock says, milliseconds since 1970. */
  get wallMs(): number {
    return this.#ports.clock.wall();
  }

  /** A client of `millrace/client`; it dies with the process. */
  client(): Client {
    const { process, rpcClient, clock, random, inflate } = this.#ports;
    const telemetry = new SimTelemetry(this.#world, process.name, new Map());
    const ports = { rpc: rpcClient, clock, random, telemetry, inflate, deflate: simDeflate(process), scopes: nodeCallScope };
    const client = new Client({ brokers: this.#brokers }, ports);
    this.#clients.push(client);
    return tracked(client, "client", (what, work) => this.#driver.track(what, work, () => this.#goOn(), this.#unheard));
  }

  /** Lets `ms` of virtual time pass. */
  sleep(ms: number): Promise<void> {
    return this.#driver.sleep("sleep", ms, () => this.#goOn(), this.#unheard);
  }

  /** It dies here and now, as by `kill -9`: what follows an `await` of this never runs. */
  crash(): Promise<never> {
    if (this.alive) {
      this.#faults.count("process-crash", this.#machine.name);
      this.end();
    }
    return new Promise<never>(() => {});
  }

  /** For the end of the cluster: iterations come to their end. */
  closeClients(): void {
    for (const client of this.#clients) client.close({ timeoutMs: 1 }).catch(() => {});
  }

  atDeath(run: () => void): void {
    this.#ports.process.atDeath(run);
  }

  /** Without counting it as a fault. */
  end(): void {
    this.#machine.crash();
    this.#driver.forgetUnheard();
  }

  #goOn(): void {
    if (this.alive && ++this.#steps >= this.#crashAtStep) void this.crash();
  }
}
