import { crc32c } from "../../base/crc32c.ts";
import { MillraceError } from "../../base/errors.ts";
import { NO_PRODUCER, type ProducerId } from "../../base/ids.ts";
import type { Inflate } from "../../base/ports/inflate.ts";
import { Acks, Compression, type ProduceRequest } from "../../protocol/public.ts";
import { Codec, type FrameDraft, FrameType, PayloadFormat } from "../../records/frame-types.ts";
import { INFLATED_FACTOR, RECORD_SET_LIMITS, type RecordSetSummary, walkRecordSet } from "../../records/record-set.ts";
import type { AcksLevel } from "../partition/acks.ts";
import type { AppendBatch } from "../partition/partition.ts";

const levels: Readonly<Record<Acks, AcksLevel>> = {
  [Acks.unspecified]: "ALL",
  [Acks.none]: "NONE",
  [Acks.leader]: "LEADER",
  [Acks.quorum]: "QUORUM",
  [Acks.all]: "ALL",
};

const SEQUENCE_MAX = 2 ** 31 - 1;

/**
 * Checks one produce request at the edge, once: shape, size, well-formedness, count, checksum (design §4). Nothing is decoded or
 * re-encoded; the payload stays a view of the request.
 *
 * @param maxMessageBytes of the topic
 * @returns the batch; a promise only for compressed sets, which are inflated off the main thread to be verified
 * @throws {MillraceError} the refusal: nothing was written
 */
export function batchOf(request: ProduceRequest, maxMessageBytes: number, inflate: Inflate): AppendBatch | Promise<AppendBatch> {
  const producer = producerOf(request);
  const compressed = request.compressedRecords.byteLength > 0;
  if ((request.records !== undefined) === compressed) {
    throw invalid("records", "give exactly one of records and compressed_records");
  }
  const payload = request.records ?? request.compressedRecords;
  if (payload.byteLength > maxMessageBytes) {
    throw new MillraceError(
      "RECORD_SET_TOO_LARGE",
      `Cannot append a record set of ${payload.byteLength} bytes: max.message.bytes is ${maxMessageBytes}`,
      {
        bytes: String(payload.byteLength),
        max_bytes: String(maxMessageBytes),
        limit: "max.message.bytes",
      },
    );
  }
  const acks = levels[request.acks];
  if (!compressed) {
    if (request.compression !== Compression.unspecified && request.compression !== Compression.none) {
      throw invalid("compression", "compression goes with compressed_records");
    }
    return {
      acks,
      draft: draftOf(payload, Codec.none, walkRecordSet(payload, { ...RECORD_SET_LIMITS, bytesMax: maxMessageBytes }), producer),
    };
  }
  if (request.compression !== Compression.gzip) throw unsupported(request.compression);
  const limit = maxMessageBytes * INFLATED_FACTOR;
  return inflate.gunzip(payload, limit).then((inflated) => {
    if ("failed" in inflated) {
      if (inflated.failed === "TOO_LARGE") {
        throw new MillraceError("RECORD_SET_TOO_LARGE", `Cannot append a record set that inflates to more than ${limit} bytes`, {
          max_bytes: String(limit),
          limit: "max.message.bytes",
        });
      }
      throw new MillraceError("MALFORMED_RECORD_SET", "compressed_records is no well-formed gzip stream", { position: "0" });
    }
    const summary = walkRecordSet(inflated.bytes, { ...RECORD_SET_LIMITS, bytesMax: limit });
    if (summary.recordCount !== request.recordCount) {
      throw new MillraceError(
        "MALFORMED_RECORD_SET",
        `record_count says ${request.recordCount}, the compressed set holds ${summary.recordCount}`,
        {
          position: "0",
          records: String(summary.recordCount),
        },
      );
    }
    return { acks, draft: draftOf(payload, Codec.gzip, summary, producer) };
  });
}

interface Producer {
  readonly id: ProducerId;
  readonly epoch: number;
  readonly baseSequence: number;
}

function producerOf(request: ProduceRequest): Producer {
  if (request.producerId === undefined) {
    if (request.baseSequence !== 0 || request.producerEpoch !== 0) throw invalid("producer_id", "a sequence without a producer id");
    return { id: NO_PRODUCER, epoch: 0, baseSequence: -1 };
  }
  if (request.producerId < 0) throw invalid("producer_id", "must be one that InitProducer gave");
  if (request.producerEpoch !== 0) throw invalid("producer_epoch", "must be 0 in this version");
  if (request.baseSequence < 0 || request.baseSequence > SEQUENCE_MAX) throw invalid("base_sequence", "must be 0 to 2^31 - 1");
  return { id: request.producerId as ProducerId, epoch: request.producerEpoch, baseSequence: request.baseSequence };
}

function draftOf(payload: Uint8Array, codec: FrameDraft["codec"], summary: RecordSetSummary, producer: Producer): FrameDraft {
  return {
    type: FrameType.data,
    format: PayloadFormat.records,
    codec,
    recordCount: summary.recordCount,
    // 0 tells the leader that some record takes the append time.
    firstTimestamp: summary.unstampedCount > 0 ? 0 : summary.firstTimestamp,
    maxTimestamp: summary.maxTimestamp,
    producerId: producer.id,
    producerEpoch: producer.epoch,
    baseSequence: producer.baseSequence,
    payloadCrc: crc32c(payload),
    payload,
  };
}

function invalid(field: string, what: string): MillraceError {
  return new MillraceError("INVALID_REQUEST", `Cannot produce: ${field}: ${what}`, { field });
}

function unsupported(compression: Compression): MillraceError {
  const name = Object.entries(Compression).find(([, number]) => number === compression)?.[0] ?? String(compression);
  return new MillraceError("COMPRESSION_UNSUPPORTED", `Cannot append records compressed with ${name}: this version knows none and gzip`, {
    codec: name,
  });
}
