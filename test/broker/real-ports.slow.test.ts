import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { freePorts } from "../../chaos/free-ports.ts";
import { type BrokerConfig, defaultLimits, defaultTimings, defaultTopicDefaults } from "../../src/base/broker-config.ts";
import { MillraceError } from "../../src/base/errors.ts";
import { defaultGroupSettings } from "../../src/base/group-settings.ts";
import { toBrokerId } from "../../src/base/ids.ts";
import type { RpcChannel } from "../../src/base/ports/rpc-client.ts";
import { silentTelemetry } from "../../src/base/ports/telemetry.ts";
import { type Broker, createBroker } from "../../src/broker/broker.ts";
import { GzipInflate } from "../../src/compression/gzip.ts";
import { openDisk } from "../../src/disk/index.ts";
import { createRpcClient } from "../../src/grpc/rpc-client.ts";
import { createRpcServer } from "../../src/grpc/rpc-server.ts";
import { nodeBackground } from "../../src/host/background.ts";
import { nodeClock } from "../../src/host/clock.ts";
import { nodeRandom } from "../../src/host/random.ts";
import { re2Patterns } from "../../src/patterns/re2-patterns.ts";
import { publicMethods } from "../../src/protocol/methods.ts";
import { createTcpTransport } from "../../src/transport/tcp-transport.ts";
import { recordSet, valuesOf } from "./harness.ts";
import * as rpc from "./stubs.ts";

const MiB = 1024 * 1024;
const TIMEOUT_MS = 20_000;

describe("Three brokers on real ports", () => {
  const folder = mkdtempSync(join(tmpdir(), "millrace-ports-"));
  const clock = nodeClock();
  const brokers: Broker[] = [];
  const channels: RpcChannel[] = [];

  before(async () => {
    const ports = await freePorts(6);
    const at = (i: number): string => `127.0.0.1:${ports[i]}`;
    const seeds = [0, 1, 2].map((i) => ({ id: toBrokerId(i + 1), address: at(3 + i) }));
    const client = createRpcClient();
    for (const i of [0, 1, 2]) {
      const data = join(folder, `b${i + 1}`);
      mkdirSync(data);
      const config: BrokerConfig = {
        brokerId: toBrokerId(i + 1),
        seeds,
        join: undefined,
        rack: undefined,
        listen: at(i),
        advertise: at(i),
        peerListen: at(3 + i),
        peerAdvertise: at(3 + i),
        timings: defaultTimings,
        limits: defaultLimits,
        log: {
          walFileBytes: 4 * MiB,
          walFilesMax: 4,
          segmentBytes: 8 * MiB,
          segmentMs: 60_000,
          hotTailBytes: 4 * MiB,
          readPendingMaxBytes: 16 * MiB,
          diskReserveBytes: 0,
        },
        topicDefaults: defaultTopicDefaults,
        groups: defaultGroupSettings,
      };
      const broker = createBroker(
        {
          clock,
          random: nodeRandom,
          disk: openDisk(data),
          transport: createTcpTransport(),
          rpcServer: createRpcServer({ clock }),
          inflate: new GzipInflate(),
          patterns: re2Patterns,
          background: nodeBackground,
          telemetry: silentTelemetry,
        },
        config,
        {
          version: "test",
          fatal: (error) => {
            throw error;
          },
        },
      );
      brokers.push(broker);
      channels.push(client.channel(at(i)));
    }
    await Promise.all(brokers.map((broker) => broker.start()));
  });

  after(async () => {
    for (const channel of channels) channel.close();
    await Promise.all(brokers.map((broker) => broker.stop()));
    rmSync(folder, { recursive: true });
  });

  const call = async <In, Out>(channel: RpcChannel, stub: rpc.Rpc<In, Out>, input: In): Promise<Out> =>
    stub.decode(await channel.unary(stub.path, stub.encode(input), { timeoutMs: TIMEOUT_MS }));

  it("take what a plain stub produces on any of them and give it back on all", async () => {
    await call(channels[0] as RpcChannel, rpc.CreateTopic, { name: "t" });
    for (const [i, channel] of channels.entries()) {
      const { baseOffset, durableBrokerIds } = await call(channel, rpc.Produce, { topic: "t", records: recordSet([`v${i}`]) });
      assert.equal(baseOffset, i);
      assert.deepEqual([...durableBrokerIds].sort(), [1, 2, 3]);
    }
    for (const channel of channels) {
      const { batches, highWatermark } = await call(channel, rpc.Fetch, { topic: "t" });
      assert.deepEqual(valuesOf(batches), ["v0", "v1", "v2"]);
      assert.equal(highWatermark, 3);
    }
  });

  it("say SERVING on grpc.health.v1", async () => {
    for (const channel of channels) {
      const answer = await channel.unary("/grpc.health.v1.Health/Check", new Uint8Array(0), { timeoutMs: TIMEOUT_MS });
      assert.deepEqual([...answer], [0x08, 1]);
    }
  });

  for (const version of ["v1", "v1alpha"]) {
    it(`list their services by reflection ${version}`, async () => {
      for (const channel of channels) {
        const stream = channel.openStream(`/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`, "bidi", {
          timeoutMs: TIMEOUT_MS,
        });
        const answer = await new Promise<Uint8Array>((resolve, reject) => {
          stream.handlers = {
            message: resolve,
            drain() {},
            closed: (error) => reject(error ?? new Error("no answer")),
          };
          stream.write(Uint8Array.of(0x3a, 1, 0x2a)); // list_services: "*"
          stream.end();
        });
        const text = Buffer.from(answer).toString("latin1");
        for (const service of ["millrace.v1.LogService", "millrace.v1.AdminService", "millrace.v1.GroupService", "grpc.health.v1.Health"]) {
          assert.ok(text.includes(service), service);
        }
      }
    });
  }

  for (const { path, name, kind } of publicMethods.filter(({ implemented }) => !implemented)) {
    it(`answer ${name} UNIMPLEMENTED, by name`, async () => {
      for (const channel of channels) {
        const error = await new Promise<unknown>((resolve) => {
          if (kind === "unary") {
            channel.unary(path, new Uint8Array(0), { timeoutMs: TIMEOUT_MS }).then(() => resolve(undefined), resolve);
          } else {
            const stream = channel.openStream(path, kind, { timeoutMs: TIMEOUT_MS });
            stream.handlers = { message() {}, drain() {}, closed: resolve };
            stream.end();
          }
        });
        assert.ok(error instanceof MillraceError && error.code === "NOT_IMPLEMENTED", String(error));
        assert.equal(error.status, "UNIMPLEMENTED");
        assert.match(error.message, new RegExp(name));
      }
    });
  }
});
