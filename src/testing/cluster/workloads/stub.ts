import { MillraceError } from "../../../base/errors.ts";
import { type RpcChannel, RpcFailure } from "../../../base/ports/rpc-client.ts";
import { LogService } from "../../../protocol/methods.ts";
import { Acks, Compression, ProduceRequest, ProduceResponse } from "../../../protocol/public.ts";
import { RecordSetBuilder } from "../../../records/record-set-builder.ts";
import { makePayload } from "../../checkers/payload.ts";
import type { MachinePorts } from "../../sim/machine.ts";
import { wait } from "../clients.ts";
import { clientAddress } from "../config.ts";
import { partitionsOf } from "../topic.ts";
import { storedGzip } from "./stored-gzip.ts";
import type { WorkloadContext } from "./workload.ts";

const LEVELS = { ALL: Acks.all, QUORUM: Acks.quorum, LEADER: Acks.leader, NONE: Acks.none } as const;

/** One channel to each broker, as a generated stub has it. */
export function channelsTo(ports: MachinePorts, brokers: number): readonly RpcChannel[] {
  return Array.from({ length: brokers }, (_, i) => ports.rpcClient.channel(clientAddress(i + 1)));
}

/**
 * A caller with nothing but a generated stub: one call at a time, to any broker, which must forward it; no producer id, and no retry,
 * so an unknown outcome stays unknown. It uses every level of acknowledgement.
 */
export async function stub(context: WorkloadContext): Promise<void> {
  const { activity, random, ports, pace } = context;
  const proc = `s${context.n}`;
  const channels = channelsTo(ports, context.brokers);
  const partitions = partitionsOf(context.topics);
  let n = 0;
  while (!activity.stopped) {
    const ended = activity.begin();
    const { topic, partition, name } = random.pick(partitions);
    const acks = random.pick(["ALL", "QUORUM", "QUORUM", "LEADER", "NONE"] as const);
    n += await sendOne(context, random.pick(channels), { proc, topic, partition, name, acks, n });
    ended();
    await wait(ports, random.below(pace.stubMs));
  }
}

/** What one call of a stub sends, and where to; `n` is the number of the last value that `proc` sent. */
export interface StubSend {
  readonly proc: string;
  readonly topic: string;
  /** It is that topic, or nothing is written. */
  readonly topicId?: string;
  readonly partition: number;
  /** The partition as the history names it. */
  readonly name: string;
  readonly acks: keyof typeof LEVELS;
  readonly n: number;
}

/** One call with up to three records. @returns how many */
export async function sendOne({ world, history, random }: WorkloadContext, channel: RpcChannel, send: StubSend): Promise<number> {
  const { proc, topic, topicId, partition, acks } = send;
  const records = new RecordSetBuilder(1024);
  const values: string[] = [];
  for (let count = random.between(1, 3); count > 0; count--) {
    const { value, body } = makePayload(String(world.seed), proc, send.n + values.length + 1, 20);
    values.push(value);
    records.append(undefined, body);
  }
  const set = records.take();
  const body = random.chance(1, 4)
    ? { compressedRecords: storedGzip(set), compression: Compression.gzip, recordCount: values.length }
    : { records: set };
  const request = ProduceRequest.encode({ topic, topicId, partition, ...body, acks: LEVELS[acks] });
  const i = history.beginSend({ f: "send", proc, partition: send.name, producer: proc, acks, values });
  try {
    const reply = await channel.unary(LogService.Produce.path, request, { timeoutMs: random.pick([300, 1_500]) });
    const { baseOffset, term, leaderId, durableBrokerIds } = ProduceResponse.decode(reply);
    const answer = { offset: baseOffset, leaderEpoch: term, broker: leaderId, durableOn: durableBrokerIds };
    history.endSend(i, { type: "ok", ...(acks === "NONE" ? {} : answer) });
  } catch (error) {
    if (!(error instanceof MillraceError || error instanceof RpcFailure)) throw error;
    const known = error instanceof MillraceError ? error.outcomeKnown : error.neverSent;
    history.endSend(i, { type: known ? "fail" : "info", error: error instanceof MillraceError ? error.code : error.status });
  }
  return values.length;
}
