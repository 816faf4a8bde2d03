import { MillraceError } from "../../base/errors.ts";
import type { Random } from "../../base/ports/random.ts";
import type { Client } from "../../client/client.ts";
import type { DiskLies } from "../sim/disk/device.ts";
import { World } from "../sim/world.ts";
import { brokerHost, kitBrokerConfigs } from "./config.ts";
import { Driver } from "./driver.ts";
import { invalid, TestClusterError } from "./errors.ts";
import { FaultCounts } from "./fault-counts.ts";
import { HostedBroker } from "./hosted-broker.ts";
import { type HostName, Hosts } from "./hosts.ts";
import { InvariantWatch } from "./invariant-watch.ts";
import { type ClusterOptions, type ClusterSettings, checkKnown, clusterSettings, duration } from "./options.ts";
import { ProcessLife } from "./process-life.ts";
import { howToRepeat } from "./seed.ts";
import { TestBroker } from "./test-broker.ts";
import { TestProcess } from "./test-process.ts";

/** Forming a cluster takes some virtual seconds. */
const FORMED_MS_MAX = 60_000;
const UNTIL_MS = 30_000;
const HEALTHY_MS = 60_000;
const ASKING_MS = 1_000;
const ASK_AGAIN_MS = 100;

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
  readonly #faults: FaultCounts;
  readonly #hosts: Hosts;
  readonly #hosted: readonly HostedBroker[];
  readonly #brokers: readonly TestBroker[];
  readonly #clients = new Map<string, ProcessLife>();
  readonly #processes = new Map<string, TestProcess>();
  #closed = false;

  /** @param lies which promises its disks break, for tests that must notice */
  constructor(settings: ClusterSettings, lies: DiskLies = {}) {
    this.seed = settings.seed;
    this.#world = new World(settings.seed, settings.trace, lies);
    this.#faults = new FaultCounts(this.#world);
    this.#hosts = new Hosts(this.#world);
    this.random = this.#world.random.fork("test");
    this.#driver = new Driver(this.#world.scheduler, () => this.#whereabouts());
    this.#hosted = kitBrokerConfigs(settings.brokers).map(
      (config) => new HostedBroker(this.#world, this.#hosts.add(config.brokerId, brokerHost(config.brokerId)), config, this.#watch),
    );
    this.#brokers = this.#hosted.map((hosted) => new TestBroker(hosted, this.#driver, this.#hosts, this.#faults));
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

  /** Why nothing can be asked of it any more; undefined: it is well. */
  get failure(): TestClusterError | undefined {
    return this.#driver.over;
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

  /**
   * A client of `millrace/client` on a machine of its own. Clients of one name are on one machine.
   *
   * @param name for `cutFrom` and `split`, and in the trace
   */
  client(name = `client-${this.#clients.size + 1}`): Client {
    this.#driver.checkOpen();
    let life = this.#clients.get(name);
    if (life === undefined) {
      const machine = this.#hosts.add(name, `c-${name}`);
      life = new ProcessLife(this.#world, machine, this.#driver, this.#faults, this.#brokers.length);
      this.#clients.set(name, life);
    }
    return life.client();
  }

  /** A process of the test's own, for code that is to crash and to start again. The same one for the same name. */
  process(name: string): TestProcess {
    this.#driver.checkOpen();
    let process = this.#processes.get(name);
    if (process === undefined) {
      const machine = this.#hosts.add(name, `p-${name}`);
      process = new TestProcess(name, this.#world, machine, this.#driver, this.#faults, this.#brokers.length);
      this.#processes.set(name, process);
    }
    return process;
  }

  /**
   * Members of one group hear each other and nobody of the other groups. Who is in no group hears all.
   *
   * @param groups brokers by their id, clients and processes by their name
   */
  split(...groups: readonly (readonly HostName[])[]): void {
    this.#driver.checkOpen();
    this.#hosts.split(groups);
    this.#faults.count("split", groups.map((group) => group.join()).join(" | "));
  }

  /** All is well again: links and disks; brokers that hang go on, those that are down start. */
  heal(): void {
    this.#driver.checkOpen();
    this.#world.note("heal");
    this.#hosts.heal();
    for (const hosted of this.#hosted) {
      hosted.machine.resume();
      hosted.mendDisk();
      hosted.start();
    }
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

  /**
   * Lets virtual time pass until every broker runs and the cluster calls itself healthy: every partition has a leader and all replicas, in
   * sync, and so has the metadata.
   *
   * @param options within: virtual milliseconds, default 60 s
   * @throws {TestClusterError} TIMED_OUT, with what is missing
   */
  async healthy(options: { readonly within?: number } = {}): Promise<void> {
    checkKnown("healthy", options, ["within"]);
    const within = duration("within", options.within ?? HEALTHY_MS);
    const admin = this.client("observer").admin({ timeoutMs: ASKING_MS });
    const end = this.now + within;
    let missing = "nobody answered";
    do {
      try {
        const { healthy, reasons } = await admin.clusterHealth();
        if (healthy && this.#brokers.every(({ running }) => running)) return;
        missing = reasons.map(({ text }) => text).join("; ");
      } catch (error) {
        if (!(error instanceof MillraceError)) throw error;
        missing = error.message;
      }
      await this.run(ASK_AGAIN_MS);
    } while (this.now < end);
    throw new TestClusterError(
      "TIMED_OUT",
      `The cluster is not healthy within ${within} ms of virtual time (${missing})${this.#whereabouts()}`,
    );
  }

  /** Ends every process. Iterations of consumers end; what else is pending is rejected (CLUSTER_CLOSED). */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const life of this.#clients.values()) life.closeClients();
    for (const process of this.#processes.values()) process.kill();
    // Whoever iterated comes to the end before all else is refused.
    await new Promise((resolve) => setImmediate(resolve));
    this.#driver.end(new TestClusterError("CLUSTER_CLOSED", "The cluster is closed"));
    for (const { machine } of this.#hosted) {
      machine.crash();
      this.#watch.forget(machine);
    }
    for (const life of this.#clients.values()) life.end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #whereabouts(): string {
    const states = this.#hosted.map(({ id, state, ended }) => `broker ${id} ${state}${ended === undefined ? "" : ` (${ended.message})`}`);
    return `\n  at ${this.now.toFixed(3)} ms of ${howToRepeat(this.seed)}: ${states.join(", ")}`;
  }
}
