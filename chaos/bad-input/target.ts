import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { get } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { RpcChannel } from "../../src/base/ports/rpc-client.ts";
import { defaultMemorySettings, memorySumBytes, type NumberKey } from "../../src/config/memory-sum.ts";
import { environmentName } from "../../src/config/table.ts";
import { createRpcClient } from "../../src/grpc/rpc-client.ts";
import { AdminService, LogService } from "../../src/protocol/methods.ts";
import { CreateTopicRequest, FetchRequest, FetchResponse, ProduceRequest } from "../../src/protocol/public.ts";
import { RecordSetBuilder } from "../../src/records/record-set-builder.ts";
import { Cluster } from "../cluster.ts";
import { sleep } from "../report.ts";
import { callAgain } from "./again.ts";
import { Bystander } from "./bystander.ts";

const MiB = 1024 * 1024;
const REFERENCE = "reference";
const REFERENCE_BATCHES = 40;
/** Topic of records that fill windows and buffers. */
export const BIG = "big";
export const BIG_BATCHES = 64;
/** Heap and external memory, after collection, may be so much above where they were before the case. */
const HEAP_SLACK_BYTES = 48 * MiB;
/**
 * Resident memory over the whole run may be so much above where it began. It is no measure of one case: what was freed the allocator
 * keeps. After case 27 a broker has 97 MiB of heap and buffers and 614 MiB resident; the same attack again leaves 97 and 614 MiB: it
 * lives on what the first one freed. With glibc told to give every buffer back (MALLOC_MMAP_THRESHOLD_=131072) 196 MiB are resident. So
 * a case is judged by heap and buffers, which come back; resident memory by its growth when the same is done again, and by this bound.
 */
const RSS_SLACK_BYTES = 1024 * MiB;
const SETUP_MS = 30_000;
/** Patience, as all times here: nothing is judged by how long it takes. */
const SETTLE_MS = 30_000;

export interface Memory {
  /** JavaScript objects and buffers outside the heap, after a collection. */
  readonly heapBytes: number;
  readonly rssBytes: number;
  readonly cpuSeconds: number;
}

/** Limits small enough to be reached in seconds. */
const small: Readonly<Partial<Record<NumberKey, number>>> = {
  "client.connections.max": 700,
  "client.request.timeout.ms": 3_000,
  "client.answer.timeout.ms": 3_000,
  "client.preface.timeout.ms": 3_000,
  "request.pending.max.bytes": 64 * MiB,
  "reply.pending.max.bytes": 64 * MiB,
  "read.pending.max.bytes": 32 * MiB,
  "partitions.max": 60,
};

const environment = {
  NODE_OPTIONS: `--import=${new URL("./gc-on-signal.js", import.meta.url).href}`,
  ...Object.fromEntries(Object.entries(small).map(([key, value]) => [environmentName(key), String(value)])),
};

/** What callers of that kind can make a broker keep, at most: as docs/limits.md adds it up, with the limits of these brokers. */
export function keptMiBMax(by: "readers" | "requests"): number {
  return Math.ceil(memorySumBytes((key) => small[key] ?? defaultMemorySettings(key), by) / MiB);
}

/** What the cases are thrown at: three real brokers, one of which is attacked at a time, a client that behaves, and records that must stay. */
export class Target {
  readonly cluster: Cluster;
  readonly bystander: Bystander;
  readonly channels: readonly RpcChannel[];
  #pids: readonly (number | undefined)[] = [];
  #checksum = "";
  #first: readonly Memory[] = [];
  #before: readonly Memory[] = [];
  /** Number of the attacked broker, 1 to 3: a case has one. */
  victim = 1;

  readonly #memoryFolder: string;

  private constructor(cluster: Cluster, memoryFolder: string) {
    this.cluster = cluster;
    this.#memoryFolder = memoryFolder;
    this.channels = cluster.addresses.map((address) => createRpcClient().channel(address));
    this.bystander = new Bystander(cluster.addresses, "bystander");
  }

  static async start(): Promise<Target> {
    const memoryFolder = mkdtempSync(join(tmpdir(), "millrace-bad-input-"));
    const cluster = await Cluster.start({ environment: { ...environment, BAD_INPUT_MEMORY_FOLDER: memoryFolder } });
    const channel = createRpcClient().channel(cluster.addresses[0] ?? "");
    const create = (name: string, partitions: number): Promise<Uint8Array> =>
      callAgain(channel, AdminService.CreateTopic.path, CreateTopicRequest.encode({ name, partitions }), SETUP_MS);
    await create(REFERENCE, 3);
    await create("bystander", 3);
    await create(BIG, 1);
    await create("t", 3);
    await cluster.healthy();
    for (let n = 0; n < REFERENCE_BATCHES; n++) {
      for (let partition = 0; partition < 3; partition++) {
        const builder = new RecordSetBuilder();
        for (let i = 0; i < 20; i++) builder.append(`k${i}`, `${partition}/${n}/${i}`.padEnd(100 + ((n * 37) % 900), "#"), [], 0);
        const request = ProduceRequest.encode({ topic: REFERENCE, partition, records: builder.take() });
        await callAgain(channel, LogService.Produce.path, request, SETUP_MS);
      }
    }
    for (let n = 0; n < BIG_BATCHES; n++) {
      const builder = new RecordSetBuilder();
      builder.append(undefined, Buffer.alloc(MiB - 64, n), [], 0);
      await callAgain(channel, LogService.Produce.path, ProduceRequest.encode({ topic: BIG, records: builder.take() }), SETUP_MS);
    }
    channel.close();
    const target = new Target(cluster, memoryFolder);
    target.#pids = cluster.brokers.map(({ id }) => cluster.pid(id));
    target.#checksum = await target.#readReference();
    await sleep(500);
    target.#first = await target.memories();
    return target;
  }

  /** Client address of the attacked broker. */
  get address(): string {
    return this.cluster.broker(this.victim).address;
  }
  get channel(): RpcChannel {
    return this.channels[this.victim - 1] as RpcChannel;
  }

  /** Collects garbage in a broker and asks what it holds. */
  async memory(id: number = this.victim): Promise<Memory> {
    const heapBytes = await this.#collected(id);
    const text = await httpText(`http://${this.cluster.broker(id).adminAddress}/metrics`);
    const value = (name: string): number => Number(new RegExp(`^${name} ([\\d.e+]+)$`, "m").exec(text)?.[1] ?? Number.NaN);
    return {
      heapBytes,
      rssBytes: value("process_resident_memory_bytes"),
      cpuSeconds: value("process_cpu_seconds_total"),
    };
  }

  async #collected(id: number): Promise<number> {
    const pid = this.#pids[id - 1];
    if (pid === undefined) throw new Error(`broker ${id} does not run`);
    const file = join(this.#memoryFolder, `${pid}.json`);
    rmSync(file, { force: true });
    process.kill(pid, "SIGUSR2");
    for (const deadline = performance.now() + SETTLE_MS; !existsSync(file); await sleep(5))
      if (performance.now() > deadline) throw new Error(`broker ${id} does not answer a signal`);
    return (JSON.parse(readFileSync(file, "utf8")) as { readonly heapBytes: number }).heapBytes;
  }

  memories(): Promise<readonly Memory[]> {
    return Promise.all(this.cluster.brokers.map(({ id }) => this.memory(id)));
  }

  /** A case begins: it is judged by what it leaves behind. */
  async mark(): Promise<void> {
    this.#before = await this.memories();
    this.bystander.mark();
  }

  /** What must be true after every case. @returns what is not */
  async judge(): Promise<readonly string[]> {
    const wrong: string[] = [];
    for (const [at, { id }] of this.cluster.brokers.entries())
      if (this.cluster.pid(id) !== this.#pids[at]) wrong.push(`broker ${id} died: ${this.complaints().at(-1) ?? "it said nothing"}`);
    if (wrong.length > 0) return wrong;
    if (this.bystander.errors.length > 0) wrong.push(`another client was disturbed: ${this.bystander.errors.slice(0, 3).join("; ")}`);
    const checksum = await this.#readReference();
    if (checksum !== this.#checksum) wrong.push("stored records changed");
    const leaks = await this.#leaks();
    if (leaks.length > 0) wrong.push(...leaks);
    return wrong;
  }

  /** Errors in the brokers' logs: a bug says so there. */
  complaints(): readonly string[] {
    return this.cluster.brokers.flatMap(({ id, logFile }) =>
      (existsSync(logFile) ? readFileSync(logFile, "utf8") : "")
        .split("\n")
        .filter((line) => /"level":"(error|fatal)"|uncaught|FATAL ERROR/.test(line))
        .map((line) => `broker ${id}: ${line.slice(0, 400)}`),
    );
  }

  logText(): string {
    return this.cluster.brokers.map(({ logFile }) => (existsSync(logFile) ? readFileSync(logFile, "utf8") : "")).join("\n");
  }

  async close(): Promise<void> {
    await this.bystander.close();
    for (const channel of this.channels) channel.close();
    await this.cluster.stop();
    rmSync(this.#memoryFolder, { recursive: true, force: true });
  }

  async #leaks(): Promise<readonly string[]> {
    const deadline = performance.now() + SETTLE_MS;
    for (;;) {
      const now = await this.memories();
      const leaks = now.flatMap((memory, at) => {
        const before = this.#before[at] as Memory;
        const first = this.#first[at] as Memory;
        const heap = memory.heapBytes - before.heapBytes > HEAP_SLACK_BYTES;
        const rss = memory.rssBytes - first.rssBytes > RSS_SLACK_BYTES;
        return heap || rss ? [`broker ${at + 1} keeps ${text(memory)}, ${text(before)} before, ${text(first)} at first`] : [];
      });
      if (leaks.length === 0 || performance.now() > deadline) return leaks;
      await sleep(200);
    }
  }

  /** Everything in the reference topic, read through every broker. */
  async #readReference(): Promise<string> {
    const hash = createHash("sha256");
    for (const channel of this.channels) {
      for (let partition = 0; partition < 3; partition++) {
        for (let offset = 0; ; ) {
          const request = FetchRequest.encode({ topic: REFERENCE, partition, offset });
          const reply = FetchResponse.decode(await callAgain(channel, LogService.Fetch.path, request, SETUP_MS));
          for (const batch of reply.batches)
            hash.update(`${batch.baseOffset} ${batch.recordCount} `).update(batch.records ?? new Uint8Array());
          if (reply.nextOffset === offset) break;
          offset = reply.nextOffset;
        }
      }
    }
    return hash.digest("hex");
  }
}

function text({ heapBytes, rssBytes }: Memory): string {
  return `${Math.round(heapBytes / MiB)} MiB of heap (${Math.round(rssBytes / MiB)} MiB resident)`;
}

function httpText(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    get(url, { agent: false }, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        body += chunk;
      });
      response.on("end", () => resolve(body));
    }).on("error", reject);
  });
}
