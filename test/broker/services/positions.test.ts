import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { defaultLimits } from "../../../src/base/broker-config.ts";
import { MillraceError } from "../../../src/base/errors.ts";
import { Scope } from "../../../src/base/until.ts";
import { readRequestOf } from "../../../src/broker/services/fetch-codec.ts";
import { positionsOf } from "../../../src/broker/services/list-offsets.ts";
import type { MessageInput } from "../../../src/protocol/codec/index.ts";
import { FetchRequest, SubscribeStart } from "../../../src/protocol/public.ts";

/** Of a log of 20 to 30, led in term 5, with a record of the time asked for at 25. */
function positions(input: MessageInput<typeof SubscribeStart>) {
  const ends = { logStartOffset: 20, highWatermark: 30, term: 5 };
  const lookups: Parameters<typeof positionsOf>[3] = Object.assign(Object.create(null), {
    offsets: async (_backend: unknown, _target: unknown, timeMs: number | undefined) =>
      timeMs === undefined ? ends : { ...ends, found: timeMs > 100 ? undefined : { offset: 25, timestamp: timeMs } },
  });
  const backend: Parameters<typeof positionsOf>[2] = Object.assign(Object.create(null), { resolve: async () => ({}) });
  const start = SubscribeStart.decode(SubscribeStart.encode(input));
  return positionsOf({ topic: "t", topicId: "id" }, start, backend, lookups, { deadline: 1_000, caller: new Scope() });
}

function fetched(input: MessageInput<typeof FetchRequest>) {
  return readRequestOf(FetchRequest.decode(FetchRequest.encode({ topic: "t", ...input })), defaultLimits, 0, 1_000, 500);
}

describe("Where a subscription begins", () => {
  it("is a place with the term of the leader that told it, or with what its reader said", async () => {
    for (const [input, from, lastTerm] of [
      [{ end: true }, 30, 5],
      [{ timeMs: 7 }, 25, 5],
      [{ timeMs: 200 }, 30, 5],
      [{ offset: 27 }, 27, undefined],
      [{ offset: 27, lastTerm: 3 }, 27, 3],
      // Nothing before it is there to be compared with.
      [{}, 20, undefined],
    ] as const)
      assert.deepEqual(await positions(input), { from, until: undefined, lastTerm });
  });

  it("is refused with a term that no record is of, as is a fetch, and told to leave it out", async () => {
    const isRefused = (error: unknown) =>
      error instanceof MillraceError &&
      error.code === "INVALID_REQUEST" &&
      error.metadata["field"] === "last_term" &&
      /leave it out/.test(error.message);
    for (const lastTerm of [0, -1]) {
      await assert.rejects(positions({ offset: 27, lastTerm }), isRefused);
      assert.throws(() => fetched({ offset: 27, lastTerm }), isRefused);
    }
    assert.deepEqual([fetched({ offset: 27 }).lastTerm, fetched({ offset: 27, lastTerm: 1 }).lastTerm], [undefined, 1]);
  });
});
