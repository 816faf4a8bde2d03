import { MillraceError } from "../../../base/errors.ts";
import { type RpcChannel, RpcFailure } from "../../../base/ports/rpc-client.ts";
import { LogService } from "../../../protocol/methods.ts";
import { Acks, InitProducerRequest, InitProducerResponse, ProduceRequest, ProduceResponse } from "../../../protocol/public.ts";
import { RecordSetBuilder } from "../../../records/record-set-builder.ts";
import { makePayload } from "../../checkers/payload.ts";
import { wait } from "../clients.ts";
import { partitionsOf } from "../topic.ts";
import { channelsTo } from "./stub.ts";
import type { WorkloadContext } from "./workload.ts";

/** Batches under one producer id; then a new one. */
const BATCHES_PER_ID = 40;
/** Calls for one batch before its outcome stays unknown. */
const TRIES = 12;

interface Session {
  readonly producerId: number;
  readonly producerEpoch: number;
  /** Next sequence number of each partition, by name. */
  readonly next: Map<string, number>;
}

/** A stub that does itself what the client library does: under a producer id it sends a batch again until it knows what became of it. */
export async function retry(context: WorkloadContext): Promise<void> {
  const { activity, random, ports, pace } = context;
  const channels = channelsTo(ports, context.brokers);
  let session: Session | undefined;
  let batches = 0;
  while (!activity.stopped) {
    await wait(ports, random.below(pace.stubMs * 2));
    session ??= await open(context, random.pick(channels));
    if (session === undefined || activity.stopped) continue;
    const ended = activity.begin();
    const known = await sendKnown(context, channels, session, ++batches);
    ended();
    // After an outcome that stayed unknown nobody knows the next sequence number.
    if (!known || batches % BATCHES_PER_ID === 0) session = undefined;
  }
}

async function open({ world }: WorkloadContext, channel: RpcChannel): Promise<Session | undefined> {
  try {
    const reply = await channel.unary(LogService.InitProducer.path, InitProducerRequest.encode({}), { timeoutMs: 1_500 });
    const { producerId, producerEpoch } = InitProducerResponse.decode(reply);
    world.note(`retry has producer ${producerId}`);
    return { producerId, producerEpoch, next: new Map() };
  } catch (error) {
    if (error instanceof MillraceError || error instanceof RpcFailure) return undefined;
    throw error;
  }
}

/** One batch, until its outcome is known; now and then once more after that. @returns false: it is not */
async function sendKnown(context: WorkloadContext, channels: readonly RpcChannel[], session: Session, n: number): Promise<boolean> {
  const { world, history, random, ports } = context;
  const proc = `r${context.n}`;
  const { topic, partition, name } = random.pick(partitionsOf(context.topics));
  const { value, body } = makePayload(String(world.seed), proc, n, 20);
  const records = new RecordSetBuilder(1024);
  records.append(undefined, body);
  const { producerId, producerEpoch, next } = session;
  const baseSequence = next.get(name) ?? 0;
  const acks = random.pick(["QUORUM", "ALL"] as const);
  const level = acks === "ALL" ? Acks.all : Acks.quorum;
  const request = ProduceRequest.encode({
    topic,
    partition,
    records: records.take(),
    acks: level,
    producerId,
    producerEpoch,
    baseSequence,
  });
  const i = history.beginSend({ f: "send", proc, partition: name, producer: `${proc}/${producerId}`, acks, values: [value] });
  for (let tries = 0; tries < TRIES; tries++) {
    const reply = await call(random.pick(channels), request, random.pick([300, 1_500]));
    if (reply === "again") {
      await wait(ports, random.below(400));
      continue;
    }
    if (reply instanceof MillraceError) {
      // An earlier try of unknown outcome may have written it.
      history.endSend(i, { type: tries === 0 ? "fail" : "info", error: reply.code });
      return false;
    }
    // A batch that was there already has the term it was written in, and not that of who answers.
    const by = reply.duplicate ? {} : { leaderEpoch: reply.term, broker: reply.leaderId };
    history.endSend(i, { type: "ok", offset: reply.baseOffset, ...by });
    next.set(name, baseSequence + 1);
    if (random.chance(1, 4)) await sendAgain(context, random.pick(channels), request, reply);
    return true;
  }
  history.endSend(i, { type: "info", error: "not known after many tries" });
  return false;
}

/** A batch that is known to be written is answered with the place it has, whoever leads by now. */
async function sendAgain(context: WorkloadContext, channel: RpcChannel, request: Uint8Array, first: ProduceResponse): Promise<void> {
  const { world, situations, random, ports } = context;
  await wait(ports, random.below(3_000));
  const again = await call(channel, request, 1_500);
  if (again === "again" || again instanceof MillraceError) return;
  if (again.baseOffset !== first.baseOffset || !again.duplicate)
    world.scheduler.fail(new Error(`L3: a batch at offset ${first.baseOffset} was written again at ${again.baseOffset}`));
  if (again.leaderId !== first.leaderId) situations.saw("duplicate after fail-over");
}

/** @returns "again": not written, or not known; an error: refused for good */
async function call(channel: RpcChannel, request: Uint8Array, timeoutMs: number): Promise<ProduceResponse | MillraceError | "again"> {
  try {
    return ProduceResponse.decode(await channel.unary(LogService.Produce.path, request, { timeoutMs }));
  } catch (error) {
    if (error instanceof RpcFailure) return "again";
    if (!(error instanceof MillraceError)) throw error;
    return error.retriable || !error.outcomeKnown ? "again" : error;
  }
}
