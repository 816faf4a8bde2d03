import { MillraceError } from "../../../src/base/errors.ts";
import {
  type ClientStream,
  type ClientStreamHandlers,
  type RpcChannel,
  type RpcClient,
  RpcFailure,
} from "../../../src/base/ports/rpc-client.ts";
import { supportedLevels, TOPIC_ID_LEVEL } from "../../../src/cluster/feature-levels.ts";
import { AdminService, LogService } from "../../../src/protocol/methods.ts";
import {
  BrokerState,
  DescribeClusterResponse,
  DescribeTopicsRequest,
  DescribeTopicsResponse,
  InitProducerResponse,
  ListOffsetsRequest,
  ListOffsetsResponse,
  type ProduceRequest,
} from "../../../src/protocol/public.ts";
import { statusOf } from "../../../src/protocol/rpc-status.ts";
import { PartitionLog } from "./partition-log.ts";
import { FakeProduceStream } from "./produce-stream.ts";
import { FakeSubscribeStream } from "./subscribe-stream.ts";
import type { Surroundings } from "./world.ts";

/** What the broker's side of a stream does. */
export interface ServerSide {
  received(message: Uint8Array): void;
  halfClosed(): void;
  /** The connection is gone, or the client cancelled. */
  gone(): void;
  paused(paused: boolean): void;
}

/** What the broker's side of a stream can do. */
export interface Wire {
  readonly address: string;
  reply(message: Uint8Array): void;
  endFromServer(error?: MillraceError | RpcFailure): void;
  break(): void;
}

/** How often things go wrong; each 0 to 1, per batch unless it says otherwise. */
export interface Faults {
  /** The connection breaks before the batch is looked at. */
  readonly breakBefore: number;
  /** The connection breaks after the batch was appended. */
  readonly breakAfter: number;
  /** A typed refusal, nothing written. */
  readonly refuse: number;
  /** An unknown outcome, written or not. */
  readonly unknown: number;
  /** The partition forgets all producers. */
  readonly forget: number;
  /** Leadership moves. */
  readonly move: number;
}

export const noFaults: Faults = { breakBefore: 0, breakAfter: 0, refuse: 0, unknown: 0, forget: 0, move: 0 };

export function fakeAddresses(brokers: number): string[] {
  return Array.from({ length: brokers }, (_, i) => `b${i + 1}:7400`);
}

/** A cluster of brokers in memory that keeps the rules of the protocol strictly, and complains about a client that does not. */
export class FakeCluster implements RpcClient {
  readonly world: Surroundings;
  readonly addresses: readonly string[];
  readonly topics = new Map<string, PartitionLog[]>();
  /** How often a topic of this name was made. */
  readonly #lives = new Map<string, number>();
  /** What DescribeTopics says of topics by name when it is not asked for the latest. */
  readonly stale = new Map<string, { readonly topicId: string; readonly logs: readonly PartitionLog[] }>();
  /** Nobody can say what is recorded now. */
  controllerless = false;
  readonly dead = new Set<string>();
  /** Brokers that take what is sent and say nothing. */
  readonly hung = new Set<string>();
  /** What ListOffsets says of a partition instead of its offsets. */
  readonly refusals = new Map<PartitionLog, MillraceError>();
  faults: Faults = noFaults;
  /** What becomes of a batch before anything else is looked at; undefined: what the rules say. */
  judges: (batch: ProduceRequest, log: PartitionLog) => MillraceError | undefined = () => undefined;
  creditBytes = 256 * 1024;
  /** So much longer a subscription without news waits before it looks again. */
  idleMs = 0;
  recordSetBytesMax = 1024 * 1024;
  nextProducerId = 1000;
  /** Rules the client broke. */
  readonly complaints: string[] = [];
  /** Of the cluster; 0: its brokers know of none, and pass over ids of topics. */
  featureLevel = supportedLevels.max;
  /** Unary calls answered, by path. */
  readonly calls: string[] = [];
  readonly streams = new Set<FakeStream>();

  constructor(world: Surroundings, addresses: readonly string[]) {
    this.world = world;
    this.addresses = addresses;
  }

  addTopic(name: string, partitions: number): PartitionLog[] {
    const logs = Array.from({ length: partitions }, (_, i) => new PartitionLog(this.addresses[i % this.addresses.length] as string));
    this.topics.set(name, logs);
    this.#lives.set(name, (this.#lives.get(name) ?? 0) + 1);
    return logs;
  }

  topicId(name: string): string {
    return `id-of-${name}-${this.#lives.get(name) ?? 0}`;
  }

  /** As AddPartitions does. @returns the new ones */
  grow(name: string, partitions: number): PartitionLog[] {
    const logs = this.logs(name);
    const before = logs.length;
    for (let i = before; i < partitions; i++) logs.push(new PartitionLog(this.addresses[i % this.addresses.length] as string));
    return logs.slice(before);
  }

  kill(address: string): void {
    this.dead.add(address);
    for (const stream of [...this.streams]) if (stream.address === address) stream.break();
  }

  restart(address: string): void {
    this.dead.delete(address);
  }

  moveLeader(log: PartitionLog, to?: string): void {
    const live = this.addresses.filter((address) => !this.dead.has(address));
    log.leader = to ?? (live[this.world.random.below(live.length)] as string);
    log.term++;
  }

  delay(): number {
    return 0.2 + this.world.random.next() * 2;
  }

  channel(address: string): RpcChannel {
    return {
      address,
      unary: (path, request, { timeoutMs }) => this.#unary(address, path, request, timeoutMs),
      openStream: (path) => new FakeStream(this, address, path),
      close: () => undefined,
    };
  }

  async #unary(address: string, path: string, request: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
    await new Promise<void>((resolve) => this.world.after(this.delay(), resolve));
    if (this.dead.has(address)) throw new RpcFailure("UNAVAILABLE", "connection refused", true);
    if (this.hung.has(address)) {
      await new Promise<void>((resolve) => this.world.after(timeoutMs, resolve));
      throw new RpcFailure("DEADLINE_EXCEEDED", "no answer", false);
    }
    const reply = this.answer(path, request);
    this.calls.push(path);
    await new Promise<void>((resolve) => this.world.after(this.delay(), resolve));
    if (this.dead.has(address)) throw new RpcFailure("UNAVAILABLE", "connection reset", false);
    return reply;
  }

  /** @throws {MillraceError} */
  answer(path: string, request: Uint8Array): Uint8Array {
    switch (path) {
      case LogService.InitProducer.path:
        return InitProducerResponse.encode({ producerId: this.nextProducerId++, producerEpoch: 0 });
      case AdminService.DescribeCluster.path: {
        const brokers = this.addresses.map((address, i) => ({ brokerId: i + 1, address, state: BrokerState.live }));
        return DescribeClusterResponse.encode({ clusterId: "fake", controllerId: 1, brokers, featureLevel: this.featureLevel });
      }
      case AdminService.DescribeTopics.path:
        return this.#describeTopics(DescribeTopicsRequest.decode(request));
      case LogService.ListOffsets.path:
        return this.#listOffsets(ListOffsetsRequest.decode(request));
      default:
        throw new MillraceError("NOT_IMPLEMENTED", path);
    }
  }

  #listOffsets(request: ListOffsetsRequest): Uint8Array {
    const logs = this.logs(request.topic, request.topicId);
    const partitions = request.partitions.length > 0 ? request.partitions : logs.map((_, i) => i);
    return ListOffsetsResponse.encode({
      partitions: partitions.map((partition) => {
        const log = logs[partition];
        const refusal = log && this.refusals.get(log);
        if (refusal !== undefined) return { partition, error: statusOf(refusal) };
        if (log === undefined) return { partition, error: statusOf(new MillraceError("UNKNOWN_PARTITION", `no partition ${partition}`)) };
        return { partition, logStartOffset: log.logStart, highWatermark: log.end, term: log.term };
      }),
    });
  }

  #describeTopics({ names, latest }: DescribeTopicsRequest): Uint8Array {
    if (latest && this.controllerless) throw new MillraceError("CONTROLLER_UNKNOWN", "no controller", {}, 100);
    const topics = names.map((name) => this.#describe(name, latest ? undefined : this.stale.get(name)));
    return DescribeTopicsResponse.encode({ topics });
  }

  /** DescribeTopics goes on to say this of the topic that has the name now, unless it is asked for the latest. */
  stay(name: string): void {
    this.stale.set(name, { topicId: this.topicId(name), logs: this.logs(name) });
  }

  #describe(name: string, { topicId, logs } = { topicId: this.topicId(name), logs: this.logs(name) as readonly PartitionLog[] }) {
    const partitions = logs.map((log, partition) => ({
      partition,
      leaderId: this.addresses.indexOf(log.leader) + 1,
      leaderAddress: log.leader,
      leaderTerm: log.term,
    }));
    return { name, topicId, partitions };
  }

  logs(topic: string, topicId = ""): PartitionLog[] {
    const logs = this.topics.get(topic);
    if (logs === undefined) throw new MillraceError("UNKNOWN_TOPIC", `no topic ${topic}`);
    if (this.featureLevel >= TOPIC_ID_LEVEL && topicId !== "" && topicId !== this.topicId(topic))
      throw new MillraceError("UNKNOWN_TOPIC", "another one", { topic_id: topicId });
    return logs;
  }

  serve(path: string, wire: Wire): ServerSide {
    if (path === LogService.ProduceStream.path) return new FakeProduceStream(this, wire);
    if (path === LogService.Subscribe.path) return new FakeSubscribeStream(this, wire);
    throw new Error(`no stream ${path}`);
  }
}

/** A stream with delays both ways, in order; a break loses what is under way. */
export class FakeStream implements ClientStream, Wire {
  readonly address: string;
  handlers: ClientStreamHandlers = { message() {}, drain() {}, closed() {} };
  readonly #cluster: FakeCluster;
  #server: ServerSide | undefined;
  #open = true;
  #paused = false;
  #up = 0;
  #down = 0;

  constructor(cluster: FakeCluster, address: string, path: string) {
    this.#cluster = cluster;
    this.address = address;
    cluster.streams.add(this);
    this.#upward(() => {
      if (cluster.dead.has(address)) return this.#close(new RpcFailure("UNAVAILABLE", "connection refused", true));
      this.#server = cluster.serve(path, this);
      this.#server.paused(this.#paused);
    });
  }

  /** Messages of one direction keep their order. */
  #upward(run: () => void): void {
    const { world } = this.#cluster;
    this.#up = Math.max(this.#up, world.now + this.#cluster.delay());
    world.after(this.#up - world.now, () => {
      if (this.#open) run();
    });
  }

  #downward(run: () => void): void {
    const { world } = this.#cluster;
    this.#down = Math.max(this.#down, world.now + this.#cluster.delay());
    world.after(this.#down - world.now, () => {
      if (this.#open) run();
    });
  }

  write(message: Uint8Array): boolean {
    const copy = message.slice();
    this.#upward(() => this.#server?.received(copy));
    return true;
  }

  end(): void {
    this.#upward(() => this.#server?.halfClosed());
  }

  pause(): void {
    this.#paused = true;
    this.#server?.paused(true);
  }

  resume(): void {
    this.#paused = false;
    this.#server?.paused(false);
  }

  cancel(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#cluster.streams.delete(this);
    this.#server?.gone();
  }

  reply(message: Uint8Array): void {
    this.#downward(() => this.handlers.message(message));
  }

  /** The server ends it, after what it replied. */
  endFromServer(error?: MillraceError | RpcFailure): void {
    this.#downward(() => this.#close(error));
  }

  break(): void {
    this.#close(new RpcFailure("UNAVAILABLE", "connection reset", false));
  }

  #close(error?: MillraceError | RpcFailure): void {
    if (!this.#open) return;
    this.#open = false;
    this.#cluster.streams.delete(this);
    this.#server?.gone();
    this.handlers.closed(error);
  }
}
