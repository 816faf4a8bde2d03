import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import type { ErrorCode } from "../../src/base/errors.ts";
import { AdminService, LogService } from "../../src/protocol/methods.ts";
import {
  Acks,
  Compression,
  CreateTopicRequest,
  FetchRequest,
  FetchResponse,
  InitProducerRequest,
  InitProducerResponse,
  ListOffsetsRequest,
  ProduceRequest,
  ProduceResponse,
  ProduceStreamRequest,
  ProduceStreamResponse,
  SubscribeRequest,
} from "../../src/protocol/public.ts";
import { errorOf } from "../../src/protocol/rpc-status.ts";
import { recordBytesOf } from "../../src/records/record-set-builder.ts";
import { callAgain } from "./again.ts";
import { RawCalls } from "./calls.ts";
import { type BadInput, failed, refused } from "./case.ts";
import { setOf } from "./grpc-cases.ts";
import type { Target } from "./target.ts";

const MiB = 1024 * 1024;
const PRODUCE = LogService.Produce.path;
const FETCH = LogService.Fetch.path;

const field = (number: number, wire: number): number[] => varint(number * 8 + wire);
function varint(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return [...bytes, rest];
    bytes.push((rest % 128) | 128);
  }
}
const delimited = (number: number, body: Uint8Array): Buffer =>
  Buffer.concat([Buffer.from([...field(number, 2), ...varint(body.length)]), body]);
const repeat = (times: number, bytes: readonly number[]): Buffer => Buffer.concat(Array.from({ length: times }, () => Buffer.from(bytes)));

type Row = readonly [what: string, path: string, bytes: Uint8Array, codes: readonly ErrorCode[]];

/** Each row is refused with one of its codes, on the attacked broker. */
async function refuseAll(target: Target, rows: readonly Row[]): Promise<string> {
  const raw = new RawCalls(target.address);
  try {
    for (const [what, path, bytes, codes] of rows) {
      const answer = await raw.unary(path, bytes);
      failed(answer, what);
      assert.ok(
        codes.includes(answer.code as ErrorCode),
        `${what}: got ${answer.code ?? `status ${answer.status}`} ${answer.text.slice(0, 150)}`,
      );
    }
    return `${rows.length} refused by name`;
  } finally {
    raw.close();
  }
}

const t = Buffer.from("t");
const produce = (more: Parameters<typeof ProduceRequest.encode>[0]): Uint8Array =>
  ProduceRequest.encode({ topic: "t", partition: 1, ...more });
const withRecords = (set: Uint8Array): Uint8Array => produce({ records: set });
/** A record set of one record with this body. */
const record = (body: Uint8Array): Buffer => delimited(1, body);
const BAD: readonly ErrorCode[] = ["INVALID_REQUEST"];
const BAD_SET: readonly ErrorCode[] = ["MALFORMED_RECORD_SET"];

export const recordCases: readonly BadInput[] = [
  {
    number: 39,
    name: "nesting 10,000 deep, groups",
    run: (target) => {
      let nested: Buffer = Buffer.alloc(0);
      for (let depth = 0; depth < 10_000; depth++) nested = delimited(99, nested);
      return refuseAll(target, [
        ["groups in a request", PRODUCE, repeat(10_000, field(99, 3)), BAD],
        ["groups in a record", PRODUCE, withRecords(record(repeat(10_000, field(9, 3)))), BAD_SET],
        ["an end of a group that never began", FETCH, Buffer.from(field(9, 4)), BAD],
        ["10,000 messages in each other, then a group", FETCH, Buffer.concat([nested, Buffer.from(field(9, 3))]), BAD],
      ]);
    },
  },
  {
    number: 40,
    name: "a million unknown fields, lying lengths, varints without end",
    run: (target) =>
      refuseAll(target, [
        ["a million unknown fields", FETCH, repeat(1_000_000, [...field(50, 0), 1].slice(0, 3)), BAD],
        ["a million unknown fields in a record", PRODUCE, withRecords(record(repeat(300_000, [...field(50, 0), 1]))), BAD_SET],
        [
          "a packed length beyond the end",
          LogService.ListOffsets.path,
          Buffer.from([...field(1, 2), 1, 116, ...field(2, 2), 0xff, 0xff, 0x7f, 1]),
          BAD,
        ],
        ["a varint of 11 bytes", FETCH, Buffer.from([...field(3, 0), ...Array<number>(10).fill(0xff), 1]), BAD],
        ["a varint cut short", FETCH, Buffer.from([...field(3, 0), 0x80]), BAD],
        [
          "a million partitions",
          LogService.ListOffsets.path,
          Buffer.concat([delimited(1, t), delimited(2, Buffer.alloc(1_000_000, 1))]),
          BAD,
        ],
        ["a map of a million entries", AdminService.AlterTopic.path, repeat(600_000, [...field(2, 2), 0]), BAD],
        ["a length beyond the end, in a record", PRODUCE, withRecords(Buffer.from([0x0a, 100, 0x0a, 1, 65])), BAD_SET],
        ["a field number of zero", FETCH, Buffer.of(0, 0), BAD],
        ["a wire type of seven", FETCH, Buffer.of(0x0f, 0), BAD],
      ]),
  },
  {
    number: 41,
    name: "whole numbers above 2^53",
    async run(target) {
      const huge = [0x82, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10];
      const negative = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
      const said = await refuseAll(target, [
        ["an offset of 2^53 and more", FETCH, Buffer.concat([delimited(1, t), Buffer.from([...field(3, 0), ...huge])]), BAD],
        ["an offset of -1", FETCH, Buffer.concat([delimited(1, t), Buffer.from([...field(3, 0), ...negative])]), BAD],
        ["a producer id of 2^53 and more", PRODUCE, Buffer.concat([withRecords(setOf("x")), Buffer.from([...field(8, 0), ...huge])]), BAD],
        ["a timestamp of 2^53 and more", PRODUCE, withRecords(record(Buffer.from([...field(4, 0), ...huge]))), BAD_SET],
        [
          "a time to search of 2^53 and more",
          LogService.ListOffsets.path,
          Buffer.concat([delimited(1, t), Buffer.from([...field(3, 0), ...huge])]),
          BAD,
        ],
      ]);
      // The largest exact one is taken at its word.
      const raw = new RawCalls(target.address);
      const answer = await raw.unary(FETCH, FetchRequest.encode({ topic: "t", offset: Number.MAX_SAFE_INTEGER }));
      raw.close();
      refused(answer, "OFFSET_OUT_OF_RANGE", "2^53 - 1");
      assert.match(answer.text, /9007199254740991/);
      return `${said}; 2^53 - 1 is exact`;
    },
  },
  {
    number: 42,
    name: "negative counts and sizes, NaN, unknown enum values",
    run: (target) =>
      refuseAll(target, [
        ["a negative max_bytes", FETCH, FetchRequest.encode({ topic: "t", maxBytes: -1 }), BAD],
        ["a negative min_bytes", FETCH, FetchRequest.encode({ topic: "t", minBytes: -1 }), BAD],
        ["a negative wait", FETCH, FetchRequest.encode({ topic: "t", maxWaitMs: -1 }), BAD],
        ["a negative partition", FETCH, FetchRequest.encode({ topic: "t", partition: -1 }), ["UNKNOWN_PARTITION"]],
        [
          "a negative record count",
          PRODUCE,
          produce({ compressedRecords: gzipSync(setOf("x")), compression: Compression.gzip, recordCount: -1 }),
          BAD_SET,
        ],
        ["a negative number of partitions", AdminService.CreateTopic.path, CreateTopicRequest.encode({ name: "x", partitions: -1 }), BAD],
        ["a negative number of replicas", AdminService.CreateTopic.path, CreateTopicRequest.encode({ name: "x", replicas: -1 }), BAD],
        ["an acks level that is none", PRODUCE, Buffer.concat([withRecords(setOf("x")), Buffer.from([...field(7, 0), 9])]), BAD],
        ["a codec that is none", FETCH, Buffer.concat([delimited(1, t), Buffer.from([...field(7, 0), 77])]), BAD],
        [
          "a rate that is no number",
          LogService.Subscribe.path,
          Buffer.concat([delimited(1, t), Buffer.from(field(4, 1)), Buffer.from("000000000000f87f", "hex")]),
          BAD,
        ],
        [
          "an infinite rate",
          LogService.Subscribe.path,
          Buffer.concat([delimited(1, t), Buffer.from(field(4, 1)), Buffer.from("000000000000f07f", "hex")]),
          BAD,
        ],
        [
          "a negative rate",
          LogService.Subscribe.path,
          SubscribeRequest.encode({ topic: "t", partitions: [{ partition: 0 }], maxRate: -1 }),
          BAD,
        ],
        [
          "a negative credit",
          LogService.Subscribe.path,
          SubscribeRequest.encode({ topic: "t", partitions: [{ partition: 0 }], creditBytes: -1 }),
          BAD,
        ],
      ]),
  },
  {
    number: 43,
    name: "invalid and overlong UTF-8 in names",
    run: (target) => {
      const names = ["c080", "e08080", "f0808080", "eda080", "f4908080", "ff", "74c3", "80"];
      return refuseAll(
        target,
        names.flatMap((hex): Row[] => [
          [`topic ${hex}`, FETCH, delimited(1, Buffer.from(hex, "hex")), BAD],
          [`new topic ${hex}`, AdminService.CreateTopic.path, delimited(1, Buffer.from(hex, "hex")), BAD],
        ]),
      );
    },
  },
  {
    number: 44,
    name: "names that are paths, prototypes, too long, or nothing",
    run: (target) => {
      const names = [
        "",
        ".",
        "..",
        "a/b",
        "../t",
        "a\\b",
        "a\0b",
        "__proto__",
        "__groups",
        "käse",
        "a b",
        "x".repeat(250),
        "🙂",
        "a".repeat(100_000),
      ];
      return refuseAll(target, [
        ...names.map(
          (name): Row => [
            `a topic named ${JSON.stringify(name.slice(0, 20))}`,
            AdminService.CreateTopic.path,
            CreateTopicRequest.encode({ name }),
            ["INVALID_NAME"],
          ],
        ),
        // Whatever begins so is the cluster's own, whether there is one or not.
        ...["__proto__", "__groups"].map(
          (topic): Row => [`a fetch of ${JSON.stringify(topic)}`, FETCH, FetchRequest.encode({ topic }), ["INTERNAL_TOPIC"]],
        ),
        ...["constructor", "toString", "../t", ""].map(
          (topic): Row => [`a fetch of ${JSON.stringify(topic)}`, FETCH, FetchRequest.encode({ topic }), ["UNKNOWN_TOPIC"]],
        ),
        [
          "a setting named __proto__",
          AdminService.CreateTopic.path,
          CreateTopicRequest.encode({ name: "x", configs: new Map([["__proto__", "1"]]) }),
          ["INVALID_CONFIG"],
        ],
      ]);
    },
  },
  {
    number: 45,
    name: "batches that lie",
    run: (target) => {
      const gzip = { compressedRecords: gzipSync(setOf("x")), compression: Compression.gzip };
      const year9999 = 253_402_300_799_000;
      return refuseAll(target, [
        ["two records, where one is", PRODUCE, produce({ ...gzip, recordCount: 2 }), BAD_SET],
        ["no records, where one is", PRODUCE, produce({ ...gzip, recordCount: 0 }), BAD_SET],
        ["the year 9999", PRODUCE, withRecords(record(Buffer.from([...field(4, 0), ...varint(year9999)]))), ["TIMESTAMP_TOO_NEW"]],
        ["100,000 headers", PRODUCE, withRecords(record(repeat(100_000, [...field(3, 2), 0]))), BAD_SET],
        ["a value twice", PRODUCE, withRecords(record(Buffer.from([...field(2, 2), 1, 65, ...field(2, 2), 1, 66]))), BAD_SET],
        ["a stray field in the set", PRODUCE, withRecords(Buffer.concat([setOf("x"), Buffer.from([...field(2, 0), 1])])), BAD_SET],
        [
          "gzip of something else",
          PRODUCE,
          produce({ compressedRecords: gzipSync("text"), compression: Compression.gzip, recordCount: 1 }),
          BAD_SET,
        ],
        [
          "gzip that is none",
          PRODUCE,
          produce({ compressedRecords: Buffer.from("text"), compression: Compression.gzip, recordCount: 1 }),
          BAD_SET,
        ],
        ["both kinds of records", PRODUCE, produce({ records: setOf("x"), ...gzip, recordCount: 1 }), BAD],
        ["no records at all", PRODUCE, produce({}), BAD],
        ["the records given twice", PRODUCE, Buffer.concat([withRecords(setOf("x")), delimited(3, setOf("y"))]), BAD],
        ["zstd", PRODUCE, produce({ ...gzip, compression: Compression.zstd, recordCount: 1 }), ["COMPRESSION_UNSUPPORTED"]],
      ]);
    },
  },
  {
    number: 46,
    name: "a batch exactly at the limit, and one byte more",
    async run(target) {
      const raw = new RawCalls(target.address);
      const exact = setOfBytes(MiB);
      const over = await raw.unary(PRODUCE, produce({ partition: 0, records: setOfBytes(MiB + 1) }));
      refused(over, "RECORD_SET_TOO_LARGE", "one byte more");
      assert.equal(over.metadata["max_bytes"], String(MiB));
      const taken = await raw.unary(PRODUCE, produce({ partition: 0, records: exact, acks: Acks.all }));
      const { baseOffset, durableBrokerIds } = ProduceResponse.decode(taken.body);
      assert.deepEqual([...durableBrokerIds].sort(), [1, 2, 3]);
      const read = FetchResponse.decode(
        (await raw.unary(FETCH, FetchRequest.encode({ topic: "t", partition: 0, offset: baseOffset }))).body,
      );
      raw.close();
      assert.equal(Buffer.compare(Buffer.from(read.batches[0]?.records ?? []), Buffer.from(exact)), 0, "as it was sent");
      return "1,048,576 bytes stored on three brokers and read back; 1,048,577 refused";
    },
  },
  {
    number: 47,
    name: "forged producers",
    async run(target) {
      const id = InitProducerResponse.decode(
        await callAgain(target.channel, LogService.InitProducer.path, InitProducerRequest.encode({})),
      ).producerId;
      const of = (producerId: number, baseSequence: number, more = {}): Uint8Array =>
        produce({ records: setOf("x"), producerId, baseSequence, ...more });
      const said = await refuseAll(target, [
        ["an id nobody was given, in the middle", PRODUCE, of(2 ** 52, 5), ["UNKNOWN_PRODUCER"]],
        ["a negative id", PRODUCE, of(-7, 0), BAD],
        ["another epoch", PRODUCE, of(id, 0, { producerEpoch: 1 }), BAD],
        ["a negative epoch", PRODUCE, of(id, 0, { producerEpoch: -1 }), BAD],
        ["a negative sequence", PRODUCE, of(id, -1), BAD],
        ["the last sequence first", PRODUCE, of(id, 2 ** 31 - 1), ["UNKNOWN_PRODUCER"]],
        ["a level that forgets", PRODUCE, of(id, 0, { acks: Acks.leader }), ["ACKS_NOT_ALLOWED"]],
        ["a sequence without an id", PRODUCE, produce({ records: setOf("x"), baseSequence: 4 }), BAD],
      ]);
      await callAgain(target.channel, PRODUCE, of(id, 0));
      await refuseAll(target, [["a gap", PRODUCE, of(id, 9), ["OUT_OF_ORDER_SEQUENCE"]]]);
      const again = ProduceResponse.decode(await callAgain(target.channel, PRODUCE, of(id, 0)));
      assert.equal(again.duplicate, true);
      return `${said}; a gap refused, a retry known`;
    },
  },
  {
    number: 48,
    name: "fetches of too little, too much, and outside of the log",
    async run(target) {
      const said = await refuseAll(target, [
        ["an offset behind the end", FETCH, FetchRequest.encode({ topic: "t", partition: 1, offset: 2 ** 40 }), ["OFFSET_OUT_OF_RANGE"]],
        ["-1 bytes", FETCH, FetchRequest.encode({ topic: "t", maxBytes: -1 }), BAD],
        ["every partition twice", LogService.ListOffsets.path, ListOffsetsRequest.encode({ topic: "t", partitions: [0, 0] }), BAD],
        [
          "100,000 partitions",
          LogService.ListOffsets.path,
          ListOffsetsRequest.encode({ topic: "t", partitions: Array.from({ length: 100_000 }, (_, n) => n) }),
          BAD,
        ],
      ]);
      const sizes: number[] = [];
      for (const maxBytes of [0, 1, 2 ** 31 - 1]) {
        const reply = await callAgain(target.channel, FETCH, FetchRequest.encode({ topic: "big", maxBytes }));
        sizes.push(reply.length);
      }
      assert.ok((sizes[0] ?? 0) <= 2 * MiB && (sizes[1] ?? 0) <= MiB + 100 && (sizes[2] ?? 0) <= 61 * MiB, sizes.join());
      return `${said}; answers of ${sizes.map((size) => `${(size / MiB).toFixed(1)} MiB`).join(", ")} for 0, 1 and 2^31 - 1 bytes`;
    },
  },
  {
    number: 51,
    name: "producer ids and topics without end",
    async run(target) {
      const refusal = await topicsUntilRefused(target);
      const ids = 12_000;
      const answered = await produceWithIds(target, ids);
      return `${refusal}; ${answered} producer ids, of which each partition remembers 10,000`;
    },
  },
];

/** Makes topics until the cluster says that there are enough, and deletes them. */
async function topicsUntilRefused(target: Target): Promise<string> {
  const raw = new RawCalls(target.address);
  try {
    for (let n = 0; n < 100; n++) {
      const answer = await raw.unary(
        AdminService.CreateTopic.path,
        CreateTopicRequest.encode({ name: `flood-${n}`, partitions: 10, replicas: 1 }),
      );
      if (answer.status === 0) continue;
      refused(answer, "TOO_MANY_REQUESTS", "one topic too many");
      assert.equal(answer.metadata["limit"], "partitions.max");
      for (let made = 0; made < n; made++) await target.cluster.admin.deleteTopic(`flood-${made}`);
      return `refused after ${n} topics of 10 partitions (partitions.max)`;
    }
    throw new Error("1,000 partitions where 60 are allowed");
  } finally {
    raw.close();
  }
}

/** One batch under each of so many ids that nobody was given, over one stream. */
function produceWithIds(target: Target, ids: number): Promise<number> {
  const stream = target.channel.openStream(LogService.ProduceStream.path, "bidi", { timeoutMs: 60_000 });
  let answered = 0;
  let sent = 0;
  return new Promise((resolve, reject) => {
    const send = (): void => {
      while (sent < ids && sent - answered < 500) {
        const batches = [];
        for (let i = 0; i < 100 && sent < ids; i++, sent++)
          batches.push({
            correlationId: sent,
            request: { topic: "t", partition: 1, records: setOf("x"), producerId: 2 ** 40 + sent, acks: Acks.quorum },
          });
        stream.write(ProduceStreamRequest.encode({ batches }));
      }
    };
    stream.handlers = {
      message: (bytes) => {
        for (const { error } of ProduceStreamResponse.decode(bytes).results) {
          answered++;
          if (error !== undefined) reject(new Error(`batch ${answered}: ${errorOf(error)?.code ?? error.message}`));
        }
        if (answered === ids) {
          stream.end();
          resolve(answered);
        } else send();
      },
      drain() {},
      closed: (error) => reject(error ?? new Error("the stream ended early")),
    };
    send();
  });
}

/** A set of one record that is exactly so long. */
function setOfBytes(bytes: number): Uint8Array {
  let length = bytes;
  while (recordBytesOf(undefined, new Uint8Array(length)) > bytes) length--;
  return setOf(Buffer.alloc(length, "v"));
}
