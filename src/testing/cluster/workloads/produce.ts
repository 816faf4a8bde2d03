import { MillraceError } from "../../../base/errors.ts";
import { DeliveryFailed, type Producer } from "../../../client/index.ts";
import { makePayload } from "../../checkers/payload.ts";
import { BATCH_BYTES_MAX } from "../config.ts";
import { partitionsOf } from "../topic.ts";
import type { WorkloadContext } from "./workload.ts";

/**
 * One producer, its batches and retries as its settings say, at the levels that keep what they acknowledge. One in four is not idempotent: it
 * sends nothing again of which it does not know that it was not written.
 */
export async function produce(context: WorkloadContext): Promise<void> {
  const { activity, random, ports, pace } = context;
  const acks = random.pick(["quorum", "all"] as const);
  const producer = context.client.producer({
    acks,
    lingerMs: random.pick([0, 0, 5]),
    batchBytesMax: BATCH_BYTES_MAX,
    idempotent: random.chance(3, 4),
    inflightMax: random.between(1, 5),
    // Short ones end some records unknown, long ones outlive every fault.
    deliveryTimeoutMs: random.pick([700, 2_000, 10_000]),
    requestTimeoutMs: random.pick([400, 1_500]),
  });
  const partitions = partitionsOf(context.topics);
  const pauseMs = random.pick(pace.produceMs);
  let n = 0;
  const turn = () => {
    if (activity.stopped) return;
    for (let burst = random.between(1, 4); burst > 0; burst--)
      send(context, producer, acks === "all" ? "ALL" : "QUORUM", random.pick(partitions), ++n);
    ports.process.after(random.below(pauseMs * 2), "sends", turn);
  };
  turn();
}

function send(
  { world, history, activity, random, pace, topics, n: machine }: WorkloadContext,
  producer: Producer,
  acks: "ALL" | "QUORUM",
  { topic, partition, name }: ReturnType<typeof partitionsOf>[number],
  n: number,
): void {
  const proc = `p${machine}`;
  const { value, body } = makePayload(String(world.seed), proc, n, random.pick(pace.valueBytes));
  const i = history.beginSend({ f: "send", proc, partition: name, producer: proc, acks, values: [value] });
  const ended = activity.begin();
  // Where there is only one partition it is known which one a key, or none, leads to.
  const alone = topics.some((one) => one.name === topic && one.partitions === 1);
  const place = alone ? (random.chance(1, 2) ? {} : { key: proc }) : { partition };
  producer.send({ topic, ...place, value: body }).then(
    ({ offset }) => {
      ended();
      history.endSend(i, offset === undefined ? { type: "ok" } : { type: "ok", offset });
    },
    (error: unknown) => {
      ended();
      if (!(error instanceof DeliveryFailed || error instanceof MillraceError)) throw error;
      history.endSend(i, { type: error.outcomeKnown ? "fail" : "info", error: error.code });
    },
  );
}
