import type { BrokerLimits } from "../../base/broker-config.ts";
import { MillraceError } from "../../base/errors.ts";
import { type BrokerId, type Term, toOffset } from "../../base/ids.ts";
import { Compression, type FetchedBatch, type FetchRequest, type FetchResponse } from "../../protocol/public.ts";
import { Codec } from "../../records/frame-types.ts";
import type { ReadBatch, ReadReply, ReadRequest } from "../partition/reader.ts";

/** Codecs a reader gets when it names none. */
const defaultAccept: ReadonlySet<Codec> = new Set([Codec.none, Codec.gzip]);

/** Before its deadline a long poll is answered, so that "nothing yet" is an answer: a tenth of the time there is, and at most this. */
const ANSWER_MS_MAX = 100;
const ANSWER_PART = 10;

const NOTHING = new Uint8Array(0);

const codecOf: Readonly<Record<Compression, Codec>> = {
  [Compression.unspecified]: Codec.none,
  [Compression.none]: Codec.none,
  [Compression.gzip]: Codec.gzip,
  [Compression.zstd]: Codec.zstd,
  [Compression.lz4]: Codec.lz4,
  [Compression.snappy]: Codec.snappy,
};

const compressionOf: Readonly<Record<Codec, Compression>> = {
  [Codec.none]: Compression.none,
  [Codec.gzip]: Compression.gzip,
  [Codec.zstd]: Compression.zstd,
  [Codec.lz4]: Compression.lz4,
  [Codec.snappy]: Compression.snappy,
};

export function acceptOf(accept: readonly Compression[]): ReadonlySet<Codec> {
  return accept.length === 0 ? defaultAccept : new Set([Codec.none, ...accept.map((compression) => codecOf[compression])]);
}

/**
 * @param now monotonic
 * @param deadline of the call, monotonic: a long poll never outlives it
 * @throws {MillraceError} INVALID_REQUEST for sizes and offsets out of range (case 48)
 */
export function readRequestOf(request: FetchRequest, limits: BrokerLimits, now: number, deadline: number, waitMaxMs: number): ReadRequest {
  for (const [field, value] of [
    ["offset", request.offset],
    ["max_bytes", request.maxBytes],
    ["min_bytes", request.minBytes],
    ["max_wait_ms", request.maxWaitMs],
  ] as const) {
    if (value < 0) throw new MillraceError("INVALID_REQUEST", `Cannot fetch: ${field} must not be negative: got ${value}`, { field });
  }
  refuseNoTerm("fetch", request.lastTerm);
  const maxBytes = Math.min(request.maxBytes === 0 ? limits.fetchDefaultBytes : request.maxBytes, limits.fetchMaxBytes);
  return {
    offset: toOffset(request.offset),
    lastTerm: request.lastTerm as Term | undefined,
    maxBytes,
    minBytes: Math.min(Math.max(1, request.minBytes), maxBytes),
    waitUntil: Math.min(now + Math.min(request.maxWaitMs, waitMaxMs), deadline),
    accept: acceptOf(request.accept),
  };
}

/** @throws {MillraceError} INVALID_REQUEST: terms begin at 1, and a 0 that was said is one that was not known */
export function refuseNoTerm(what: "fetch" | "subscribe", lastTerm: number | undefined): void {
  if (lastTerm === undefined || lastTerm > 0) return;
  const text = `Cannot ${what}: no record is of term ${lastTerm}, which last_term says; leave it out when it is not known`;
  throw new MillraceError("INVALID_REQUEST", text, { field: "last_term" });
}

/** @returns how long a long poll may wait here or behind a hop, so that "nothing yet" is an answer in time */
export function waitWithin(maxWaitMs: number, now: number, deadline: number): number {
  const left = Math.max(0, deadline - now);
  return Math.min(maxWaitMs, Math.floor(left - Math.min(ANSWER_MS_MAX, left / ANSWER_PART)));
}

function fetchedBatch(batch: ReadBatch): FetchedBatch {
  const plain = batch.codec === Codec.none;
  return {
    baseOffset: batch.baseOffset,
    recordCount: batch.recordCount,
    records: plain ? batch.payload : undefined,
    compressedRecords: plain ? NOTHING : batch.payload,
    compression: compressionOf[batch.codec],
    appendTimeMs: batch.appendTime,
    appendTimed: batch.appendTimed,
    term: batch.term,
    skipRecords: batch.skipRecords,
  };
}

/** The reply in the shape a decoded one has; the bytes of its batches stay views of the log. */
export function fetchResponse(reply: ReadReply, leaderId: BrokerId, leaderAddress: string): FetchResponse {
  return {
    batches: reply.batches.map(fetchedBatch),
    highWatermark: reply.highWatermark,
    logStartOffset: reply.logStartOffset,
    nextOffset: reply.nextOffset,
    leaderId,
    leaderAddress,
    term: reply.term,
  };
}
