import assert from "node:assert/strict";
import { LogService } from "../../src/protocol/methods.ts";
import { FetchRequest, ProduceStreamRequest, SubscribeRequest } from "../../src/protocol/public.ts";
import { sleep } from "../report.ts";
import { RawCalls } from "./calls.ts";
import type { BadInput } from "./case.ts";
import { setOf } from "./grpc-cases.ts";
import { framed } from "./http2-frames.ts";
import type { Target } from "./target.ts";

const STREAMS = 1_000;

/** What a caller leaves behind that opened streams and went away without a word. */
export const streamCases: readonly BadInput[] = [
  {
    number: 0,
    name: "1,000 streams left open, slow or abandoned",
    async run(target) {
      await abandon(target, STREAMS / 4);
      const before = await target.memory();
      await abandon(target, STREAMS);
      let after = await target.memory();
      for (let wait = 0; wait < 200 && after.heapBytes > before.heapBytes * 1.15 + 4 * 1024 * 1024; wait++) {
        await sleep(100);
        after = await target.memory();
      }
      const ratio = after.heapBytes / before.heapBytes;
      assert.ok(
        ratio <= 1.15 || after.heapBytes - before.heapBytes < 4 * 1024 * 1024,
        `heap is ${ratio.toFixed(2)} times what it was after the first 250`,
      );
      return `heap ${ratio.toFixed(2)} times what it was after the first 250`;
    },
  },
];

/** Long polls, subscriptions, produce streams and calls that are cancelled, a quarter each; then the connection is gone. */
async function abandon(target: Target, streams: number): Promise<void> {
  const raw = new RawCalls(target.address);
  const poll = framed(FetchRequest.encode({ topic: "t", partition: 2, offset: 0, maxWaitMs: 30_000, minBytes: 2 ** 30 }));
  const subscribe = framed(SubscribeRequest.encode({ topic: "t", partitions: [0, 1, 2].map((partition) => ({ partition, end: true })) }));
  const batch = framed(
    ProduceStreamRequest.encode({ batches: [{ correlationId: 1, request: { topic: "t", partition: 0, records: setOf("left") } }] }),
  );
  for (let n = 0; n < streams / 4; n++) {
    raw.open({ ":path": LogService.Fetch.path }).end(poll);
    raw.open({ ":path": LogService.Subscribe.path }).end(subscribe);
    raw.open({ ":path": LogService.ProduceStream.path }).write(batch);
    const cancelled = raw.open({ ":path": LogService.Fetch.path });
    cancelled.end(poll);
    setTimeout(() => cancelled.close(8), 50);
  }
  await sleep(400);
  raw.close();
  await sleep(100);
}
