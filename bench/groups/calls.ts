import { sleep } from "../../chaos/report.ts";
import { MillraceError } from "../../src/base/errors.ts";
import { type RpcChannel, RpcFailure } from "../../src/base/ports/rpc-client.ts";
import { createRpcClient } from "../../src/grpc/rpc-client.ts";
import { GroupService, LogService } from "../../src/protocol/methods.ts";
import {
  CommitOffsetsRequest,
  CommitOffsetsResponse,
  FetchOffsetsRequest,
  FetchOffsetsResponse,
  HeartbeatRequest,
  HeartbeatResponse,
  type MemberState,
} from "../../src/protocol/public/group-service.ts";
import { ProduceRequest } from "../../src/protocol/public/log-service.ts";
import { RecordSetBuilder } from "../../src/records/record-set-builder.ts";

/** A plain gRPC connection to each broker, by broker id from 1. */
export class Connections {
  readonly #channels: readonly RpcChannel[];

  constructor(addresses: readonly string[]) {
    const rpc = createRpcClient();
    this.#channels = addresses.map((address) => rpc.channel(address));
  }

  get count(): number {
    return this.#channels.length;
  }

  of(brokerId: number): RpcChannel {
    const channel = this.#channels[brokerId - 1];
    if (channel === undefined) throw new Error(`no broker ${brokerId}`);
    return channel;
  }

  close(): void {
    for (const channel of this.#channels) channel.close();
  }
}

const TRY_MS = 10_000;

/** Until it is answered: what a set-up needs, and nobody measures. @throws what a minute of tries ended with */
export async function insist<T>(call: () => Promise<T>): Promise<T> {
  for (const deadline = performance.now() + 60_000; ; await sleep(50)) {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof MillraceError || error instanceof RpcFailure) || performance.now() > deadline) throw error;
    }
  }
}

export interface Beat {
  readonly groupId: string;
  readonly memberId: string;
  readonly memberEpoch: number;
  readonly topics?: readonly string[];
}

export async function heartbeat(channel: RpcChannel, beat: Beat, timeoutMs: number = TRY_MS): Promise<MemberState> {
  const request = HeartbeatRequest.encode({ heartbeat: beat });
  const { state } = HeartbeatResponse.decode(await channel.unary(GroupService.Heartbeat.path, request, { timeoutMs }));
  if (state === undefined) throw new Error("a heartbeat was answered without a state");
  return state;
}

/** Offset `to` of partitions 0 to `partitions`. @throws also when one of them is refused */
export async function commit(
  channel: RpcChannel,
  { groupId, memberId, memberEpoch }: Beat,
  topic: string,
  partitions: number,
  to: number,
  timeoutMs: number = TRY_MS,
): Promise<void> {
  const offsets = Array.from({ length: partitions }, (_, partition) => ({ topic, partition, offset: to }));
  const request = CommitOffsetsRequest.encode({ groupId, memberId, memberEpoch, offsets });
  const { errors } = CommitOffsetsResponse.decode(await channel.unary(GroupService.CommitOffsets.path, request, { timeoutMs }));
  const [first] = errors;
  if (first !== undefined) throw new Error(`partition ${first.partition} of ${groupId}: ${first.error?.message ?? "refused"}`);
}

/** Committed offset of each partition that has one. */
export async function committed(channel: RpcChannel, groupId: string): Promise<ReadonlyMap<number, number>> {
  const reply = await channel.unary(GroupService.FetchOffsets.path, FetchOffsetsRequest.encode({ groupId }), { timeoutMs: TRY_MS });
  return new Map(
    FetchOffsetsResponse.decode(reply).offsets.flatMap(({ partition, offset }) => (offset === undefined ? [] : [[partition, offset]])),
  );
}

const SET_RECORDS_MAX = 5_000;

/** The same small records in each partition. */
export async function fill(connections: Connections, topic: string, partitions: number, records: number): Promise<void> {
  let next = 0;
  const one = async (worker: number): Promise<void> => {
    for (let partition = next++; partition < partitions; partition = next++) {
      for (let left = records; left > 0; left -= SET_RECORDS_MAX) {
        const builder = new RecordSetBuilder();
        for (let n = 0; n < Math.min(left, SET_RECORDS_MAX); n += 1) builder.append(undefined, "12345678", [], 0);
        const request = ProduceRequest.encode({ topic, partition, records: builder.take() });
        const channel = connections.of((worker % connections.count) + 1);
        await insist(() => channel.unary(LogService.Produce.path, request, { timeoutMs: 30_000 }));
      }
    }
  };
  await Promise.all(Array.from({ length: 6 }, (_, worker) => one(worker)));
}
