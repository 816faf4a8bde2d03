import { MillraceError } from "../../../base/errors.ts";
import { type RpcChannel, RpcFailure } from "../../../base/ports/rpc-client.ts";
import { LogService } from "../../../protocol/methods.ts";
import { FetchRequest, FetchResponse } from "../../../protocol/public.ts";
import { records } from "../../../records/log-record.ts";
import type { ReadRecord } from "../../checkers/history.ts";
import { readPayload } from "../../checkers/payload.ts";
import type { MachinePorts } from "../../sim/machine.ts";
import { wait } from "../clients.ts";
import { partitionsOf } from "../topic.ts";
import { channelsTo } from "./stub.ts";
import type { WorkloadContext } from "./workload.ts";

const NOTHING = new Uint8Array(0);
const INFLATED_BYTES_MAX = 1024 * 1024;

/** Reads with one call after the other, of any broker, anywhere up to where it has read before. */
export async function fetch(context: WorkloadContext): Promise<void> {
  const { activity, random, ports, pace } = context;
  const channels = channelsTo(ports, context.brokers);
  const partitions = partitionsOf(context.topics);
  const next = new Map<string, number>();
  while (!activity.stopped) {
    const place = random.pick(partitions);
    const most = next.get(place.name) ?? 0;
    const offset = random.chance(1, 2) ? most : random.below(most + 1);
    const end = await fetchOnce(context, random.pick(channels), { ...place, proc: `f${context.n}`, offset });
    if (end !== undefined && end > most) next.set(place.name, end);
    await wait(ports, random.below(pace.stubMs * 2));
  }
}

/** Where to read, and who. */
export interface FetchOf {
  readonly proc: string;
  readonly topic: string;
  /** It is that topic, or nothing is read. */
  readonly topicId?: string;
  readonly partition: number;
  /** The partition as the history names it. */
  readonly name: string;
  readonly offset: number;
  /** Default: drawn. */
  readonly maxBytes?: number;
}

/** @returns where to read on; undefined: the call failed */
export async function fetchOnce(context: WorkloadContext, channel: RpcChannel, where: FetchOf): Promise<number | undefined> {
  const fetched = await fetchFrom(context, channel, where);
  // What was let go of is not there: reading goes on where the log begins.
  return fetched?.next;
}

/** @returns where to read on, and whether that is because the log begins there; undefined: the call failed */
export async function fetchFrom(
  { world, history, random, ports }: WorkloadContext,
  channel: RpcChannel,
  { proc, topic, topicId, partition, name, offset, maxBytes = random.pick([1, 4_096, 65_536]) }: FetchOf,
): Promise<{ readonly next: number; readonly begins: boolean } | undefined> {
  const tInv = world.now;
  const request = FetchRequest.encode({ topic, topicId, partition, offset, maxBytes, minBytes: 1, maxWaitMs: 200 });
  try {
    const reply = FetchResponse.decode(await channel.unary(LogService.Fetch.path, request, { timeoutMs: 1_500 }));
    const read: ReadRecord[] = [];
    for (const { baseOffset, skipRecords, recordCount, records: set, compressedRecords } of reply.batches) {
      let at = baseOffset - skipRecords;
      for (const { value } of records(set ?? (await inflated(ports, compressedRecords)))) {
        if (at >= baseOffset + recordCount) break;
        if (at >= baseOffset) read.push({ offset: at, ...readPayload(value ?? NOTHING) });
        at++;
      }
    }
    if (read.length > 0)
      history.read(
        { f: "read", proc, partition: name, from: offset, records: read, leaderEpoch: reply.term, broker: reply.leaderId },
        tInv,
      );
    return { next: reply.nextOffset, begins: false };
  } catch (error) {
    if (!(error instanceof MillraceError || error instanceof RpcFailure)) throw error;
    const start = error instanceof MillraceError && error.code === "OFFSET_OUT_OF_RANGE" ? error.metadata.log_start_offset : undefined;
    return start === undefined ? undefined : { next: Number(start), begins: true };
  }
}

async function inflated({ inflate }: MachinePorts, compressed: Uint8Array): Promise<Uint8Array> {
  if (compressed.length === 0) return NOTHING;
  const found = await inflate.gunzip(compressed, INFLATED_BYTES_MAX);
  if ("failed" in found) throw new Error(`L4: a broker sent a compressed set that is none: ${found.failed}`);
  return found.bytes;
}
