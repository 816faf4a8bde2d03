import { MillraceError } from "../../../src/base/errors.ts";
import { type ProduceBatch, type ProduceRequest, ProduceStreamRequest, ProduceStreamResponse } from "../../../src/protocol/public.ts";
import { statusOf } from "../../../src/protocol/rpc-status.ts";
import { walkRecordSet } from "../../../src/records/record-set.ts";
import type { FakeCluster, ServerSide, Wire } from "./cluster.ts";
import type { PartitionLog } from "./partition-log.ts";

/** How long a broker holds batches of a partition without a leader. */
const FORWARD_WAIT_MS = 2_000;

/** One partition's batches on one stream: a FIFO, refused after a failure until it is resumed. */
interface Lane {
  readonly queue: ProduceBatch[];
  failed: boolean;
  busy: boolean;
}

/** A broker's side of `ProduceStream`. */
export class FakeProduceStream implements ServerSide {
  readonly #cluster: FakeCluster;
  readonly #wire: Wire;
  readonly #lanes = new Map<string, Lane>();
  readonly #correlations = new Set<number>();
  #unanswered = new Map<number, number>();
  #open = true;

  constructor(cluster: FakeCluster, wire: Wire) {
    this.#cluster = cluster;
    this.#wire = wire;
    wire.reply(ProduceStreamResponse.encode({ creditBytes: cluster.creditBytes }));
  }

  received(message: Uint8Array): void {
    const { batches, resume } = ProduceStreamRequest.decode(message);
    for (const { topic, partition } of resume) {
      const lane = this.#lane(topic, partition);
      if (lane.queue.length > 0 || lane.busy) this.#cluster.complaints.push(`resume of ${topic}/${partition} with unanswered batches`);
      lane.failed = false;
    }
    for (const batch of batches) this.#take(batch);
  }

  #take(batch: ProduceBatch): void {
    const request = batch.request as ProduceRequest;
    if (this.#correlations.has(batch.correlationId)) this.#cluster.complaints.push(`correlation id ${batch.correlationId} twice`);
    this.#correlations.add(batch.correlationId);
    const bytes = bodyOf(request).length;
    let sum = bytes;
    for (const each of this.#unanswered.values()) sum += each;
    if (sum > this.#cluster.creditBytes && this.#unanswered.size > 0)
      this.#cluster.complaints.push(`${sum} bytes unanswered, credit ${this.#cluster.creditBytes}`);
    this.#unanswered.set(batch.correlationId, bytes);
    const lane = this.#lane(request.topic, request.partition);
    lane.queue.push(batch);
    this.#next(lane);
  }

  #lane(topic: string, partition: number): Lane {
    const key = `${topic}/${partition}`;
    const lane = this.#lanes.get(key) ?? { queue: [], failed: false, busy: false };
    this.#lanes.set(key, lane);
    return lane;
  }

  #next(lane: Lane): void {
    if (lane.busy || !this.#open) return;
    const batch = lane.queue.shift();
    if (batch === undefined) return;
    lane.busy = true;
    const heldUntil = this.#cluster.world.now + FORWARD_WAIT_MS;
    const attempt = (): void => {
      if (!this.#open) return;
      const request = batch.request as ProduceRequest;
      const meant = request.topicId === "" || request.topicId === this.#cluster.topicId(request.topic);
      const log = meant ? this.#cluster.topics.get(request.topic)?.[request.partition] : undefined;
      if (log !== undefined && this.#cluster.dead.has(log.leader) && !lane.failed && this.#cluster.world.now < heldUntil) {
        this.#cluster.world.after(50, attempt);
        return;
      }
      this.#finish(lane, batch, log);
    };
    this.#cluster.world.after(this.#cluster.delay(), attempt);
  }

  #finish(lane: Lane, batch: ProduceBatch, log: PartitionLog | undefined): void {
    const { random } = this.#cluster.world;
    const { faults } = this.#cluster;
    const request = batch.request as ProduceRequest;
    try {
      const judged = log && this.#cluster.judges(request, log);
      if (judged !== undefined) throw judged;
      if (lane.failed) throw new MillraceError("PRECEDING_FAILED", "an earlier batch failed");
      if (log === undefined) throw new MillraceError("UNKNOWN_TOPIC", "no such topic");
      if (this.#cluster.dead.has(log.leader)) throw new MillraceError("LEADER_UNKNOWN", "no leader");
      if (random.chance(faults.move)) this.#cluster.moveLeader(log);
      if (random.chance(faults.forget)) log.producers.clear();
      if (random.chance(faults.breakBefore)) {
        this.#wire.break();
        return;
      }
      if (random.chance(faults.refuse)) throw new MillraceError("NOT_ENOUGH_REPLICAS", "not now", {}, 5);
      if (random.chance(faults.unknown / 2)) throw new MillraceError("LEADERSHIP_LOST", "lost before");
      const { recordSetBytesMax } = this.#cluster;
      if (bodyOf(request).length > recordSetBytesMax) throw new MillraceError("RECORD_SET_TOO_LARGE", `at most ${recordSetBytesMax}`);
      const appended = log.append(appendOf(request));
      if (random.chance(faults.breakAfter)) {
        this.#wire.break();
        return;
      }
      if (random.chance(faults.unknown / 2)) throw new MillraceError("LEADERSHIP_LOST", "lost after");
      this.#reply(batch, {
        response: {
          baseOffset: appended.stored.baseOffset,
          recordCount: appended.stored.count,
          duplicate: appended.duplicate,
          term: log.term,
          leaderAddress: log.leader,
          appendTimeMs: this.#cluster.world.wall(),
        },
      });
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error;
      lane.failed = true;
      this.#reply(batch, { error: statusOf(error) });
    }
    lane.busy = false;
    this.#next(lane);
  }

  #reply(batch: ProduceBatch, result: object): void {
    this.#unanswered.delete(batch.correlationId);
    this.#wire.reply(ProduceStreamResponse.encode({ results: [{ correlationId: batch.correlationId, ...result }] }));
  }

  halfClosed(): void {
    this.#wire.endFromServer();
  }

  gone(): void {
    this.#open = false;
  }

  paused(): void {}
}

function bodyOf(request: ProduceRequest): Uint8Array {
  return request.records ?? request.compressedRecords;
}

/** What the log takes of it. */
export function appendOf(request: ProduceRequest) {
  const compressed = request.records === undefined;
  return {
    producerId: request.producerId,
    baseSequence: request.baseSequence,
    count: compressed ? request.recordCount : walkRecordSet(bodyOf(request)).recordCount,
    records: bodyOf(request),
    compressed,
  };
}
