import assert from "node:assert/strict";
import type { Http2Server } from "node:http2";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import {
  type Client,
  type ClientDuplexStream,
  credentials,
  type handleUnaryCall,
  loadPackageDefinition,
  Server,
  ServerCredentials,
  type ServerWritableStream,
  type ServiceClientConstructor,
  type ServiceError,
  status,
} from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { service } from "grpc-health-check";
import { RawCalls } from "../../chaos/bad-input/calls.ts";
import { framed } from "../../chaos/bad-input/http2-frames.ts";
import { defaultLimits } from "../../src/base/broker-config.ts";
import { MillraceError } from "../../src/base/errors.ts";
import { defaultRpcServerLimits } from "../../src/base/rpc-limits.ts";
import { assertWindows, CONNECTION_WINDOW_BYTES, raiseWindows, STREAM_WINDOW_BYTES } from "../../src/grpc/http2-windows.ts";
import { OpenStreams } from "../../src/grpc/open-streams.ts";
import { createRpcClient } from "../../src/grpc/rpc-client.ts";
import { createRpcServer, type GrpcRpcServer } from "../../src/grpc/rpc-server.ts";
import { StandardServer } from "../../src/grpc/standard-server.ts";
import { nodeClock } from "../../src/host/clock.ts";
import { message, repeated, string, submessage } from "../../src/protocol/codec/index.ts";
import { publicMethods } from "../../src/protocol/methods.ts";
import { decodeErrorDetails, Status } from "../../src/protocol/rpc-status.ts";

const protos = fileURLToPath(new URL("../../../proto", import.meta.url));
const loaderOptions = { keepCase: true, longs: String, enums: String, defaults: true, oneofs: true };

/** A client made from .proto files alone, as any user of any language has it. */
function stub(file: string, includeDirs: string[], name: string, address: string): Client {
  let found: unknown = loadPackageDefinition(loadSync(file, { ...loaderOptions, includeDirs }));
  for (const part of name.split(".")) found = Reflect.get(Object(found), part);
  return new (found as ServiceClientConstructor)(address, credentials.createInsecure(), { "grpc.enable_http_proxy": 0 });
}

type Reply = Record<string, unknown>;

function call(client: Client, method: string, request: Reply): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const run: unknown = Reflect.get(client, method);
    assert.ok(typeof run === "function", method);
    Reflect.apply(run, client, [request, (error: ServiceError | null, reply: Reply) => (error === null ? resolve(reply) : reject(error))]);
  });
}

async function failure(run: Promise<unknown>): Promise<ServiceError> {
  try {
    await run;
  } catch (error) {
    return error as ServiceError;
  }
  return assert.fail("the call succeeded");
}

describe("A stub made from the .proto files", () => {
  let server: GrpcRpcServer;
  let address = "";
  const opened: Client[] = [];
  const open = (file: string, includeDirs: string[], name: string): Client => {
    const client = stub(file, includeDirs, name, address);
    opened.push(client);
    return client;
  };
  const require = createRequire(import.meta.url);
  const healthProtos = join(dirname(require.resolve("grpc-health-check/package.json")), "proto");
  const reflectionProtos = join(dirname(require.resolve("@grpc/reflection/package.json")), "build", "proto");

  before(async () => {
    server = createRpcServer({ clock: nodeClock() });
    server.register("/millrace.v1.LogService/InitProducer", { kind: "unary", handle: async () => Uint8Array.of(0x08, 42) });
    server.register("/millrace.v1.LogService/ListOffsets", {
      kind: "unary",
      handle: async () => {
        throw new MillraceError("UNKNOWN_TOPIC", "Cannot list offsets: no topic “käse”", { topic: "käse" }, 100);
      },
    });
    address = await server.listen("127.0.0.1:0");
  });

  after(async () => {
    for (const client of opened) client.close();
    await server.close(0);
  });

  it("calls a registered method", async () => {
    const log = open("millrace/v1/log_service.proto", [protos], "millrace.v1.LogService");
    assert.deepEqual(await call(log, "InitProducer", {}), { producer_id: "42", producer_epoch: 0 });
  });

  it("reads status, message and the google.rpc details of an error", async () => {
    const log = open("millrace/v1/log_service.proto", [protos], "millrace.v1.LogService");
    const error = await failure(call(log, "ListOffsets", { topic: "käse" }));
    assert.equal(error.code, status.NOT_FOUND);
    assert.equal(error.details, "Cannot list offsets: no topic “käse”");
    const [details] = error.metadata.get("grpc-status-details-bin");
    assert.ok(Buffer.isBuffer(details));
    const { code, message, details: anys } = Status.decode(details);
    assert.equal(code, status.NOT_FOUND);
    assert.equal(message, error.details);
    assert.deepEqual(
      anys.map(({ typeUrl }) => typeUrl),
      ["type.googleapis.com/google.rpc.ErrorInfo", "type.googleapis.com/google.rpc.RetryInfo"],
    );
  });

  it("is told by name what the design has and this version lacks, for every method nobody registered", async () => {
    const channel = createRpcClient().channel(address);
    for (const { path, kind } of publicMethods) {
      if (/InitProducer|ListOffsets/.test(path)) continue;
      const refusal = await new Promise<unknown>((resolve) => {
        if (kind === "unary") {
          channel.unary(path, new Uint8Array(0), { timeoutMs: 10_000 }).then(() => resolve("succeeded"), resolve);
          return;
        }
        const stream = channel.openStream(path, kind);
        stream.handlers = { message() {}, drain() {}, closed: resolve };
        stream.write(new Uint8Array(0));
        stream.end();
      });
      assert.ok(refusal instanceof MillraceError, `${path}: ${refusal}`);
      assert.equal(refusal.code, "NOT_IMPLEMENTED");
      assert.equal(refusal.metadata["method"], path);
    }
    channel.close();
  });

  it("asks for health: of the broker, of a service, of one nobody knows", async () => {
    const health = open("health/v1/health.proto", [healthProtos], "grpc.health.v1.Health");
    assert.deepEqual(await call(health, "Check", { service: "" }), { status: "NOT_SERVING" });
    server.setServing("", true);
    server.setServing("millrace.v1.LogService", false);
    assert.deepEqual(await call(health, "Check", { service: "" }), { status: "SERVING" });
    assert.deepEqual(await call(health, "Check", { service: "millrace.v1.LogService" }), { status: "NOT_SERVING" });
    assert.equal((await failure(call(health, "Check", { service: "nobody" }))).code, status.NOT_FOUND);
  });

  it("is not asked by megabytes of name, nor on and on by who reads no answers", async () => {
    const health = open("health/v1/health.proto", [healthProtos], "grpc.health.v1.Health");
    const long = { service: "x".repeat(3 * 1024 * 1024) };
    const { code, metadata } = await failure(call(health, "Check", long));
    assert.equal(code, status.RESOURCE_EXHAUSTED);
    const [details] = metadata.get("grpc-status-details-bin");
    const error = decodeErrorDetails(details as Buffer);
    assert.deepEqual([error?.code, error?.metadata["limit"]], ["REQUEST_TOO_LARGE", "probe.request.max.bytes"]);

    const raw = new RawCalls(address);
    const stream = raw.open({ ":path": "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo" });
    // 6 MiB of questions, of which 4 MiB fit the window; of the answers nothing is read.
    const symbol = Buffer.from("millrace.v1.AdminService");
    const host = Buffer.alloc(4_000, "h");
    const ask = framed(Buffer.concat([Buffer.from([0x0a, 0xa0, 0x1f]), host, Buffer.from([0x22, symbol.length]), symbol]));
    stream.write(Buffer.concat(Array.from({ length: 1_500 }, () => ask)));
    for (let n = 0; n < 300; n++) await raw.ping();
    assert.ok(stream.writableLength > 0, "all was asked");
    raw.close();
  });

  it("finds the services by reflection v1 and v1alpha, and the file of each", async () => {
    for (const version of ["v1", "v1alpha"]) {
      const client = open(`grpc/reflection/${version}/reflection.proto`, [reflectionProtos], `grpc.reflection.${version}.ServerReflection`);
      const ask = (request: Reply): Promise<Reply> =>
        new Promise((resolve, reject) => {
          const stream: ClientDuplexStream<Reply, Reply> = Reflect.apply(Reflect.get(Object(client), "ServerReflectionInfo"), client, []);
          stream.on("data", resolve);
          stream.on("error", reject);
          stream.write(request);
          stream.end();
        });
      const listed = (await ask({ list_services: "*" }))["list_services_response"] as { service: { name: string }[] };
      const names = listed.service.map(({ name }) => name);
      for (const service of new Set(publicMethods.map((method) => method.service))) assert.ok(names.includes(service), service);
      assert.ok(names.includes("grpc.health.v1.Health"));
      for (const service of names) {
        const found = await ask({ file_containing_symbol: service });
        const files = found["file_descriptor_response"] as { file_descriptor_proto: Buffer[] } | null;
        const served = (files?.file_descriptor_proto ?? []).map((bytes) => File.decode(bytes));
        assert.ok(served.length > 0, service);
        // A tool can call by them only when each names what it needs, that is served too, and types are named from the root.
        for (const file of served) {
          for (const needed of file.dependency)
            assert.ok(
              served.some(({ name }) => name === needed),
              `${file.name} needs ${needed}`,
            );
          for (const { method } of file.service)
            for (const { inputType, outputType } of method) assert.match(`${inputType} ${outputType}`, /^\.\S+ \.\S+$/);
        }
        assert.ok(
          served.some(({ service: some }) => some.some(({ name }) => service.endsWith(`.${name}`))),
          service,
        );
      }
    }
  });
});

/** The little of a file that a caller by reflection cannot do without. */
const Method = message("google.protobuf.MethodDescriptorProto", { inputType: string(2), outputType: string(3) });
const File = message("google.protobuf.FileDescriptorProto", {
  name: string(1),
  dependency: repeated(string(3)),
  service: repeated(
    submessage(6, message("google.protobuf.ServiceDescriptorProto", { name: string(1), method: repeated(submessage(2, Method)) })),
  ),
});

describe("A watch of health", () => {
  it("is handed on for services that there are; of any other nothing is remembered", () => {
    const handlers = new Map<string, (call: object) => void>();
    class Seen extends StandardServer {
      override register<Request, Response>(path: string, handler: handleUnaryCall<Request, Response>): boolean {
        handlers.set(path, (each) => Reflect.apply(handler, undefined, [each]));
        return true;
      }
    }
    const watched: string[] = [];
    new Seen({}, (name) => name === "").addService(service, {
      watch: ({ request }: ServerWritableStream<{ readonly service: string }, unknown>) => void watched.push(request.service),
    });
    const said: unknown[] = [];
    for (const name of ["", "nobody"])
      handlers.get("/grpc.health.v1.Health/Watch")?.({ request: { service: name }, write: (reply: unknown) => said.push(reply) });
    assert.deepEqual([watched, said], [[""], [{ status: "SERVICE_UNKNOWN" }]]);
  });
});

describe("The receive windows of the server", () => {
  const limits = {
    maxConcurrentStreams: 10,
    maxHeaderBytes: 16_384,
    maxHeaderPairs: 64,
    callsMax: 10,
    callLength: () => "short" as const,
    prefaceTimeoutMs: 1000,
    requestTimeoutMs: 1_000,
    requestPendingBytesMax: 1_000_000,
    requestBytesMax: 1_000_000,
    requestKind: () => "call" as const,
    streams: new OpenStreams(),
    lingerMs: 1000,
  };

  it("are refused when grpc-js grants its own: the patch was undone", async () => {
    const plain = new Server();
    await assert.rejects(
      assertWindows(plain.createConnectionInjector(ServerCredentials.createInsecure())),
      /grants streams 65535 bytes, not 4194304/,
    );
    plain.forceShutdown();
  });

  it("are refused when only the streams' were raised", async () => {
    const half = new Server();
    raiseWindows(half, limits);
    const create: (...args: unknown[]) => Http2Server = Reflect.get(Object(half), "createHttp2Server");
    Reflect.set(half, "createHttp2Server", (...args: unknown[]) => create(...args).removeAllListeners("session"));
    await assert.rejects(
      assertWindows(half.createConnectionInjector(ServerCredentials.createInsecure())),
      /grants connections 65535 bytes/,
    );
    half.forceShutdown();
  });

  it("are 4 MiB for streams and 8 MiB for connections once raised", async () => {
    const raised = new Server();
    raiseWindows(raised, limits);
    await assertWindows(raised.createConnectionInjector(ServerCredentials.createInsecure()));
    raised.forceShutdown();
  });

  it("are what a caller on a real socket gets, with the limits on calls and headers", async () => {
    const server = createRpcServer({ clock: nodeClock() });
    const raw = new RawCalls(await server.listen("127.0.0.1:0"));
    await raw.ping();
    assert.equal(raw.session.remoteSettings.initialWindowSize, STREAM_WINDOW_BYTES);
    // What paused streams bring must leave room for others, and a request must fit.
    assert.ok(64 * STREAM_WINDOW_BYTES <= defaultRpcServerLimits.requestPendingBytesMax / 2);
    assert.ok(STREAM_WINDOW_BYTES >= defaultRpcServerLimits.requestBytesMax && STREAM_WINDOW_BYTES >= defaultLimits.streamCreditBytes);
    assert.equal(raw.session.remoteSettings.maxConcurrentStreams, 1000);
    assert.equal(raw.session.remoteSettings.maxHeaderListSize, 2 * 16_384);
    assert.equal(raw.session.state.remoteWindowSize, CONNECTION_WINDOW_BYTES);
    raw.close();
    await server.close(0);
  });
});
