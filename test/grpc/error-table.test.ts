import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { status } from "@grpc/grpc-js";
import { RawCalls } from "../../chaos/bad-input/calls.ts";
import { framed } from "../../chaos/bad-input/http2-frames.ts";
import { type ErrorCode, errors, MillraceError } from "../../src/base/errors.ts";
import type { RpcChannel } from "../../src/base/ports/rpc-client.ts";
import { createRpcClient } from "../../src/grpc/rpc-client.ts";
import { createRpcServer, type GrpcRpcServer } from "../../src/grpc/rpc-server.ts";
import { nodeClock } from "../../src/host/clock.ts";
import { tableRows } from "../../tools/checks/markdown.ts";

const codes = Object.keys(errors) as ErrorCode[];
const FAIL = "/millrace.test.v1.TestService/Fail";

/**
 * Where a broker, asked over its wire, is seen to answer each code: a file of tests that names it.
 */
const producedBy: Readonly<Partial<Record<ErrorCode, string>>> = {
  NOT_LEADER: "broker/every-rpc.slow.test.ts",
  LOG_TRUNCATED: "broker/partition/reader.test.ts",
  LEADER_UNKNOWN: "broker/bad-input.slow.test.ts",
  LEADERSHIP_LOST: "broker/partition/ack-waits.test.ts",
  HOP_LOST: "broker/peers/peer-calls.test.ts",
  SHUTTING_DOWN: "broker/services/produce-stream.test.ts",
  NOT_ENOUGH_REPLICAS: "broker/bad-input.slow.test.ts",
  NOT_ENOUGH_REPLICAS_AFTER_APPEND: "broker/bad-input.slow.test.ts",
  ACKS_NOT_ALLOWED: "broker/bad-input.slow.test.ts",
  UNKNOWN_PRODUCER: "broker/idempotence.test.ts",
  OUT_OF_ORDER_SEQUENCE: "broker/idempotence.test.ts",
  ALREADY_WRITTEN: "broker/idempotence.test.ts",
  PRECEDING_FAILED: "broker/idempotence.test.ts",
  INVALID_REQUEST: "broker/bad-input.slow.test.ts",
  MALFORMED_RECORD_SET: "broker/bad-input.slow.test.ts",
  RECORD_SET_TOO_LARGE: "broker/bad-input.slow.test.ts",
  TIMESTAMP_TOO_NEW: "broker/bad-input.slow.test.ts",
  COMPRESSION_UNSUPPORTED: "broker/bad-input.slow.test.ts",
  INVALID_NAME: "broker/bad-input.slow.test.ts",
  INTERNAL_TOPIC: "broker/groups/shards.test.ts",
  NO_COMMITTED_OFFSETS: "broker/groups/seek.test.ts",
  INVALID_CONFIG: "broker/bad-input.slow.test.ts",
  NOT_IMPLEMENTED: "broker/real-ports.slow.test.ts",
  UNKNOWN_TOPIC: "broker/bad-input.slow.test.ts",
  UNKNOWN_PARTITION: "broker/bad-input.slow.test.ts",
  UNKNOWN_BROKER: "broker/bad-input.slow.test.ts",
  TOPIC_EXISTS: "broker/bad-input.slow.test.ts",
  OFFSET_OUT_OF_RANGE: "broker/bad-input.slow.test.ts",
  UNKNOWN_GROUP: "broker/groups/bad-input.test.ts",
  UNKNOWN_MEMBER: "broker/groups/bad-input.test.ts",
  MEMBER_FENCED: "broker/groups/bad-input.test.ts",
  STALE_MEMBER_EPOCH: "broker/groups/bad-input.test.ts",
  INSTANCE_ID_IN_USE: "broker/groups/bad-input.test.ts",
  INSTANCE_FENCED: "broker/groups/bad-input.test.ts",
  PARTITION_NOT_OWNED: "broker/groups/bad-input.test.ts",
  COMMIT_BEHIND: "broker/groups/bad-input.test.ts",
  OFFSET_METADATA_TOO_LARGE: "broker/groups/bad-input.test.ts",
  GROUP_NOT_EMPTY: "broker/groups/bad-input.test.ts",
  PENDING_FULL: "broker/services/limits.test.ts",
  TOO_MANY_REQUESTS: "broker/services/limits.test.ts",
  DISK_FULL: "broker/disk-full.slow.test.ts",
  INSUFFICIENT_BROKERS: "broker/bad-input.slow.test.ts",
  DUPLICATE_BROKER: "broker/emptied-disk.slow.test.ts",
  WRONG_CLUSTER: "broker/foreign-cluster.test.ts",
  TRANSFER_FAILED: "broker/dead-broker.slow.test.ts",
  DATA_LOSS: "broker/partition/reader.test.ts",
  NOT_READY: "broker/error-codes.test.ts",
  CONTROLLER_UNKNOWN: "broker/error-codes.test.ts",
  METADATA_OUTCOME_UNKNOWN: "broker/error-codes.test.ts",
  DEADLINE_PASSED: "grpc/hardening.test.ts",
  REQUEST_TIMED_OUT: "grpc/hardening.test.ts",
  REQUEST_TOO_LARGE: "grpc/limits.test.ts",
};

/** Said between brokers, or by the client: where that is seen. */
const saidOtherwise: Readonly<Partial<Record<ErrorCode, string>>> = {
  STALE_VERSION: "cluster/topics.test.ts",
  BROKERS_UNREACHABLE: "client/calls.test.ts",
  CONNECTION_LOST: "client/calls.test.ts",
  HANDLER_TIMED_OUT: "client/group/group-consumer.test.ts",
  CLIENT_CLOSED: "client/producer.test.ts",
  RECOVERY_REFUSED: "broker/recover.slow.test.ts",
  FENCED: "broker/recover.slow.test.ts",
  UNSUPPORTED_FEATURE_LEVEL: "broker/mixed-versions.test.ts",
};

const neverHeard: Readonly<Partial<Record<ErrorCode, string>>> = {
  CALL_CANCELLED: "said to a caller who is gone",
  INTERNAL: "a bug: its caller hears the status INTERNAL without a word of ours (case 38 in grpc/hardening.test.ts)",
};

describe("The table of errors", () => {
  let server: GrpcRpcServer;
  let channel: RpcChannel;
  let raw: RawCalls;
  before(async () => {
    server = createRpcServer({ clock: nodeClock(), reflection: false });
    server.register(FAIL, {
      kind: "unary",
      handle: async (request) => {
        throw new MillraceError(Buffer.from(request).toString() as ErrorCode, "as asked", { limit: "a.limit" }, 120);
      },
    });
    const address = await server.listen("127.0.0.1:0");
    channel = createRpcClient().channel(address);
    raw = new RawCalls(address);
  });
  after(async () => {
    raw.close();
    channel.close();
    await server.close(0);
  });

  it("is on the wire what it is in the code: status, reason, whether to retry, whether anything was written", async () => {
    for (const code of codes) {
      const answer = await raw.call({ ":path": FAIL }, framed(Buffer.from(code)));
      assert.equal(answer.status, status[errors[code].status], code);
      const error: unknown = await channel.unary(FAIL, Buffer.from(code), { timeoutMs: 10_000 }).catch((failure: unknown) => failure);
      assert.ok(error instanceof MillraceError, code);
      assert.deepEqual(
        [error.code, error.status, error.retriable, error.outcomeKnown, error.metadata["limit"], error.retryAfterMs],
        [code, errors[code].status, errors[code].retriable, errors[code].outcomeKnown, "a.limit", 120],
      );
    }
  });

  it("is in docs/errors.md row by row", () => {
    const rows = tableRows(readFileSync("docs/errors.md", "utf8"), "code");
    assert.deepEqual(
      rows.map(({ cells }) => cells.slice(0, 4)),
      codes.map((code) => {
        const { status: name, retriable, outcomeKnown } = errors[code];
        return [`\`${code}\``, `\`${name}\``, retriable ? "yes" : "no", outcomeKnown ? "nothing written" : "unknown"];
      }),
    );
  });

  it("has a test for each code that somebody says, and a reason for each that nobody hears", () => {
    const seen = { ...producedBy, ...saidOtherwise };
    assert.deepEqual([...Object.keys(seen), ...Object.keys(neverHeard)].sort(), [...codes].sort());
    for (const [code, file] of Object.entries(seen)) {
      assert.ok(readFileSync(`test/${file}`, "utf8").includes(code), `test/${file} does not name ${code}`);
    }
  });
});
