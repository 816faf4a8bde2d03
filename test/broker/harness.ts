import assert from "node:assert/strict";
import { type BrokerConfig, defaultLimits, defaultTimings, defaultTopicDefaults } from "../../src/base/broker-config.ts";
import { setCrc32c } from "../../src/base/crc32c.ts";
import { MillraceError } from "../../src/base/errors.ts";
import { defaultGroupSettings } from "../../src/base/group-settings.ts";
import { type GroupId, METADATA_GROUP, toBrokerId } from "../../src/base/ids.ts";
import type { RpcChannel } from "../../src/base/ports/rpc-client.ts";
import type { Telemetry } from "../../src/base/ports/telemetry.ts";
import { type Broker, type BrokerOptions, type BrokerPorts, createBroker } from "../../src/broker/broker.ts";
import type { Replica } from "../../src/broker/replica.ts";
import { crc32cNative } from "../../src/checksum/native.ts";
import type { MessageInput } from "../../src/protocol/codec/index.ts";
import { LogService } from "../../src/protocol/methods.ts";
import type { SubscribeRequest } from "../../src/protocol/public.ts";
import type { DiskDevice } from "../../src/testing/sim/disk/device.ts";
import type { Machine, MachinePorts } from "../../src/testing/sim/machine.ts";
import { World } from "../../src/testing/sim/world.ts";
import { ProduceStream, SubscribeStream } from "./open-stream.ts";
import * as stubs from "./stubs.ts";
import { valuesOf } from "./values.ts";

// As the program does.
setCrc32c(crc32cNative);

const KiB = 1024;
const MiB = 1024 * KiB;
const CALL_MS = 10_000;
/** Virtual time in which a broker that runs can take over. */
const TRANSFER_MS = 2_000;
/** Virtual time in which anything a test waits for must have come. */
const PATIENCE_MS = 60_000;

export interface ClusterOptions {
  readonly brokers?: number;
  readonly seed?: number;
  readonly configure?: (config: BrokerConfig) => BrokerConfig;
  /** Puts something on a broker's disk before its first start. */
  readonly prepare?: (n: number, disk: DiskDevice, machine: Machine) => void;
  /** Stands between a broker and its ports. */
  readonly watch?: (n: number, ports: MachinePorts) => Partial<BrokerPorts>;
  /** What a broker is, when it is of another version than this one. */
  readonly software?: (n: number) => Pick<BrokerOptions, "featureLevels">;
  /** A broker says that it cannot go on. Without this, that fails the test. Its process must be ended by the test. */
  readonly fatal?: (n: number, error: Error) => void;
}

interface Running {
  readonly machine: Machine;
  broker: Broker;
  started: Promise<void>;
}

export interface CallOptions {
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export function brokerConfig(n: number, brokers: number): BrokerConfig {
  const seeds = Array.from({ length: brokers }, (_, i) => ({ id: toBrokerId(i + 1), address: `b${i + 1}:7401` }));
  return {
    brokerId: toBrokerId(n),
    seeds,
    join: undefined,
    rack: undefined,
    listen: `b${n}:7400`,
    advertise: `b${n}:7400`,
    peerListen: `b${n}:7401`,
    peerAdvertise: `b${n}:7401`,
    timings: defaultTimings,
    limits: defaultLimits,
    // A block of 4 MiB must fit a file; few files, so that a start writes little.
    log: {
      walFileBytes: 5 * MiB,
      walFilesMax: 6,
      segmentBytes: 8 * MiB,
      segmentMs: 60_000,
      hotTailBytes: 2 * MiB,
      readPendingMaxBytes: 16 * MiB,
      diskReserveBytes: 4 * MiB,
    },
    topicDefaults: defaultTopicDefaults,
    groups: defaultGroupSettings,
  };
}

/**
 * Brokers made by `createBroker` on simulated ports, in one process, called with plain stubs from a machine of their own. Virtual time
 * moves only inside `settle` and `until`: nothing here waits for a real clock.
 */
export class Cluster {
  readonly world: World;
  readonly #options: ClusterOptions;
  readonly #brokers = new Map<number, Running>();
  readonly #client: MachinePorts;
  readonly #channels = new Map<number, RpcChannel>();
  /** Events of level error, by broker: none is expected. */
  readonly errors: string[] = [];
  /** Events of level warn, by broker. */
  readonly warnings: string[] = [];

  private constructor(options: ClusterOptions) {
    this.#options = options;
    this.world = new World(options.seed ?? 1);
    this.#client = this.world.machine("client").boot();
  }

  /** All brokers run and are registered. */
  static async start(options: ClusterOptions = {}): Promise<Cluster> {
    const cluster = new Cluster(options);
    const numbers = cluster.numbers;
    for (const n of numbers) {
      const machine = cluster.world.machine(`b${n}`);
      options.prepare?.(n, machine.device, machine);
    }
    for (const n of numbers) cluster.boot(n);
    await Promise.all(numbers.map((n) => cluster.settle(cluster.started(n))).slice(0, 1));
    for (const n of numbers) await cluster.settle(cluster.started(n));
    return cluster;
  }

  get numbers(): readonly number[] {
    return Array.from({ length: this.#options.brokers ?? 3 }, (_, i) => i + 1);
  }
  get alive(): readonly number[] {
    return this.numbers.filter((n) => this.#brokers.get(n)?.machine.running === true);
  }
  broker(n: number): Broker {
    return this.#running(n).broker;
  }
  started(n: number): Promise<void> {
    return this.#running(n).started;
  }

  /** Lets virtual time go on until the promise settles. */
  async settle<T>(promise: Promise<T>, patienceMs = PATIENCE_MS): Promise<T> {
    let settled = false;
    promise.then(
      () => {
        settled = true;
      },
      () => {
        settled = true;
      },
    );
    const { scheduler } = this.world;
    assert.ok(await scheduler.run(scheduler.now + patienceMs, () => settled), `nothing came of it within ${patienceMs} ms`);
    return promise;
  }

  async until(done: () => boolean, what: string, patienceMs = PATIENCE_MS): Promise<void> {
    const { scheduler } = this.world;
    assert.ok(await scheduler.run(scheduler.now + patienceMs, done), `${what}: not within ${patienceMs} ms`);
  }

  /** Lets virtual time pass. */
  async pass(ms: number): Promise<void> {
    await this.world.scheduler.run(this.world.now + ms);
  }

  // Brokers come and go.

  /** @param more as of `millrace broker`, and what an earlier version understands */
  boot(n: number, more: Pick<BrokerOptions, "newIncarnation" | "featureLevels"> = {}): void {
    const machine = this.world.machine(`b${n}`);
    const ports = machine.boot();
    const telemetry: Telemetry = {
      log: (level, event, fields) => {
        this.world.note(`${ports.process.name} ${level} ${event}`);
        if (level === "warn") this.warnings.push(`broker ${n}: ${event} ${JSON.stringify(fields ?? {})}`);
        if (level === "error") this.errors.push(`broker ${n}: ${event} ${JSON.stringify(fields ?? {})}`);
      },
      count() {},
      observe() {},
    };
    const config = brokerConfig(n, this.numbers.length);
    const broker = createBroker({ ...ports, telemetry, ...this.#options.watch?.(n, ports) }, this.#options.configure?.(config) ?? config, {
      version: "test",
      ...this.#options.software?.(n),
      ...more,
      fatal: (error) => {
        if (this.#options.fatal === undefined) this.world.scheduler.fail(error);
        else this.#options.fatal(n, error);
      },
    });
    const started = broker.start();
    // Whoever waits for it sees the failure.
    started.catch(() => {});
    this.#brokers.set(n, { machine, broker, started });
  }

  /** As SIGKILL does. */
  kill(n: number): void {
    this.#running(n).machine.crash();
  }

  /** Its power goes: nobody is told, and the disk keeps what was promised. */
  powerCut(n: number): void {
    this.#running(n).machine.powerCut();
    // Nobody tells the client either: its next call would only find out.
    this.#channels.delete(n);
  }

  disk(n: number): DiskDevice {
    return this.#running(n).machine.device;
  }

  /** As SIGTERM does: hands over, answers, ends. */
  async stop(n: number): Promise<void> {
    const { broker, machine } = this.#running(n);
    await this.settle(broker.stop());
    machine.crash();
  }

  /** Starts it again on the same disk and waits until it serves. */
  async restart(n: number): Promise<void> {
    this.boot(n);
    await this.settle(this.started(n));
  }

  close(): void {
    for (const { machine } of this.#brokers.values()) machine.crash();
    assert.deepEqual(this.errors, [], "no broker reports an error");
  }

  // Who leads what.

  replica(n: number, group: GroupId): Replica | undefined {
    for (const replica of this.broker(n).replicas) if (replica.groupId === group) return replica;
    return undefined;
  }

  /** The live broker that serves a group. */
  serving(group: GroupId): number | undefined {
    const serving = this.alive.filter((n) => this.replica(n, group)?.serves === true);
    return serving.sort((a, b) => (this.replica(b, group)?.core.term ?? 0) - (this.replica(a, group)?.core.term ?? 0))[0];
  }

  get controller(): number | undefined {
    return this.serving(METADATA_GROUP);
  }

  async groupOf(topic: string, partition: number, via = this.alive[0] ?? 1): Promise<GroupId> {
    const { topics } = await this.call(via, stubs.DescribeTopics, { names: [topic] });
    const found = topics[0]?.partitions.find((each) => each.partition === partition);
    assert.ok(found !== undefined, `${topic}-${partition} is described`);
    return found.groupId as GroupId;
  }

  async leaderOf(topic: string, partition: number): Promise<number> {
    const group = await this.groupOf(topic, partition);
    await this.until(() => this.serving(group) !== undefined, `a leader of ${topic}-${partition}`);
    return this.serving(group) as number;
  }

  /** By the TransferLeader of the broker that leads; all live replicas know the new one. */
  async moveLeader(topic: string, partition: number, to: number): Promise<void> {
    const group = await this.groupOf(topic, partition);
    const from = await this.leaderOf(topic, partition);
    if (from !== to) {
      assert.equal((await this.#transfer(topic, partition, from, to)).leaderId, to);
    }
    await this.#settled(group, to);
  }

  /** Brokers that have just started may not have met yet, and a leader hands over only to one that it is connected to. */
  async #transfer(topic: string, partition: number, from: number, to: number) {
    for (const until = this.world.now + TRANSFER_MS; ; ) {
      try {
        return await this.call(from, stubs.TransferLeader, { topic, partition, toBrokerId: to });
      } catch (error) {
        if (!(error instanceof MillraceError && error.code === "TRANSFER_FAILED") || this.world.now > until) throw error;
        await this.pass(100);
      }
    }
  }

  /** There is no RPC for it: the metadata group's replica is told directly. */
  async moveController(to: number): Promise<void> {
    await this.until(() => this.controller !== undefined, "a controller");
    const from = this.controller as number;
    const target = this.replica(to, METADATA_GROUP);
    assert.ok(target !== undefined);
    if (from !== to) assert.deepEqual(this.replica(from, METADATA_GROUP)?.transfer(target.id), { kind: "started" });
    await this.#settled(METADATA_GROUP, to);
  }

  async #settled(group: GroupId, leader: number): Promise<void> {
    const agree = (): boolean =>
      this.serving(group) === leader &&
      this.alive.every(
        (n) => this.replica(n, group)?.core.leader === this.replica(leader, group)?.id && this.broker(n).state === "running",
      );
    await this.until(agree, `broker ${leader} leads group ${group} and all know it`);
  }

  // Calls.

  channel(n: number): RpcChannel {
    let channel = this.#channels.get(n);
    if (channel === undefined) {
      channel = this.#client.rpcClient.channel(`b${n}:7400`);
      this.#channels.set(n, channel);
    }
    return channel;
  }

  /** Sends a request; virtual time does not move yet. */
  ask<In, Out>(n: number, rpc: stubs.Rpc<In, Out>, input: In, { timeoutMs = CALL_MS, signal }: CallOptions = {}): Promise<Out> {
    const options = signal === undefined ? { timeoutMs } : { timeoutMs, signal };
    return this.channel(n)
      .unary(rpc.path, rpc.encode(input), options)
      .then((bytes) => rpc.decode(bytes));
  }

  call<In, Out>(n: number, rpc: stubs.Rpc<In, Out>, input: In, options?: CallOptions): Promise<Out> {
    return this.settle(this.ask(n, rpc, input, options));
  }

  /** The call fails with this typed error, whose message has words. */
  async refused<In, Out>(
    n: number,
    rpc: stubs.Rpc<In, Out>,
    input: In,
    code: MillraceError["code"],
    options?: CallOptions,
  ): Promise<MillraceError> {
    const error = await this.call(n, rpc, input, options).then(
      (answer) => assert.fail(`${rpc.path} on broker ${n} answered ${inspect(answer)} instead of ${code}`),
      (failure: unknown) => failure,
    );
    if (error instanceof assert.AssertionError) throw error;
    assert.ok(error instanceof MillraceError, `${rpc.path}: a typed error: got ${String(error)}`);
    assert.equal(error.code, code, error.message);
    assert.ok(error.message.length > 15, error.message);
    return error;
  }

  produceStream(n: number): ProduceStream {
    return new ProduceStream(this, this.channel(n).openStream(LogService.ProduceStream.path, "bidi", { timeoutMs: PATIENCE_MS }));
  }

  subscribe(n: number, request: MessageInput<typeof SubscribeRequest>): SubscribeStream {
    return new SubscribeStream(
      this,
      this.channel(n).openStream(LogService.Subscribe.path, "server-stream", { timeoutMs: PATIENCE_MS }),
      request,
    );
  }

  // Shorthands.

  async createTopic(name: string, partitions = 1, configs: readonly (readonly [string, string])[] = []): Promise<void> {
    await this.call(this.alive[0] ?? 1, stubs.CreateTopic, { name, partitions, configs: new Map(configs) });
    for (let partition = 0; partition < partitions; partition++) await this.leaderOf(name, partition);
    await this.until(
      () => this.alive.every((n) => [...this.broker(n).replicas].every(({ core }) => core.leader !== undefined)),
      "leaders known",
    );
  }

  /** Values of everything committed in a partition from an offset on, read through `via`. */
  async values(topic: string, partition = 0, via = this.alive[0] ?? 1, from = 0): Promise<string[]> {
    const read: string[] = [];
    for (let offset = from; ; ) {
      const answer = await this.call(via, stubs.Fetch, { topic, partition, offset, maxBytes: 2 * MiB });
      read.push(...valuesOf(answer.batches));
      if (answer.nextOffset === offset) return read;
      offset = answer.nextOffset;
    }
  }

  #running(n: number): Running {
    const running = this.#brokers.get(n);
    assert.ok(running !== undefined, `broker ${n} was started`);
    return running;
  }
}

/** The virtual clock's wall time, as brokers see it. */
export { WALL_START_MS } from "../../src/testing/sim/clock.ts";
export { recordSet, valuesOf } from "./values.ts";

function inspect(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) => (each instanceof Uint8Array ? `${each.byteLength} bytes` : each)) ?? String(value);
}
