import { MillraceError } from "../../base/errors.ts";
import { Client, type ConsumedBatch, type Consumer, DeliveryFailed, type Producer } from "../../client/index.ts";
import { makePayload, readPayload } from "../checkers/payload.ts";
import type { MachinePorts } from "../sim/machine.ts";
import type { SimRandom } from "../sim/random.ts";
import type { World } from "../sim/world.ts";
import { BATCH_BYTES_MAX, clientAddress } from "./config.ts";
import type { HistoryLog } from "./history-log.ts";
import { Stub } from "./stub.ts";
import { SimTelemetry } from "./telemetry.ts";
import { partitionName, TOPIC } from "./topic.ts";

export interface WorkloadOptions {
  readonly brokers: number;
  readonly partitions: number;
}

/** A client of its own process on its own machine. */
export function simClient(world: World, ports: MachinePorts, brokers: number): Client {
  const addresses = Array.from({ length: brokers }, (_, i) => clientAddress(i + 1));
  const telemetry = new SimTelemetry(world, ports.process.name, new Map());
  return new Client(
    { brokers: addresses },
    { rpc: ports.rpcClient, clock: ports.clock, random: ports.random, telemetry, inflate: ports.inflate },
  );
}

/** Lets `ms` of virtual time pass for this process. */
export function wait(ports: MachinePorts, ms: number): Promise<void> {
  return ports.process.promise((resolve) => void ports.process.after(ms, "waits", () => resolve()));
}

/** Sends, reads and asks for ends, all at once, until told to stop. Everything goes through the public client. */
export class Workload {
  readonly #world: World;
  readonly #history: HistoryLog;
  readonly #options: WorkloadOptions;
  readonly #random: SimRandom;
  readonly #clients: Client[] = [];
  readonly #consumers = new Set<Consumer>();
  readonly #stubs: Stub[] = [];
  /** In some runs the oldest records are let go of; in the others every record must be there in the end. */
  readonly #trims: boolean;
  #stopped = false;
  #unsettled = 0;

  constructor(world: World, history: HistoryLog, options: WorkloadOptions) {
    this.#world = world;
    this.#history = history;
    this.#options = options;
    this.#random = world.random.fork("workload");
    this.#trims = this.#random.chance(1, 3);
  }

  begin(machinePorts: readonly MachinePorts[]): void {
    for (const [n, ports] of machinePorts.entries()) {
      const client = simClient(this.#world, ports, this.#options.brokers);
      this.#clients.push(client);
      this.#produce(client, ports, `p${n + 1}`);
      const stub = new Stub(this.#world, this.#history, ports, { ...this.#options, name: `s${n + 1}` });
      this.#stubs.push(stub);
      const failed = (error: Error) => this.#world.scheduler.fail(error);
      this.#consume(client, ports, `c${n + 1}`).catch(failed);
      this.#askEnds(client, ports, `e${n + 1}`).catch(failed);
      if (n === 0 && this.#trims) this.#trim(client, ports, "t1").catch(failed);
      stub.run(() => this.#stopped).catch(failed);
    }
  }

  /** No new operations; those under way may end. */
  stop(): void {
    this.#stopped = true;
    for (const consumer of this.#consumers) consumer.close();
  }

  /** Every send has been answered. */
  get settled(): boolean {
    return this.#stopped && this.#unsettled === 0 && this.#stubs.every((stub) => stub.over);
  }

  #produce(client: Client, ports: MachinePorts, name: string): void {
    const acks = this.#random.pick(["quorum", "all"] as const);
    const producer = client.producer({
      acks,
      lingerMs: this.#random.pick([0, 0, 5]),
      batchBytesMax: BATCH_BYTES_MAX,
      inflightMax: this.#random.between(1, 5),
      // Short ones end some records unknown, long ones outlive every fault.
      deliveryTimeoutMs: this.#random.pick([700, 2_000, 10_000]),
      requestTimeoutMs: this.#random.pick([400, 1_500]),
    });
    const pauseMs = this.#random.pick([20, 60, 150]);
    let n = 0;
    const turn = () => {
      if (this.#stopped) return;
      for (let burst = this.#random.between(1, 4); burst > 0; burst--) {
        const partition = this.#random.below(this.#options.partitions);
        this.#send(producer, name, acks === "all" ? "ALL" : "QUORUM", partition, ++n);
      }
      ports.process.after(this.#random.below(pauseMs * 2), "sends", turn);
    };
    turn();
  }

  #send(producer: Producer, name: string, acks: "ALL" | "QUORUM", partition: number, n: number): void {
    const { value, body } = makePayload(String(this.#world.seed), name, n, this.#random.pick([10, 100, 100, 1_000]));
    const i = this.#history.beginSend({
      f: "send",
      proc: name,
      partition: partitionName(partition),
      producer: name,
      acks,
      values: [value],
    });
    this.#unsettled++;
    producer.send({ topic: TOPIC, partition, value: body }).then(
      ({ offset }) => {
        this.#unsettled--;
        this.#history.endSend(i, offset === undefined ? { type: "ok" } : { type: "ok", offset });
      },
      (error: unknown) => {
        this.#unsettled--;
        if (!(error instanceof DeliveryFailed || error instanceof MillraceError)) throw error;
        this.#history.endSend(i, { type: error.outcomeKnown ? "fail" : "info", error: error.code });
      },
    );
  }

  async #consume(client: Client, ports: MachinePorts, name: string): Promise<void> {
    const { partitions } = this.#options;
    /** Where reading went on last, per partition: half of the time a new consumer goes on there. */
    const positions = new Array<number>(partitions).fill(0);
    const starts = new Array<number>(partitions).fill(0);
    while (!this.#stopped) {
      const from = positions.map((position, partition) =>
        Math.max(starts[partition] ?? 0, this.#random.chance(1, 2) ? position : this.#random.below(position + 1)),
      );
      const consumer = client.consumer();
      this.#consumers.add(consumer);
      consumer.assign(from.map((offset, partition) => ({ topic: TOPIC, partition, from: { offset } })));
      const expected = [...from];
      let since = this.#world.now;
      ports.process.after(200 + this.#random.below(3_000), "ends a consumer", () => consumer.close());
      const onBatch = (batch: ConsumedBatch) => {
        this.#noteBatch(name, batch, expected[batch.partition] ?? 0, since);
        expected[batch.partition] = batch.endOffset;
        positions[batch.partition] = Math.max(positions[batch.partition] ?? 0, batch.endOffset);
        since = this.#world.now;
      };
      try {
        await consumer.run({ onBatch });
      } catch (error) {
        if (!(error instanceof MillraceError)) throw error;
        if (error.code === "OFFSET_OUT_OF_RANGE") await this.#lookAgain(client, name, positions, starts, error);
      }
      this.#consumers.delete(consumer);
      consumer.close();
      await wait(ports, 20 + this.#random.below(100));
    }
  }

  /** What was let go of may not be there. No offset was ever above what had been read: that would be a loss, and the checkers must see it. */
  async #lookAgain(client: Client, name: string, positions: readonly number[], starts: number[], error: MillraceError): Promise<void> {
    try {
      for (const { partition, logStartOffset, highWatermark, error: unknown } of await client
        .admin()
        .listOffsets(TOPIC, [], { timeoutMs: 1_000 })) {
        if (unknown !== undefined) continue;
        if ((positions[partition] ?? 0) > highWatermark || (!this.#trims && logStartOffset > 0))
          this.#world.scheduler.fail(new Error(`L6: ${name} read up to ${positions.join()} and now: ${error.message}`));
        starts[partition] = logStartOffset;
      }
    } catch (failure) {
      if (!(failure instanceof MillraceError)) throw failure;
    }
  }

  /** Lets go of some of what is committed, now and then. */
  async #trim(client: Client, ports: MachinePorts, proc: string): Promise<void> {
    const admin = client.admin();
    while (!this.#stopped) {
      await wait(ports, 300 + this.#random.below(2_000));
      // The final read judges by what was let go of before it.
      if (this.#stopped) return;
      this.#unsettled++;
      const partition = this.#random.below(this.#options.partitions);
      const tInv = this.#world.now;
      let row: { readonly f: "trim"; readonly proc: string; readonly partition: string; readonly before: number } | undefined;
      try {
        const [found] = await admin.listOffsets(TOPIC, [partition], { timeoutMs: 1_000 });
        if (found === undefined || found.error !== undefined) continue;
        const before = found.logStartOffset + this.#random.below(found.highWatermark - found.logStartOffset + 1);
        row = { f: "trim", proc, partition: partitionName(partition), before };
        const [trimmed] = await admin.trimTopic(TOPIC, [{ partition, before }], { timeoutMs: 1_000 });
        this.#history.trim(row, tInv, trimmed?.error === undefined ? "ok" : "info");
      } catch (error) {
        if (!(error instanceof MillraceError)) throw error;
        if (row !== undefined) this.#history.trim(row, tInv, "info");
      } finally {
        this.#unsettled--;
      }
    }
  }

  #noteBatch(name: string, batch: ConsumedBatch, from: number, tInv: number): void {
    const records = [...batch].map((record) => ({ offset: record.offset, ...readPayload(record.value ?? new Uint8Array(0)) }));
    this.#history.read({ f: "read", proc: name, partition: partitionName(batch.partition), from, records }, tInv);
  }

  async #askEnds(client: Client, ports: MachinePorts, name: string): Promise<void> {
    const admin = client.admin();
    while (!this.#stopped) {
      const tInv = this.#world.now;
      try {
        for (const found of await admin.listOffsets(TOPIC, [], { timeoutMs: 1_000 })) {
          if (found.error !== undefined) continue;
          const row = {
            f: "end",
            proc: name,
            partition: partitionName(found.partition),
            logStart: Number(found.logStartOffset),
            end: Number(found.highWatermark),
          } as const;
          this.#history.end(row, tInv, "ok");
        }
      } catch (error) {
        if (!(error instanceof MillraceError)) throw error;
      }
      await wait(ports, 30 + this.#random.below(120));
    }
  }
}
