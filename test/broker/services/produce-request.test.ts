import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { crc32c } from "../../../src/base/crc32c.ts";
import { MillraceError } from "../../../src/base/errors.ts";
import { NO_PRODUCER } from "../../../src/base/ids.ts";
import type { Inflate } from "../../../src/base/ports/inflate.ts";
import type { AppendBatch } from "../../../src/broker/partition/partition.ts";
import { batchOf } from "../../../src/broker/services/produce-request.ts";
import type { MessageInput } from "../../../src/protocol/codec/index.ts";
import { Acks, Compression, ProduceRequest } from "../../../src/protocol/public.ts";
import { Codec, FrameType, PayloadFormat } from "../../../src/records/frame-types.ts";
import { recordSet } from "../harness.ts";

type Input = Partial<MessageInput<typeof ProduceRequest>>;

const MAX = 1_000;
const plain = recordSet(["a", "b"]);
const squeezed = Uint8Array.of(31, 139, 8);

/** Inflates to what it is told, and notes the limit it was given. */
function inflater(result: Awaited<ReturnType<Inflate["gunzip"]>> = { bytes: plain }): Inflate & { limit: number } {
  const made = {
    limit: 0,
    gunzip: (_: Uint8Array, limitBytes: number) => {
      made.limit = limitBytes;
      return Promise.resolve(result);
    },
  };
  return made;
}

const over = (input: Input): ProduceRequest => ProduceRequest.decode(ProduceRequest.encode({ topic: "t", ...input }));
const now = (input: Input, max = MAX): AppendBatch => {
  const batch = batchOf(over(input), max, inflater());
  assert.ok(!(batch instanceof Promise));
  return batch;
};
/** Code and metadata of a refusal. */
async function refusal(input: Input, inflate = inflater(), max = MAX): Promise<readonly [string, Readonly<Record<string, string>>]> {
  const error = await (async () => batchOf(over(input), max, inflate))().then(
    () => assert.fail("it was taken"),
    (failure: unknown) => failure,
  );
  assert.ok(error instanceof MillraceError, String(error));
  assert.equal(error.outcomeKnown, true);
  return [error.code, error.metadata];
}

describe("batchOf", () => {
  it("takes a plain set as it stands: a view of the request, counted, with its checksum", () => {
    const request = over({ records: plain });
    const batch = batchOf(request, MAX, inflater());
    assert.ok(!(batch instanceof Promise));
    assert.equal(batch.draft.payload.buffer, request.records?.buffer, "not a copy");
    assert.deepEqual(batch, {
      acks: "ALL",
      draft: {
        type: FrameType.data,
        format: PayloadFormat.records,
        codec: Codec.none,
        recordCount: 2,
        firstTimestamp: 0,
        maxTimestamp: 0,
        producerId: NO_PRODUCER,
        producerEpoch: 0,
        baseSequence: -1,
        payloadCrc: crc32c(plain),
        payload: batch.draft.payload,
      },
    });
  });

  it("names the level, and the safest one when none is named", () => {
    const levels = [Acks.unspecified, Acks.none, Acks.leader, Acks.quorum, Acks.all] as const;
    assert.deepEqual(
      levels.map((acks) => now({ records: plain, acks }).acks),
      ["ALL", "NONE", "LEADER", "QUORUM", "ALL"],
    );
  });

  it("keeps the records' times, and leaves the first one open when some record takes the append time", () => {
    const stamped = now({ records: recordSet(["a", "b"], 77) }).draft;
    assert.deepEqual([stamped.firstTimestamp, stamped.maxTimestamp], [77, 77]);
    const mixed = now({ records: new Uint8Array([...recordSet(["a"], 77), ...recordSet(["b"])]) }).draft;
    assert.deepEqual([mixed.firstTimestamp, mixed.maxTimestamp, mixed.recordCount], [0, 77, 2]);
  });

  it("takes exactly one of plain and compressed records, and compression only with the latter", async () => {
    for (const input of [{}, { records: plain, compressedRecords: squeezed, compression: Compression.gzip }])
      assert.deepEqual(await refusal(input), ["INVALID_REQUEST", { field: "records" }]);
    assert.deepEqual(await refusal({ records: plain, compression: Compression.gzip }), ["INVALID_REQUEST", { field: "compression" }]);
    assert.equal(now({ records: plain, compression: Compression.none }).draft.codec, Codec.none);
  });

  it("takes a set of just the largest size, and refuses one byte more, compressed or not", async () => {
    assert.equal(now({ records: plain }, plain.byteLength).draft.recordCount, 2);
    const metadata = { bytes: String(plain.byteLength), max_bytes: String(plain.byteLength - 1), limit: "max.message.bytes" };
    assert.deepEqual(await refusal({ records: plain }, inflater(), plain.byteLength - 1), ["RECORD_SET_TOO_LARGE", metadata]);
    const gzip = { compressedRecords: squeezed, compression: Compression.gzip, recordCount: 2 };
    assert.deepEqual((await refusal(gzip, inflater(), 2))[0], "RECORD_SET_TOO_LARGE");
  });

  it("refuses bytes that are no record set, and a set without records", async () => {
    assert.equal((await refusal({ records: plain.subarray(0, plain.byteLength - 1) }))[0], "MALFORMED_RECORD_SET");
    assert.equal((await refusal({ records: new Uint8Array(0) }))[0], "MALFORMED_RECORD_SET");
  });

  it("verifies a gzip set by inflating it under a limit, and stores it as it came", async () => {
    const inflate = inflater();
    const batch = await batchOf(over({ compressedRecords: squeezed, compression: Compression.gzip, recordCount: 2 }), MAX, inflate);
    assert.equal(inflate.limit, 16 * MAX);
    assert.deepEqual([batch.draft.codec, batch.draft.recordCount, batch.draft.payloadCrc], [Codec.gzip, 2, crc32c(squeezed)]);
    assert.deepEqual([...batch.draft.payload], [...squeezed]);
  });

  it("refuses a compressed set that lies about its count, does not inflate, inflates too far, or to no record set", async () => {
    const gzip = { compressedRecords: squeezed, compression: Compression.gzip, recordCount: 3 };
    assert.deepEqual(await refusal(gzip), ["MALFORMED_RECORD_SET", { position: "0", records: "2" }]);
    assert.equal((await refusal(gzip, inflater({ failed: "MALFORMED" })))[0], "MALFORMED_RECORD_SET");
    assert.deepEqual(await refusal(gzip, inflater({ failed: "TOO_LARGE" })), [
      "RECORD_SET_TOO_LARGE",
      { max_bytes: String(16 * MAX), limit: "max.message.bytes" },
    ]);
    assert.equal((await refusal(gzip, inflater({ bytes: Uint8Array.of(255, 255) })))[0], "MALFORMED_RECORD_SET");
  });

  it("refuses the other codecs by name", async () => {
    for (const [name, compression] of Object.entries(Compression)) {
      if (compression === Compression.gzip) continue;
      const input = { compressedRecords: squeezed, compression, recordCount: 2 };
      assert.deepEqual(await refusal(input), ["COMPRESSION_UNSUPPORTED", { codec: name }]);
    }
  });

  it("takes a producer with its sequence, and refuses halves of one", async () => {
    const { producerId, producerEpoch, baseSequence } = now({ records: plain, producerId: 5, baseSequence: 2 ** 31 - 1 }).draft;
    assert.deepEqual([producerId, producerEpoch, baseSequence], [5, 0, 2 ** 31 - 1]);
    const field = async (input: Input) => (await refusal({ records: plain, ...input }))[1].field;
    assert.equal(await field({ baseSequence: 1 }), "producer_id");
    assert.equal(await field({ producerEpoch: 1 }), "producer_id");
    assert.equal(await field({ producerId: -1 }), "producer_id");
    assert.equal(await field({ producerId: 5, producerEpoch: 1 }), "producer_epoch");
    assert.equal(await field({ producerId: 5, baseSequence: -1 }), "base_sequence");
  });
});
