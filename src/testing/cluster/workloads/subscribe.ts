import { MillraceError } from "../../../base/errors.ts";
import type { ConsumedBatch } from "../../../client/index.ts";
import { readPayload } from "../../checkers/payload.ts";
import { wait } from "../clients.ts";
import { partitionName, type Topic } from "../topic.ts";
import type { WorkloadContext } from "./workload.ts";

/** Where reading of one topic went on last, and where its partitions begin. */
interface Progress {
  readonly topic: Topic;
  readonly positions: number[];
  readonly starts: number[];
}

/** Consumers of all partitions of a topic, one after the other: half of them go on where the last one was, the others begin anywhere before. */
export async function subscribe(context: WorkloadContext): Promise<void> {
  const { world, activity, random, ports, pace } = context;
  const all = context.topics.map(
    (topic): Progress => ({
      topic,
      positions: new Array<number>(topic.partitions).fill(0),
      starts: new Array<number>(topic.partitions).fill(0),
    }),
  );
  for (let session = 1; !activity.stopped; session++) {
    const progress = random.pick(all);
    const { topic, positions, starts } = progress;
    const from = positions.map((position, partition) =>
      Math.max(starts[partition] ?? 0, random.chance(1, 2) ? position : random.below(position + 1)),
    );
    const consumer = context.client.consumer();
    const forget = activity.atStop(() => consumer.close());
    consumer.assign(from.map((offset, partition) => ({ topic: topic.name, partition, from: { offset } })));
    const expected = [...from];
    let since = world.now;
    ports.process.after(200 + random.below(pace.consumerMs), "ends a consumer", () => consumer.close());
    const onBatch = (batch: ConsumedBatch) => {
      noteBatch(context, batch, session, expected[batch.partition] ?? 0, since);
      expected[batch.partition] = batch.endOffset;
      positions[batch.partition] = Math.max(positions[batch.partition] ?? 0, batch.endOffset);
      since = world.now;
    };
    try {
      await consumer.run({ onBatch });
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error;
      if (error.code === "OFFSET_OUT_OF_RANGE") await lookAgain(context, progress, error);
    }
    forget();
    consumer.close();
    await wait(ports, 20 + random.below(100));
  }
}

function noteBatch({ history, n }: WorkloadContext, batch: ConsumedBatch, session: number, from: number, tInv: number): void {
  const records = [...batch].map((record) => ({ offset: record.offset, ...readPayload(record.value ?? new Uint8Array(0)) }));
  history.read({ f: "read", proc: `c${n}`, partition: partitionName(batch.topic, batch.partition), session, from, records }, tInv);
}

/** What was let go of may not be there. No offset was ever above what had been read: that would be a loss, and the checkers must see it. */
async function lookAgain({ world, client, trims, n }: WorkloadContext, progress: Progress, error: MillraceError): Promise<void> {
  const { topic, positions, starts } = progress;
  try {
    const found = await client.admin().listOffsets(topic.name, [], { timeoutMs: 1_000 });
    for (const { partition, logStartOffset, highWatermark, error: unknown } of found) {
      if (unknown !== undefined) continue;
      if ((positions[partition] ?? 0) > highWatermark || (!trims && logStartOffset > 0))
        world.scheduler.fail(new Error(`L6: c${n} read ${topic.name} up to ${positions.join()} and now: ${error.message}`));
      starts[partition] = logStartOffset;
    }
  } catch (failure) {
    if (!(failure instanceof MillraceError)) throw failure;
  }
}
