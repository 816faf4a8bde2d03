import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MillraceError } from "../../../src/base/errors.ts";
import { Scope } from "../../../src/base/until.ts";
import type { LogBackend, Target } from "../../../src/broker/services/log-service.ts";
import { readForSubscription, type SubscriptionReader } from "../../../src/broker/services/subscription-read.ts";
import { FetchResponse } from "../../../src/protocol/public.ts";
import { World } from "../../../src/testing/sim/world.ts";

const wanted = { topic: "t", topicId: "old", partition: 0, offset: 5, lastTerm: 3, maxBytes: 1000, accept: [] };
const target: Target = { topic: "t", partition: 0, groupId: 1, maxMessageBytes: 1000 };
const gone = new MillraceError("UNKNOWN_TOPIC", "deleted");
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** One read, of a broker that finds the partition as told. */
function read(resolve: LogBackend["resolve"], running = true) {
  const { clock } = new World(1).machine("a").boot();
  const heard: unknown[] = [];
  const begun: Parameters<LogBackend["read"]>[] = [];
  const stopped: number[] = [];
  const backend: ReturnType<SubscriptionReader["running"]> = {
    resolve,
    read: (...call) => {
      const at = begun.push(call);
      return () => void stopped.push(at);
    },
  };
  const reader: SubscriptionReader = {
    running: () => {
      if (!running) throw new MillraceError("SHUTTING_DOWN", "the broker stops");
      return backend;
    },
    clock,
    timings: { fetchWaitMaxMs: 500, forwardWaitMs: 70 },
    caller: new Scope(),
  };
  const cancel = readForSubscription(reader, wanted, (outcome) => heard.push(outcome));
  return { heard, begun, stopped, cancel, now: clock.monotonic() };
}

/** A lookup that stands behind a barrier until the test ends it. */
function lookup() {
  let end: (how: "found" | "refused") => void = () => {};
  const resolve = (): Promise<Target> =>
    new Promise((found, refused) => {
      end = (how) => (how === "found" ? found(target) : refused(gone));
    });
  return { resolve, end: (how: "found" | "refused") => end(how) };
}

describe("A read of a subscription", () => {
  it("waits at the leader as long as it may, and tells what comes", async () => {
    for (const how of ["known", "looked for"] as const) {
      const look = lookup();
      const it = read(how === "known" ? () => target : look.resolve);
      look.end("found");
      await turn();
      const [to, request, options, done] = it.begun[0] ?? assert.fail(how);
      assert.deepEqual([to, options], [target, { deadline: it.now + 570, direct: false }], how);
      assert.deepEqual(
        [request.offset, request.minBytes, request.maxWaitMs, request.topicId, request.lastTerm],
        [5, 1, 500, "old", 3],
        how,
      );
      const response = FetchResponse.decode(FetchResponse.encode({ nextOffset: 6 }));
      done(response);
      assert.deepEqual(it.heard, [response], how);
      it.cancel();
      assert.deepEqual(it.stopped, [1], how);
    }
  });

  it("tells why it cannot begin", async () => {
    const look = lookup();
    const it = read(look.resolve);
    look.end("refused");
    await turn();
    assert.deepEqual(it.heard, [gone]);
    const [refusal] = read(() => target, false).heard;
    assert.ok(refusal instanceof MillraceError && refusal.code === "SHUTTING_DOWN");
    const thrown = read(() => {
      throw gone;
    });
    assert.deepEqual(thrown.heard, [gone]);
  });

  it("neither begins nor tells anything once it is given up, whatever its lookup finds", async () => {
    for (const end of ["found", "refused"] as const) {
      const look = lookup();
      const it = read(look.resolve);
      it.cancel();
      look.end(end);
      await turn();
      assert.deepEqual([it.heard, it.begun], [[], []], end);
    }
  });
});
