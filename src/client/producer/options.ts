import { MillraceError } from "../../base/errors.ts";
import { Acks, Compression } from "../../protocol/public.ts";
import { RECORD_SET_BYTES_MAX } from "../../records/record-set.ts";

const KiB = 1024;
const MiB = 1024 * KiB;

/** Records in one batch. */
export const BATCH_RECORDS_MAX = 65_536;

export type AcksName = "none" | "leader" | "quorum" | "all";
export type CompressionName = "none" | "gzip";

export interface ProducerOptions {
  /** Which replicas have a record on disk when its promise resolves. Default "all". */
  readonly acks?: AcksName;
  /** Retries write nothing twice. Default true; only with acks "quorum" or "all". */
  readonly idempotent?: boolean;
  /** Default "none". */
  readonly compression?: CompressionName;
  /** A batch leaves when it has so many bytes, or earlier, as soon as a place in flight is free. Default 256 KiB. */
  readonly batchBytesMax?: number;
  /** Milliseconds a batch waits for company although a place is free. Default 0. */
  readonly lingerMs?: number;
  /** Unanswered batches per partition, 1 to 5 (a broker remembers five). Default 5. */
  readonly inflightMax?: number;
  /** From `send` to the promise's end, retries included. Default 120 s. */
  readonly deliveryTimeoutMs?: number;
  /** A stream on which a batch stays unanswered for so long is given up and the batch sent again elsewhere. Default 10 s. */
  readonly requestTimeoutMs?: number;
  /** Bytes of records not yet acknowledged; above it `send` waits. Default 32 MiB. */
  readonly bufferBytesMax?: number;
  /** Sends that may wait for room or for metadata; one more is refused PENDING_FULL. Default 65,536. */
  readonly waitingMax?: number;
}

export interface ProducerSettings extends Required<Omit<ProducerOptions, "acks" | "compression">> {
  readonly acks: Acks;
  readonly compression: Compression;
}

const acksByName = { none: Acks.none, leader: Acks.leader, quorum: Acks.quorum, all: Acks.all } as const;
const compressionByName = { none: Compression.none, gzip: Compression.gzip } as const;

/** Fills in defaults. @throws {MillraceError} INVALID_REQUEST naming the option */
export function producerSettings(options: ProducerOptions): ProducerSettings {
  const acks = pick("acks", options.acks ?? "all", acksByName);
  const durable = acks === Acks.quorum || acks === Acks.all;
  const settings: ProducerSettings = {
    acks,
    idempotent: options.idempotent ?? durable,
    compression: pick("compression", options.compression ?? "none", compressionByName),
    batchBytesMax: whole("batchBytesMax", options.batchBytesMax ?? 256 * KiB, 1, RECORD_SET_BYTES_MAX),
    lingerMs: whole("lingerMs", options.lingerMs ?? 0, 0, 60_000),
    inflightMax: whole("inflightMax", options.inflightMax ?? 5, 1, 5),
    deliveryTimeoutMs: whole("deliveryTimeoutMs", options.deliveryTimeoutMs ?? 120_000, 1, 86_400_000),
    requestTimeoutMs: whole("requestTimeoutMs", options.requestTimeoutMs ?? 10_000, 1, 3_600_000),
    bufferBytesMax: whole("bufferBytesMax", options.bufferBytesMax ?? 32 * MiB, 1, 4_096 * MiB),
    waitingMax: whole("waitingMax", options.waitingMax ?? 65_536, 0, 16_777_216),
  };
  if (settings.idempotent && !durable) refuse("idempotent", 'needs acks "quorum" or "all"');
  return settings;
}

function pick<T>(option: string, name: string, table: Readonly<Record<string, T>>): T {
  const found = Object.hasOwn(table, name) ? table[name] : undefined;
  return found ?? refuse(option, `must be one of ${Object.keys(table).join(", ")}: got ${name}`);
}

function whole(option: string, value: number, least: number, most: number): number {
  if (!Number.isSafeInteger(value) || value < least || value > most)
    refuse(option, `must be a whole number from ${least} to ${most}: got ${value}`);
  return value;
}

function refuse(option: string, what: string): never {
  throw new MillraceError("INVALID_REQUEST", `Producer option ${option} ${what}`, { field: option });
}
