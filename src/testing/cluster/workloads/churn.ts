import type { RpcChannel } from "../../../base/ports/rpc-client.ts";
import { wait } from "../clients.ts";
import type { Topic } from "../topic.ts";
import { fetchOnce } from "./fetch.ts";
import { channelsTo, sendOne } from "./stub.ts";
import { createTopic, deleteTopic } from "./topic-life.ts";
import type { WorkloadContext } from "./workload.ts";

/**
 * One topic is made, used, deleted and made again under its name. Sends and reads name the topic by its id, too: a send that comes late must
 * not go into the next topic of that name, and a broker that has not heard of that one must not answer from the former. Every other step is repeated until its outcome is known; a partition is named by the topic's id.
 */
export async function churn(context: WorkloadContext): Promise<void> {
  const { activity, situations, lasting, random, ports } = context;
  const admin = context.client.admin();
  const channels = channelsTo(ports, context.brokers);
  const topic: Topic = { name: `x${context.n}`, partitions: 1, replicas: Math.min(3, context.brokers) };
  let sent = 0;
  for (let lives = 1; !activity.stopped; lives++) {
    const ended = activity.begin();
    const id = await createTopic(context, admin, topic, "x1");
    if (lives > 1) situations.saw("topic recreated");
    lasting.set(topic.name, { topic, id });
    sent = await use(context, channels, topic, id, sent);
    // What is there when a run is over is read with the rest.
    if (!activity.stopped) {
      lasting.delete(topic.name);
      await deleteTopic(context, admin, { name: topic.name, id }, "x1");
    }
    ended();
    await wait(ports, random.below(1_000));
  }
}

/** Some sends and reads. @returns how many values were sent so far */
async function use(context: WorkloadContext, channels: readonly RpcChannel[], topic: Topic, id: string, sent: number): Promise<number> {
  const { activity, random, ports } = context;
  const place = { topic: topic.name, topicId: id, partition: 0, name: `${topic.name}#${id}-0` };
  let n = sent;
  for (let calls = random.between(2, 12); calls > 0 && !activity.stopped; calls--) {
    const send = { ...place, proc: `x${context.n}`, acks: random.pick(["ALL", "QUORUM"] as const), n };
    n += await sendOne(context, random.pick(channels), send);
    if (random.chance(1, 3)) await fetchOnce(context, random.pick(channels), { ...place, proc: `y${context.n}`, offset: 0 });
    await wait(ports, random.below(300));
  }
  return n;
}
