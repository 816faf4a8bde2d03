import assert from "node:assert/strict";
import { AdminService, LogService } from "../../src/protocol/methods.ts";
import { FetchRequest, ListTopicsRequest, ProduceStreamRequest, SubscribeRequest } from "../../src/protocol/public.ts";
import { Draws } from "../draws.ts";
import { sleep } from "../report.ts";
import { RawCalls } from "./calls.ts";
import { type BadInput, failed, Status } from "./case.ts";
import { callHeaders, Flag, FrameKind, frame, framed, literal, resetStream, Setting, settings, windowUpdate } from "./http2-frames.ts";
import { RawConnection } from "./raw-connection.ts";
import { BIG, keptMiBMax, type Memory, type Target } from "./target.ts";

const KiB = 1024;
const MiB = 1024 * KiB;
const LIST = AdminService.ListTopics.path;
/** How long the broker may take to end a connection that misbehaves. */
const END_MS = 30_000;
/** Resident memory that the same attack may add the second time. */
const RSS_AGAIN_MIB_MAX = 192;
/** What else happens to a broker while its memory is looked at twice. */
const SMALL_THINGS_MIB = 16;
/** Processor time one flood may cost. */
const CPU_SECONDS_MAX = 6;

const headers = (stream: number, path: string, more: readonly (readonly [string, string])[] = []): Buffer =>
  frame(FrameKind.headers, Flag.endHeaders, stream, callHeaders(path, more));

/** Sends pieces until the broker ends the connection or all are sent. @returns how many went out */
async function flood(connection: RawConnection, count: number, piece: (n: number) => Buffer, perWrite = 200): Promise<number> {
  let sent = 0;
  while (sent < count && !connection.closed) {
    const pieces: Buffer[] = [];
    for (let i = 0; i < perWrite && sent < count; i++) pieces.push(piece(sent++));
    if (!(await connection.push(Buffer.concat(pieces)))) break;
  }
  return sent;
}

/** Floods the victim, and says how it ended and what it cost. */
async function floods(
  target: Target,
  rows: readonly (readonly [
    what: string,
    count: number,
    piece: (n: number) => Buffer,
    prepare?: ((c: RawConnection) => void) | undefined,
    deaf?: boolean,
  ])[],
): Promise<string> {
  const said: string[] = [];
  for (const [what, count, piece, prepare, deaf] of rows) {
    const before = (await target.memory()).cpuSeconds;
    const connection = await RawConnection.http2(target.address);
    prepare?.(connection);
    if (deaf === true) connection.socket.pause();
    const sent = await flood(connection, count, piece);
    connection.socket.resume();
    connection.mark();
    await connection.until(() => connection.refused || connection.marked, END_MS);
    const how = connection.closed ? "closed" : connection.refused ? "GOAWAY" : "kept";
    connection.close();
    const cpu = (await target.memory()).cpuSeconds - before;
    assert.ok(cpu < CPU_SECONDS_MAX, `${what}: ${cpu.toFixed(1)} s of processor`);
    said.push(`${what} ${sent}: ${how}, ${cpu.toFixed(2)} s`);
  }
  return said.join("; ");
}

/** A kind of frame that there is not: whoever gets it drops it. */
const UNKNOWN_KIND = 0x2a;

/** Sockets that never speak, opened before the first case. */
const silent: RawConnection[] = [];
const SILENT = 200;

export const http2Cases: readonly BadInput[] = [
  {
    number: 23,
    name: "rapid reset: calls begun and reset by the thousand",
    async run(target) {
      const said = await floods(target, [
        ["HEADERS+RST", 10_000, (n) => Buffer.concat([headers(2 * n + 1, LIST), resetStream(2 * n + 1)])],
        [
          "with a body",
          10_000,
          (n) =>
            Buffer.concat([
              headers(2 * n + 1, LIST),
              frame(FrameKind.data, 1, 2 * n + 1, framed(ListTopicsRequest.encode({}))),
              resetStream(2 * n + 1),
            ]),
        ],
      ]);
      assert.match(said, /(closed|GOAWAY)/, "the connection is ended");
      return said;
    },
  },
  {
    number: 24,
    name: "headers without end, of a megabyte, or that inflate",
    async run(target) {
      const endless = await RawConnection.http2(target.address);
      endless.send(frame(FrameKind.headers, 0, 1, callHeaders(LIST)));
      const sent = await flood(endless, 5_000, () => frame(FrameKind.continuation, 0, 1, literalField(1_000)), 50);
      assert.ok(await endless.until(() => endless.refused, END_MS), "a connection of CONTINUATION without end is ended");
      endless.close();
      const large = await RawConnection.http2(target.address);
      large.send(frame(FrameKind.headers, 0, 1, callHeaders(LIST)));
      for (let i = 0; i < 64; i++)
        large.send(frame(FrameKind.continuation, i === 63 ? Flag.endHeaders : 0, 1, literalField(16 * KiB - 40)));
      assert.ok(
        await large.until(() => large.refused || large.seen(FrameKind.resetStream, 1) !== undefined, END_MS),
        "a megabyte of headers",
      );
      large.close();
      // One field of 4,000 bytes goes into the table; each byte after it stands for the whole field.
      const bomb = await RawConnection.http2(target.address);
      const block = Buffer.concat([
        callHeaders(LIST),
        Buffer.of(0x40),
        literal("a"),
        literal("x".repeat(4_000)),
        Buffer.alloc(12_000, 0xbe),
      ]);
      bomb.send(frame(FrameKind.headers, Flag.endHeaders, 1, block));
      assert.ok(
        await bomb.until(() => bomb.refused || bomb.seen(FrameKind.resetStream, 1) !== undefined || answered(bomb), END_MS),
        "48 MB of headers out of 16 KB",
      );
      bomb.close();
      return `ended after ${sent} CONTINUATION frames; the megabyte and the bomb refused`;
    },
  },
  {
    number: 25,
    name: "floods of pings, settings, empty data, priorities",
    run: (target) =>
      floods(target, [
        ["PING", 20_000, () => frame(FrameKind.ping, 0, 0, Buffer.alloc(8)), undefined, true],
        ["SETTINGS", 20_000, () => settings([Setting.initialWindowSize, 65_535]), undefined, true],
        ["empty DATA", 20_000, () => frame(FrameKind.data, 0, 1), (c) => c.send(headers(1, LogService.ProduceStream.path))],
        ["PRIORITY", 20_000, (n) => frame(FrameKind.priority, 0, 2 * n + 1, Buffer.of(0, 0, 0, 0, 15))],
        ["WINDOW_UPDATE", 20_000, () => windowUpdate(0, 1)],
      ]),
  },
  {
    number: 26,
    name: "window updates that overflow; connections by the thousand",
    async run(target) {
      for (const [what, bytes] of [
        ["overflow of the connection", Buffer.concat([windowUpdate(0, 2 ** 31 - 1), windowUpdate(0, 2 ** 31 - 1)])],
        ["an increment of zero", windowUpdate(0, 0)],
        ["a window update of a stream that never was", windowUpdate(99, 5)],
      ] as const) {
        const connection = await RawConnection.http2(target.address);
        connection.send(bytes);
        assert.ok(await connection.until(() => connection.refused, END_MS), what);
        connection.close();
      }
      const stream = await RawConnection.http2(target.address);
      stream.send(headers(1, LogService.ProduceStream.path), windowUpdate(1, 2 ** 31 - 1), windowUpdate(1, 2 ** 31 - 1));
      assert.ok(
        await stream.until(() => stream.refused || stream.seen(FrameKind.resetStream, 1) !== undefined, END_MS),
        "overflow of a stream",
      );
      stream.close();
      let opened = 0;
      for (let round = 0; round < 10; round++) {
        const many = await Promise.all(Array.from({ length: 300 }, () => RawConnection.http2(target.address)));
        opened += many.length;
        await sleep(20);
        for (const each of many) each.close();
        await sleep(20);
      }
      return `overflows ended their connections; ${opened} connections came and went`;
    },
  },
  {
    number: 27,
    name: "readers with a window of zero",
    async run(target) {
      const said = await refuseToRead(target);
      const once = await settled(target);
      // What the first time freed is used again: resident memory that is kept is the allocator's, not somebody's.
      await refuseToRead(target);
      const twice = await settled(target);
      const grown = (twice.rssBytes - once.rssBytes) / MiB;
      assert.ok(grown < RSS_AGAIN_MIB_MAX, `done again, ${Math.round(grown)} MiB more are resident`);
      const mebibytes = ({ heapBytes, rssBytes }: Memory): string =>
        `${Math.round(heapBytes / MiB)} (${Math.round(rssBytes / MiB)} resident)`;
      return `${said}; ${mebibytes(once)} MiB after the first time, ${mebibytes(twice)} after the second`;
    },
  },
  {
    number: 28,
    name: "sockets that never speak, requests at a byte at a time",
    async prepare(target) {
      for (let i = 0; i < SILENT; i++) {
        const connection = await RawConnection.open(target.cluster.broker((i % 3) + 1).address);
        // Half of them begin: half a preface is no preface.
        if (i % 2 === 0) connection.send(Buffer.from("PRI * HTTP/2.0\r\n"));
        silent.push(connection);
      }
    },
    async run(target) {
      const connection = await RawConnection.http2(target.address);
      connection.send(headers(1, LogService.Produce.path), frame(FrameKind.data, 0, 1, Buffer.of(0, 0, 0, 0, 100)));
      const began = performance.now();
      while (!connection.refused && connection.seen(FrameKind.resetStream, 1) === undefined && performance.now() - began < END_MS) {
        connection.send(frame(FrameKind.data, 0, 1, Buffer.of(10)));
        await sleep(100);
      }
      const ms = performance.now() - began;
      assert.notEqual(connection.seen(FrameKind.resetStream, 1), undefined, "a request at a byte at a time is reset");
      connection.close();
      const all = (): boolean => silent.every(({ closed }) => closed);
      for (let wait = 0; wait < 300 && !all(); wait++) await sleep(100);
      assert.ok(all(), `${silent.filter(({ closed }) => !closed).length} of ${SILENT} silent sockets are still open`);
      // Large bodies that stop short, together far above what may wait; each piece comes with three times as much that nobody reads, so that
      // it is a view of four times its bytes.
      const before = await target.memory();
      const stuck: RawConnection[] = [];
      const body = Buffer.alloc(16 * KiB, 1);
      const ignored = Buffer.concat(Array.from({ length: 3 }, () => frame(UNKNOWN_KIND, 0, 0, body)));
      for (let c = 0; c < 4; c++) {
        const each = await RawConnection.http2(target.address);
        stuck.push(each);
        for (let i = 0; i < 10; i++) {
          const stream = 2 * i + 1;
          each.send(headers(stream, LogService.Produce.path), frame(FrameKind.data, 0, stream, Buffer.of(0, 0, 0x2e, 0, 0)));
          for (let sent = 0; sent < 2.5 * MiB; sent += body.length) {
            const piece = Buffer.concat([frame(FrameKind.data, 0, stream, body), ignored]);
            if (!(await each.push(piece))) break;
          }
        }
      }
      const grown = Math.round(((await target.memory()).heapBytes - before.heapBytes) / MiB);
      const most = keptMiBMax("requests");
      assert.ok(grown < most + SMALL_THINGS_MIB, `stuck bodies keep ${grown} MiB, and ${most} is what the limit allows`);
      const resets = stuck.reduce((sum, each) => sum + each.frames.filter(({ kind }) => kind === FrameKind.resetStream).length, 0);
      for (const each of stuck) each.close();
      return `reset after ${Math.round(ms)} ms; ${SILENT} silent sockets closed; ${grown} of ${most} MiB kept by stuck bodies, ${resets} of 40 reset`;
    },
  },
  {
    number: 29,
    name: "more calls and connections than allowed",
    async run(target) {
      const calls = await RawConnection.http2(target.address);
      await calls.until(() => calls.seen(FrameKind.settings) !== undefined, END_MS);
      calls.send(frame(FrameKind.settings, Flag.ack, 0));
      const poll = framed(FetchRequest.encode({ topic: "t", maxWaitMs: 2_000 }));
      for (let i = 0; i < 1_100; i++)
        calls.send(headers(2 * i + 1, LogService.Fetch.path), frame(FrameKind.data, Flag.endStream, 2 * i + 1, poll));
      const resets = (): number => calls.frames.filter(({ kind }) => kind === FrameKind.resetStream).length;
      await calls.until(() => calls.refused || resets() >= 100, END_MS);
      const refusedCalls = resets();
      assert.ok(
        calls.refused || refusedCalls >= 100,
        `${refusedCalls} of 100 calls too many are refused: ${JSON.stringify(kindsOf(calls))}`,
      );
      calls.close();
      const connections = await Promise.all(Array.from({ length: 800 }, () => RawConnection.open(target.address)));
      const closedOnes = (): number => connections.filter((each) => each.closed).length;
      for (let wait = 0; wait < 100 && closedOnes() < 100; wait++) await sleep(100);
      // Those that are allowed stay.
      await sleep(300);
      const closed = closedOnes();
      assert.ok(closed >= 100 && closed < 800, `${closed} of 800 connections are closed at once, where 700 are allowed`);
      const errors = target.bystander.errors.length;
      assert.equal(errors, 0, "connections that are open go on");
      for (const each of connections) each.close();
      for (let wait = 0; wait < 300; wait++) {
        const again = new RawCalls(target.address);
        const answer = await again.unary(LIST, ListTopicsRequest.encode({})).catch(() => undefined);
        again.close();
        if (answer?.status === Status.ok)
          return `${refusedCalls} calls refused${calls.closed ? ", connection ended" : ""}; ${closed} connections closed`;
        await sleep(100);
      }
      throw new Error("no new connection is taken after the flood");
    },
  },
  {
    number: 30,
    name: "HTTP/1.1, TLS, a PROXY header, random bytes",
    async run(target) {
      const draws = new Draws(12_345);
      const random = Buffer.from(Array.from({ length: 5_000 }, () => draws.below(256)));
      const inputs = [
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST /millrace.v1.LogService/Produce HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nContent-Length: 5\r\n\r\nhello",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
        "\u0000".repeat(100),
        "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
        "\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc\u0003\u0003",
        random.toString("latin1"),
      ];
      for (const input of inputs) {
        const connection = await RawConnection.open(target.address);
        connection.send(Buffer.from(input, "latin1"));
        assert.ok(await connection.until(() => connection.closed || connection.refused, END_MS), JSON.stringify(input.slice(0, 30)));
        connection.close();
      }
      const frames = await RawConnection.http2(target.address);
      frames.send(frame(0x2a, 0xff, 0x7fffffff, random.subarray(0, 1_000)), frame(FrameKind.data, 0, 0), frame(FrameKind.headers, 0, 2));
      assert.ok(await frames.until(() => frames.refused, END_MS), "frames on streams they cannot be on");
      frames.close();
      return `${inputs.length + 1} strangers sent away`;
    },
  },
  {
    number: 31,
    name: "a length of 4 GiB announced",
    async run(target) {
      const raw = new RawCalls(target.address);
      const before = await target.memory();
      for (const length of [0xffff_ffff, 0x8000_0000, 3 * MiB + 64 * KiB + 1]) {
        const answer = await raw.call({ ":path": LogService.Produce.path }, framed(Buffer.alloc(100), 0, length));
        failed(answer, `a length of ${length}`);
        assert.ok([Status.resourceExhausted, Status.internal].includes(answer.status as 8), `status ${answer.status}`);
      }
      const stream = await raw.call({ ":path": LogService.ProduceStream.path }, framed(ProduceStreamRequest.encode({}), 0, 0xffff_ffff));
      failed(stream, "a length of 4 GiB on a stream");
      raw.close();
      const grown = ((await target.memory()).heapBytes - before.heapBytes) / MiB;
      assert.ok(grown < 16, `${grown} MiB were set aside`);
      return "refused before anything was stored";
    },
  },
];

function literalField(bytes: number): Buffer {
  return Buffer.concat([Buffer.of(0), literal("x-a"), literal("y".repeat(bytes))]);
}

/** A call that is refused for its headers may also be answered, with a status of HTTP or gRPC. */
function answered(connection: RawConnection): boolean {
  return connection.seen(FrameKind.headers, 1) !== undefined;
}

/** Subscriptions and fetches on connections that grant no window. */
async function refuseToRead(target: Target): Promise<string> {
  const before = await target.memory();
  const readers: RawConnection[] = [];
  try {
    for (let c = 0; c < 4; c++) {
      const connection = await RawConnection.http2(target.address, [Setting.initialWindowSize, 0]);
      readers.push(connection);
      for (let i = 0; i < 50; i++) {
        const body =
          i % 2 === 0
            ? framed(SubscribeRequest.encode({ topic: BIG, partitions: [{ partition: 0 }] }))
            : framed(FetchRequest.encode({ topic: BIG, maxBytes: i % 4 === 1 ? 60 * MiB : 3 * MiB }));
        const path = i % 2 === 0 ? LogService.Subscribe.path : LogService.Fetch.path;
        connection.send(headers(2 * i + 1, path), frame(FrameKind.data, Flag.endStream, 2 * i + 1, body));
      }
    }
    let peak = 0;
    for (let look = 0; look < 8; look++) {
      await sleep(250);
      peak = Math.max(peak, (await target.memory()).heapBytes);
    }
    // Unbounded it was 2,900 MiB.
    const grown = (peak - before.heapBytes) / MiB;
    const most = keptMiBMax("readers");
    assert.ok(grown < most, `200 readers who take nothing keep ${Math.round(grown)} MiB, and ${most} is what the limits add up to`);
    // Answers that are complete are reset after client.answer.timeout.ms.
    const reset = (): number =>
      readers.reduce((sum, each) => sum + each.frames.filter(({ kind }) => kind === FrameKind.resetStream).length, 0);
    for (let wait = 0; wait < 200 && reset() === 0; wait++) await sleep(100);
    assert.ok(reset() > 0, "an answer that nobody takes is reset");
    return `${Math.round(grown)} of ${most} MiB kept at most, ${reset()} answers reset`;
  } finally {
    for (const each of readers) each.close();
  }
}

/** Memory when it falls no more: the ends of connections are heard one by one. */
async function settled(target: Target): Promise<Memory> {
  let memory = await target.memory();
  for (;;) {
    await sleep(500);
    const now = await target.memory();
    if (now.heapBytes > memory.heapBytes - MiB) return now;
    memory = now;
  }
}

/** How many frames of each kind came, for messages. */
function kindsOf({ frames }: RawConnection): Readonly<Record<string, number>> {
  const kinds: Record<string, number> = {};
  for (const { kind, payload } of frames) {
    const name = kind === FrameKind.resetStream ? `reset ${payload.readUInt32BE()}` : `kind ${kind}`;
    kinds[name] = (kinds[name] ?? 0) + 1;
  }
  return kinds;
}
