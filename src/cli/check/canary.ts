import { type Admin, type Client, MillraceError, type Producer } from "../../client/index.ts";

/** A record that was acknowledged, and what it must be when it is read. */
export interface Written {
  readonly partition: number;
  readonly offset: number;
  readonly key: string;
  readonly value: string;
}

export interface Writing {
  readonly written: readonly Written[];
  /** From `send` to the acknowledgement, milliseconds, in the order sent. */
  readonly latenciesMs: readonly number[];
  /** Why it stopped early. */
  readonly failure: MillraceError | undefined;
}

/** Canary records are of no use later. */
const RETENTION_MS = 60 * 60 * 1000;

/** What the canary is written to. Another topic that gets its name meanwhile says nothing of what was written to this one. */
export interface CanaryTopic {
  readonly topicId: string;
  readonly partitions: number;
}

/** Finds the topic, or creates it. @throws {MillraceError} */
export async function ensureTopic(admin: Admin, topic: string, partitions: number): Promise<CanaryTopic> {
  const known = await found(admin, topic);
  if (known !== undefined) return known;
  try {
    await admin.createTopic({ name: topic, partitions, configs: { "retention.ms": String(RETENTION_MS) } });
  } catch (error) {
    // Another check was faster.
    if (!(error instanceof MillraceError) || error.code !== "TOPIC_EXISTS") throw error;
  }
  const made = await found(admin, topic);
  if (made === undefined) throw new MillraceError("UNKNOWN_TOPIC", `Topic ${topic} was deleted as soon as it was there`, { topic });
  return made;
}

async function found(admin: Admin, topic: string): Promise<CanaryTopic | undefined> {
  try {
    const [described] = await admin.describeTopics([topic], { latest: true });
    return described === undefined ? undefined : { topicId: described.topicId, partitions: described.partitions.length };
  } catch (error) {
    if (error instanceof MillraceError && error.code === "UNKNOWN_TOPIC") return undefined;
    throw error;
  }
}

/**
 * Writes records one after the other, round the partitions, each acknowledged by all in-sync replicas before the next is sent, so
 * that each latency is that of one record. Ends at the first that fails.
 *
 * @param run tells the records of this check from those of others
 */
export async function writeCanary(
  client: Client,
  plan: { readonly topic: string; readonly partitions: number; readonly records: number; readonly timeoutMs: number; readonly run: string },
): Promise<Writing> {
  const producer = client.producer({ acks: "all", deliveryTimeoutMs: plan.timeoutMs });
  const written: Written[] = [];
  const latenciesMs: number[] = [];
  for (let n = 0; n < plan.records; n++) {
    const from = performance.now();
    const sent = await sendOne(producer, plan.topic, n % plan.partitions, `${plan.run}/${n}`);
    if (sent instanceof MillraceError) return { written, latenciesMs, failure: sent };
    latenciesMs.push(performance.now() - from);
    written.push(sent);
  }
  return { written, latenciesMs, failure: undefined };
}

async function sendOne(producer: Producer, topic: string, partition: number, key: string): Promise<Written | MillraceError> {
  const value = JSON.stringify({ check: key, sentAt: new Date().toISOString() });
  try {
    const { offset } = await producer.send({ topic, partition, key, value });
    if (offset === undefined) return new MillraceError("ALREADY_WRITTEN", `The broker no longer knows at which offset ${key} is`);
    return { partition, offset, key, value };
  } catch (error) {
    if (error instanceof MillraceError) return error;
    throw error;
  }
}
