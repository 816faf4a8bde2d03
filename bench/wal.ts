import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { cpus } from "node:os";
import { join } from "node:path";
import { crc32c, setCrc32c } from "../src/base/crc32c.ts";
import { type BrokerId, type GroupId, type LogIndex, NO_PRODUCER, type Offset, type ReplicaId, type Term } from "../src/base/ids.ts";
import { silentTelemetry } from "../src/base/ports/telemetry.ts";
import { crc32cNative } from "../src/checksum/native.ts";
import { openDisk } from "../src/disk/index.ts";
import { nodeBackground } from "../src/host/background.ts";
import { nodeClock } from "../src/host/clock.ts";
import { nodeRandom } from "../src/host/random.ts";
import { drawMeta } from "../src/log/meta.ts";
import { openLogStore } from "../src/log/store.ts";
import type { GroupLog } from "../src/log/types.ts";
import { Codec, type FrameDraft, FrameType, PayloadFormat } from "../src/records/frame-types.ts";

/**
 * The shared write-ahead log with its segments, beside the plain way: one file per partition, append and fdatasync. Every partition
 * has one batch in flight; the next one leaves when it is durable. Prints one JSON line per run.
 *
 * `npm run bench:wal -- [--seconds 4] [--runs 3] [--partitions 64] [--dir FOLDER]`
 */
interface Result {
  readonly appendsPerSecond: number;
  readonly megabytesPerSecond: number;
  readonly cpuMicrosPerAppend: number;
  /** From handing a batch over until it is durable, microseconds. */
  readonly p50: number;
  readonly p99: number;
}

const MiB = 1024 * 1024;
/** Payload written before the measurement begins: more than half of the ring, so that it is closed. */
const WARM_BYTES = Number(flag("warm", "700")) * MiB;

function flag(name: string, otherwise: string): string {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? otherwise : (process.argv[at + 1] ?? otherwise);
}

class Meter {
  readonly #bytes: number;
  readonly #began = performance.now();
  readonly #cpu = process.cpuUsage();
  readonly #latencies: number[] = [];

  constructor(bytes: number) {
    this.#bytes = bytes;
  }

  done(sentAt: number): void {
    this.#latencies.push(performance.now() - sentAt);
  }

  result(): Result {
    const seconds = (performance.now() - this.#began) / 1000;
    const { user, system } = process.cpuUsage(this.#cpu);
    const sorted = this.#latencies.sort((a, b) => a - b);
    const at = (share: number): number => Math.round((sorted[Math.floor(sorted.length * share)] ?? 0) * 1000);
    return {
      appendsPerSecond: Math.round(sorted.length / seconds),
      megabytesPerSecond: Math.round((sorted.length * this.#bytes) / seconds / 1e6),
      cpuMicrosPerAppend: Math.round(((user + system) / sorted.length) * 10) / 10,
      p50: at(0.5),
      p99: at(0.99),
    };
  }
}

async function shared(folder: string, partitions: number, bytes: number, seconds: number): Promise<Result> {
  const disk = openDisk(folder);
  await drawMeta(disk, nodeRandom, 1 as BrokerId);
  const ports = { disk, clock: nodeClock(), random: nodeRandom, telemetry: silentTelemetry, background: nodeBackground };
  const store = await openLogStore(ports, {
    walFileBytes: 64 * MiB,
    walFilesMax: 16,
    segmentBytes: 128 * MiB,
    segmentMs: 7 * 24 * 3_600_000,
    hotTailBytes: 64 * MiB,
    failed: (error) => {
      throw error;
    },
  });
  const logs: GroupLog[] = [];
  for (let i = 1; i <= partitions; i += 1) {
    const start = { index: 0 as LogIndex, term: 0 as Term, offset: 0 as Offset };
    logs.push(await store.create(i as GroupId, i as ReplicaId, start, new Uint8Array(16)));
  }
  const payload = new Uint8Array(bytes).fill(65);
  const draft: FrameDraft = {
    type: FrameType.data,
    format: PayloadFormat.records,
    codec: Codec.none,
    recordCount: Math.max(1, bytes / 1024),
    firstTimestamp: 1,
    maxTimestamp: 1,
    producerId: NO_PRODUCER,
    producerEpoch: 0,
    baseSequence: -1,
    payloadCrc: crc32c(payload),
    payload,
  };
  // The ring is made as it is needed: what counts is the time after that, when files are written again.
  let meter: Meter | undefined;
  let warm = 0;
  let until = Number.POSITIVE_INFINITY;
  const one = (log: GroupLog, over: () => void): void => {
    const sentAt = performance.now();
    if (sentAt > until) {
      over();
      return;
    }
    const place = {
      groupId: log.groupId,
      index: (log.lastIndex + 1) as LogIndex,
      term: 1 as Term,
      baseOffset: log.endOffset,
      appendTime: 1,
    };
    log.write({ state: undefined, truncateFrom: undefined, frames: [{ draft, place }] }, () => {
      meter?.done(sentAt);
      log.commit(place.index);
      warm += bytes;
      if (meter === undefined && warm > WARM_BYTES) {
        meter = new Meter(bytes);
        until = performance.now() + seconds * 1000;
      }
      one(log, over);
    });
  };
  await Promise.all(logs.map((log) => new Promise<void>((resolve) => one(log, resolve))));
  const result = (meter as Meter | undefined)?.result();
  await store.close();
  if (result === undefined) throw new Error("the run ended before it was warm");
  return result;
}

async function filePerPartition(folder: string, partitions: number, bytes: number, seconds: number): Promise<Result> {
  const files: FileHandle[] = [];
  for (let i = 0; i < partitions; i += 1) files.push(await open(join(folder, `${i}.log`), "a"));
  const payload = Buffer.alloc(bytes + 100, 65);
  const meter = new Meter(bytes);
  const until = performance.now() + seconds * 1000;
  await Promise.all(
    files.map(async (file) => {
      while (performance.now() < until) {
        const sentAt = performance.now();
        await file.write(payload);
        await file.datasync();
        meter.done(sentAt);
      }
    }),
  );
  const result = meter.result();
  for (const file of files) await file.close();
  return result;
}

const seconds = Number(flag("seconds", "4"));
const runs = Number(flag("runs", "3"));
const partitions = Number(flag("partitions", "64"));
const place = flag("dir", "bench/results");
setCrc32c(crc32cNative);
mkdirSync(place, { recursive: true });
const commit = execFileSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8" }).trim();
const machine = `${cpus().length} x ${cpus()[0]?.model ?? "?"}, Node ${process.version}`;
for (const bytes of [4 * 1024, 64 * 1024]) {
  for (let run = 1; run <= runs; run += 1) {
    const results: Record<string, Result> = {};
    for (const [name, work] of [
      ["shared", shared],
      ["filePerPartition", filePerPartition],
    ] as const) {
      const folder = mkdtempSync(join(place, "wal-"));
      try {
        results[name] = await work(folder, partitions, bytes, seconds);
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    }
    const ratio = Math.round(((results["shared"]?.appendsPerSecond ?? 0) / (results["filePerPartition"]?.appendsPerSecond ?? 1)) * 10) / 10;
    console.log(JSON.stringify({ bytes, run, partitions, ...results, ratio, commit, machine }));
  }
}
