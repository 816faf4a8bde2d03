import { wait } from "../../clients.ts";
import { fetchOnce } from "../fetch.ts";
import { channelsTo, sendOne } from "../stub.ts";
import { createTopic, deleteTopic, growTopic } from "../topic-life.ts";
import type { WorkloadContext } from "../workload.ts";
import type { ChangingTopic } from "./changing-topic.ts";

/**
 * A topic that groups read is made, gets records, grows, gets records in its new partitions before anybody can have been given them, is deleted
 * while members work on it, and is made anew at once.
 */
export async function changeTopic(context: WorkloadContext, changing: ChangingTopic): Promise<void> {
  const { activity, situations, lasting, random, ports, brokers, n } = context;
  const { name } = changing;
  const admin = context.client.admin();
  const proc = `h${n}`;
  let sent = 0;
  while (!activity.stopped) {
    const ended = activity.begin();
    let topic = { name, partitions: random.between(1, 2), replicas: Math.min(3, brokers) };
    changing.asked();
    const id = await createTopic(context, admin, topic, proc);
    if (changing.ids.length > 0) situations.saw("topic of a group recreated");
    changing.made(id, topic);
    lasting.set(name, { topic, id });
    sent = await use(context, changing, { id, from: 0, end: topic.partitions, sent });
    if (!activity.stopped && random.chance(2, 3)) {
      const before = topic.partitions;
      topic = { ...topic, partitions: before + random.between(1, 2) };
      await growTopic(context, admin, { name, id, partitions: topic.partitions }, proc);
      situations.saw("topic of a group grown");
      changing.grown(topic);
      lasting.set(name, { topic, id });
      sent = await use(context, changing, { id, from: before, end: topic.partitions, sent });
    }
    await wait(ports, random.below(context.pace.memberMs / 2));
    // What is there when a run is over is read with the rest; in one of four there is nothing then.
    if (!activity.stopped || random.chance(1, 4)) {
      changing.goes();
      lasting.delete(name);
      await deleteTopic(context, admin, { name, id }, proc);
    }
    ended();
    if (random.chance(1, 2)) await wait(ports, random.below(300));
  }
}

/** Some records for each of its partitions from `from` up to before `end`. @returns how many values were sent so far */
async function use(
  context: WorkloadContext,
  changing: ChangingTopic,
  { id, from, end, sent }: { readonly id: string; readonly from: number; readonly end: number; readonly sent: number },
): Promise<number> {
  const { activity, random, ports, brokers, n } = context;
  const channels = channelsTo(ports, brokers);
  let count = sent;
  for (let rounds = random.between(1, 3); rounds > 0 && !activity.stopped; rounds--) {
    for (let partition = from; partition < end; partition++) {
      const place = { topic: changing.name, topicId: id, partition, name: changing.partition(id, partition) };
      const acks = random.pick(["ALL", "QUORUM"] as const);
      count += await sendOne(context, random.pick(channels), { ...place, proc: `h${n}`, acks, n: count });
      if (random.chance(1, 6)) await fetchOnce(context, random.pick(channels), { ...place, proc: `i${n}`, offset: 0 });
    }
    await wait(ports, random.below(100));
  }
  return count;
}
