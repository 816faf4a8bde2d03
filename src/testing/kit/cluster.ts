import type { Random } from "../../base/ports/random.ts";
import type { Client } from "../../client/client.ts";
import { World } from "../sim/world.ts";
import { brokerHost, kitBrokerConfigs } from "./config.ts";
import { Driver } from "./driver.ts";
import { invalid, TestClusterError } from "./errors.ts";
import { FaultCounts } from "./fault-counts.ts";
import { HostLife } from "./host.ts";
import { HostedBroker } from "./hosted-broker.ts";
import { InvariantWatch } from "./invariant-watch.ts";
import { type ClusterOptions, type ClusterSettings, checkKnown, clusterSettings } from "./options.ts";
import { howToRepeat } from "./seed.ts";
import { TestBroker } from "./test-broker.ts";

/** Forming a cluster takes some virtual seconds. */
const FORMED_MS_MAX = 60_000;
const UNTIL_MS = 30_000;

/**
 * A cluster of real brokers on simulated machines, inside of the process that asks for it. Resolves when every broker serves.
 *
 * @throws {TestClusterError} INVALID_OPTION
 */
export async function startCluster(options: ClusterOptions = {}): Promise<TestCluster> {
  const cluster = new TestCluster(clusterSettings(options));
  await cluster.formed();
  return cluster;
}

/**
 * Brokers, clients and time of one test. Virtual time moves only while something asked of it is pending. What its brokers promise each
 * other (Raft, R1–R8 of docs/reliability.md) is judged after every event; a broken promise rejects whatever is awaited.
 */
export class TestCluster implements AsyncDisposable {
  readonly seed: number;
  /** Draws of the test's own, decided by the seed. */
  readonly random: Random;
  readonly #world: World;
  readonly #driver: Driver;
  readonly #watch = new InvariantWatch();
  readonly #faults = new FaultCounts();
  readonly #hosted: readonly HostedBroker[];
  readonly #brokers: readonly TestBroker[];
  readonly #hosts = new Map<string, HostLife>();
  #closed = false;

  constructor(settings: ClusterSettings) {
    this.seed = settings.seed;
    this.#world = new World(settings.seed, settings.trace);
    this.random = this.#world.random.fork("test");
    this.#driver = new Driver(this.#world.scheduler, () => this.#whereabouts());
    this.#hosted = kitBrokerConfigs(settings.brokers).map(
      (config) => new HostedBroker(this.#world, this.#world.machine(brokerHost(config.brokerId)), config, this.#watch),
    );
    this.#brokers = this.#hosted.map((hosted) => new TestBroker(hosted, this.#driver, this.#faults));
    this.#world.scheduler.afterEach(() => this.#watch.look());
  }

  /** Called once, by `startCluster`. */
  async formed(): Promise<void> {
    for (const hosted of this.#hosted) hosted.start();
    await this.#driver.until(() => this.#hosted.every(({ state }) => state === "running"), FORMED_MS_MAX);
  }

  /** Virtual milliseconds since the cluster began. */
  get now(): number {
    return this.#world.now;
  }

  /** Lines of the trace so far and their hash: two runs with one digest were the same run. */
  get digest(): string {
    return this.#world.scheduler.trace.digest;
  }

  /** Faults that happened, by kind. */
  get faults(): Readonly<Record<string, number>> {
    return this.#faults.all;
  }

  get brokers(): readonly TestBroker[] {
    return this.#brokers;
  }

  /** @param id 1 to the number of brokers @throws {TestClusterError} INVALID_OPTION */
  broker(id: number): TestBroker {
    const broker = this.#brokers[id - 1];
    if (broker === undefined) throw invalid(`There is no broker ${String(id)}: ids are 1 to ${this.#brokers.length}`);
    return broker;
  }

  /** The broker that leads this partition; undefined: none does now. */
  leaderOf(topic: string, partition: number): TestBroker | undefined {
    let leader: HostedBroker | undefined;
    let highest = -1;
    for (const hosted of this.#hosted) {
      const term = hosted.leads(topic, partition) ?? -1;
      if (term > highest) [leader, highest] = [hosted, term];
    }
    return leader === undefined ? undefined : this.#brokers[leader.id - 1];
  }

  /** A client of `millrace/client` in a process of its own, on the machine `name`. @param name Default: a machine of its own */
  client(name = `client${this.#hosts.size + 1}`): Client {
    this.#driver.checkOpen();
    let life = this.#hosts.get(name);
    if (life === undefined) {
      life = new HostLife(this.#world, this.#world.machine(`client ${name}`), this.#driver, this.#brokers.length);
      this.#hosts.set(name, life);
    }
    return life.client();
  }

  /** Lets `ms` of virtual time pass. */
  run(ms: number): Promise<void> {
    return this.#driver.sleep("run", ms);
  }

  /**
   * Lets virtual time pass until `condition` holds; it is asked after each event.
   *
   * @param options within: virtual milliseconds, default 30 s
   * @throws {TestClusterError} TIMED_OUT
   */
  until(condition: () => boolean, options: { readonly within?: number } = {}): Promise<void> {
    checkKnown("until", options, ["within"]);
    return this.#driver.until(condition, options.within ?? UNTIL_MS);
  }

  /** Ends every process. Iterations of consumers end; what else is pending is rejected (CLUSTER_CLOSED). */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const life of this.#hosts.values()) life.closeClients();
    // Whoever iterated comes to the end before all else is refused.
    await new Promise((resolve) => setImmediate(resolve));
    this.#driver.end(new TestClusterError("CLUSTER_CLOSED", "The cluster is closed"));
    for (const { machine } of this.#hosted) {
      machine.crash();
      this.#watch.forget(machine);
    }
    for (const life of this.#hosts.values()) life.ports.process.kill();
    this.#hosts.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #whereabouts(): string {
    const states = this.#hosted.map(({ id, state, ended }) => `broker ${id} ${state}${ended === undefined ? "" : ` (${ended.message})`}`);
    return `\n  at ${this.now.toFixed(3)} ms of ${howToRepeat(this.seed)}: ${states.join(", ")}`;
  }
}
