import type { Client } from "../../client/client.ts";
import { Client as RealClient } from "../../client/client.ts";
import { clientAddress } from "../cluster/config.ts";
import { SimTelemetry } from "../cluster/telemetry.ts";
import type { Machine, MachinePorts } from "../sim/machine.ts";
import type { World } from "../sim/world.ts";
import { simDeflate } from "./deflate.ts";
import type { Driver } from "./driver.ts";
import { tracked } from "./tracked.ts";

/** One process of the test's own on a simulated machine: its clients, and how long it lives. */
export class HostLife {
  readonly ports: MachinePorts;
  readonly #world: World;
  readonly #driver: Driver;
  readonly #brokers: readonly string[];
  readonly #clients: Client[] = [];

  constructor(world: World, machine: Machine, driver: Driver, brokers: number) {
    this.#world = world;
    this.#driver = driver;
    this.ports = machine.boot();
    this.#brokers = Array.from({ length: brokers }, (_, i) => clientAddress(i + 1));
  }

  get alive(): boolean {
    return this.ports.process.alive;
  }

  client(): Client {
    const { process, rpcClient, clock, random, inflate } = this.ports;
    const telemetry = new SimTelemetry(this.#world, process.name, new Map());
    const ports = { rpc: rpcClient, clock, random, telemetry, inflate, deflate: simDeflate(process) };
    const client = new RealClient({ brokers: this.#brokers }, ports);
    this.#clients.push(client);
    return tracked(client, "client", (what, work) => this.#driver.track(what, work, () => !this.alive));
  }

  sleep(ms: number): Promise<void> {
    return this.#driver.sleep("sleep", ms, () => !this.alive);
  }

  /** Iterations come to their end; whatever else its clients wait for is given up. */
  closeClients(): void {
    for (const client of this.#clients) client.close({ timeoutMs: 1 }).catch(() => {});
  }
}
