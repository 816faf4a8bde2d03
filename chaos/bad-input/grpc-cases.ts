import assert from "node:assert/strict";
import { deflateSync, gzipSync } from "node:zlib";
import { AdminService, LogService } from "../../src/protocol/methods.ts";
import { Compression, FetchRequest, FetchResponse, ListTopicsRequest, ProduceRequest } from "../../src/protocol/public.ts";
import { records } from "../../src/records/log-record.ts";
import { RecordSetBuilder } from "../../src/records/record-set-builder.ts";
import { callAgain } from "./again.ts";
import { RawCalls } from "./calls.ts";
import { type BadInput, failed, refused, Status } from "./case.ts";
import { framed } from "./http2-frames.ts";
import type { Target } from "./target.ts";

const MiB = 1024 * 1024;
const LIST = AdminService.ListTopics.path;
const list = ListTopicsRequest.encode({});

export function setOf(...values: readonly (string | Uint8Array)[]): Uint8Array {
  const builder = new RecordSetBuilder();
  for (const value of values) builder.append(undefined, value, [], 0);
  return builder.take();
}

async function withCalls(target: Target, work: (raw: RawCalls) => Promise<string>): Promise<string> {
  const raw = new RawCalls(target.address);
  try {
    return await work(raw);
  } finally {
    raw.close();
  }
}

/** Values of everything in a partition. */
export async function valuesOf(target: Target, topic: string, partition: number): Promise<string[]> {
  const values: string[] = [];
  for (let offset = 0; ; ) {
    const reply = FetchResponse.decode(
      await callAgain(target.channel, LogService.Fetch.path, FetchRequest.encode({ topic, partition, offset })),
    );
    for (const batch of reply.batches)
      if (batch.records !== undefined) for (const { value } of records(batch.records)) values.push(Buffer.from(value ?? []).toString());
    if (reply.nextOffset === offset) return values;
    offset = reply.nextOffset;
  }
}

export const grpcCases: readonly BadInput[] = [
  {
    number: 32,
    name: "wrong content type, unknown methods, no TE",
    run: (target) =>
      withCalls(target, async (raw) => {
        for (const type of ["application/json", "text/html", "application/grpc-web", ""])
          assert.equal(
            (await raw.call({ ":path": LIST, "content-type": type }, framed(list))).httpStatus,
            type === "application/grpc-web" ? 200 : 415,
          );
        for (const path of [
          "/",
          "/x",
          "/millrace.v1.LogService/",
          "/millrace.v1.LogService/Nothing",
          "//millrace.v1.AdminService/ListTopics",
          "/__proto__/toString",
        ])
          assert.equal((await raw.unary(path, list)).status, Status.unimplemented, path);
        const stream = raw.session.request({ ":method": "POST", ":path": LIST, "content-type": "application/grpc+proto" });
        stream.on("error", () => {});
        stream.end(framed(list));
        await new Promise((resolve) => stream.once("close", resolve).resume());
        return "415 or UNIMPLEMENTED, never a throw";
      }),
  },
  {
    number: 33,
    name: "compressed flags without an encoding, unknown and broken encodings",
    run: (target) =>
      withCalls(target, async (raw) => {
        const flagged = framed(list.length > 0 ? list : Buffer.from("x"), 1);
        for (const encoding of [undefined, "identity", "snappy", "gzip", "deflate", "__proto__"]) {
          const headers = encoding === undefined ? {} : { "grpc-encoding": encoding };
          failed(await raw.call({ ":path": LIST, ...headers }, flagged), `flagged, encoding ${encoding}`);
        }
        failed(
          await raw.call({ ":path": LIST, "grpc-encoding": "gzip" }, framed(gzipSync(Buffer.alloc(1_000)).subarray(0, 20), 1)),
          "gzip cut short",
        );
        const whole = await raw.call({ ":path": LIST, "grpc-encoding": "gzip" }, framed(gzipSync(list), 1));
        assert.equal(whole.status, Status.ok);
        return "refused; well-formed gzip is taken";
      }),
  },
  {
    number: 34,
    name: "bombs of 1:1000, in the call and in a batch",
    run: (target) =>
      withCalls(target, async (raw) => {
        const zeros = Buffer.alloc(64 * MiB);
        for (const [encoding, bomb] of [
          ["gzip", gzipSync(zeros)],
          ["deflate", deflateSync(zeros)],
        ] as const) {
          const answer = await raw.call({ ":path": LogService.Produce.path, "grpc-encoding": encoding }, framed(bomb, 1));
          assert.equal(answer.status, Status.resourceExhausted, encoding);
        }
        const bomb = { topic: "t", compressedRecords: gzipSync(zeros), compression: Compression.gzip, recordCount: 1 };
        const answers = await Promise.all(
          Array.from({ length: 20 }, () => raw.unary(LogService.Produce.path, ProduceRequest.encode(bomb))),
        );
        for (const answer of answers) refused(answer, "RECORD_SET_TOO_LARGE", "a bomb in a batch");
        return "stopped while inflating, 22 times";
      }),
  },
  {
    number: 35,
    name: "callers that go at every byte of a produce",
    run: (target) =>
      withCalls(target, async (raw) => {
        const topic = "t";
        const partition = 2;
        const bytes = framed(ProduceRequest.encode({ topic, partition, records: setOf("first", "second", "third") }));
        for (let cut = 0; cut <= bytes.length; cut++) {
          const stream = raw.open({ ":path": LogService.Produce.path });
          stream.write(bytes.subarray(0, cut));
          if (cut === bytes.length) stream.end();
          await new Promise((resolve) => setImmediate(resolve));
          stream.close(8);
          await new Promise((resolve) => (stream.closed ? resolve(undefined) : stream.once("close", resolve)));
        }
        const values = await valuesOf(target, topic, partition);
        assert.equal(values.length % 3, 0, "whole batches only");
        for (let i = 0; i < values.length; i += 3) assert.deepEqual(values.slice(i, i + 3), ["first", "second", "third"]);
        assert.ok(values.length <= 3, "no batch of a cut request is there");
        return `${bytes.length + 1} cuts, ${values.length / 3} batches stored`;
      }),
  },
  {
    number: 36,
    name: "deadlines of zero, in the past, in ten years, and none that is one",
    run: (target) =>
      withCalls(target, async (raw) => {
        for (const timeout of ["0S", "0n", "-5S", "-1m"])
          assert.equal((await raw.unary(LIST, list, { "grpc-timeout": timeout })).status, Status.deadlineExceeded, timeout);
        for (const timeout of ["", "S", "five", "5", "5X", "123456789S", "1e3S"])
          failed(await raw.unary(LIST, list, { "grpc-timeout": timeout }), `a deadline of "${timeout}"`);
        for (const timeout of ["87600H", "99999999H", "99999999S"])
          assert.equal((await raw.unary(LIST, list, { "grpc-timeout": timeout })).status, Status.ok, timeout);
        const poll = FetchRequest.encode({ topic: "t", offset: 0, maxWaitMs: 2 ** 31 - 1, minBytes: 2 ** 31 - 1 });
        const late = await raw.unary(LogService.Fetch.path, poll, { "grpc-timeout": "300m" });
        assert.ok([Status.ok, Status.deadlineExceeded].includes(late.status as 0), `status ${late.status}`);
        const write = ProduceRequest.encode({ topic: "t", records: setOf("in time?") });
        const answers = await Promise.all(
          Array.from({ length: 200 }, (_, n) => raw.unary(LogService.Produce.path, write, { "grpc-timeout": `${n * 20}u` })),
        );
        for (const { status, code } of answers)
          assert.ok(status === Status.ok || status === Status.deadlineExceeded, `status ${status} ${code}`);
        return `200 produces of 0 to 4 ms: ${answers.filter(({ status }) => status === Status.ok).length} in time`;
      }),
  },
  {
    number: 37,
    name: "hostile metadata",
    run: (target) =>
      withCalls(target, async (raw) => {
        const odd = {
          __proto__x: "1",
          constructor: "x",
          "x-bin": "!!!not base64!!!",
          "grpc-accept-encoding": "\u00ff",
          "grpc-status": "0",
          "user-agent": "a\u001b[2Jb",
          "x-forged": '"}\t{"level":"error","event":"forged"',
        };
        await raw.unary(LIST, list, odd);
        const many = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`x-${i}`, "1"]));
        failed(await raw.unary(LIST, list, many).catch(() => ({ ...none })), "500 headers");
        for (const name of ["a\r\nlevel: error", "\u0000", "\u001b[2J", "{}", "☕".repeat(80), "\u202e"]) {
          const answer = await raw.unary(LogService.Fetch.path, FetchRequest.encode({ topic: name }));
          refused(answer, "UNKNOWN_TOPIC", JSON.stringify(name));
        }
        const logged = target.logText();
        assert.ok(!logged.includes("forged") && !logged.includes("\u001b"), "nothing of it is in the logs as it came");
        for (const line of target.logText().split("\n")) if (line.startsWith("{")) JSON.parse(line);
        return "answered, and every line of the logs is still JSON of our own";
      }),
  },
  {
    number: 38,
    name: "handlers that throw",
    run: (target) =>
      withCalls(target, async (raw) => {
        const garbage = [Buffer.of(0xff, 0xff, 0xff), Buffer.of(0x0a, 0x7f), Buffer.alloc(1_000, 0x0b), Buffer.of(0x12, 0x02, 0xc0, 0x80)];
        for (const path of [
          "/grpc.health.v1.Health/Check",
          "/grpc.health.v1.Health/Watch",
          "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
          "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        ]) {
          for (const bytes of garbage) {
            const stream = raw.open({ ":path": path });
            const text = await new Promise<string>((resolve) => {
              let said = "";
              const timer = setTimeout(() => stream.close(8), 300);
              const note = (headers: { readonly "grpc-message"?: unknown }): void => {
                said += String(headers["grpc-message"] ?? "");
              };
              stream.on("trailers", note).on("response", note).resume();
              stream.once("close", () => {
                clearTimeout(timer);
                resolve(said);
              });
              stream.end(framed(bytes));
            });
            assert.doesNotMatch(decodeURIComponent(text), /\n\s+at |node_modules|\.js:\d/, `${path}: a stack is shown`);
          }
        }
        // What ours answer to bytes that are nothing: a typed refusal, never a bug.
        for (const { path } of [...Object.values(LogService), ...Object.values(AdminService)].filter(
          ({ kind, implemented }) => kind === "unary" && implemented,
        )) {
          // The last one is a field like any other where none is declared.
          for (const bytes of garbage.slice(0, 3)) {
            const answer = await raw.unary(path, bytes);
            failed(answer, path);
            refused(answer, "INVALID_REQUEST", path);
          }
        }
        return "no stack reaches a caller; ours refuse garbage by name";
      }),
  },
];

const none = {
  httpStatus: 0,
  status: undefined,
  text: "",
  error: undefined,
  code: undefined,
  metadata: {},
  body: Buffer.alloc(0),
  resetCode: undefined,
};
