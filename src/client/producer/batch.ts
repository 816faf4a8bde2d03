import type { MillraceError } from "../../base/errors.ts";
import type { MessageInput } from "../../protocol/codec/index.ts";
import { Compression, type ProduceRequest, type ProduceResponse } from "../../protocol/public.ts";
import type { RecordHeader } from "../../records/log-record.ts";
import type { BytesOrText, RecordSetBuilder } from "../../records/record-set-builder.ts";
import type { ProducerSettings } from "./options.ts";
import type { RecordAck } from "./record.ts";

/** Who an idempotent producer is, to the brokers. */
export interface Identity {
  readonly producerId: number;
  readonly producerEpoch: number;
}

export type BatchRequest = MessageInput<typeof ProduceRequest>;

/** Records of one partition on their way together: bytes, and a promise for each. */
export class Batch {
  readonly topic: string;
  readonly partition: number;
  /** Monotonic time at which its records are given up. */
  readonly deadline: number;
  readonly openedAt: number;
  readonly #settings: ProducerSettings;
  readonly #builder: RecordSetBuilder;
  readonly #resolves: ((ack: RecordAck) => void)[] = [];
  readonly #rejects: ((error: MillraceError) => void)[] = [];
  /** Bytes its records count in the producer's buffer. */
  bufferedBytes = 0;
  /** Serialized record set, compressed or not; set by `close`. */
  #body: Uint8Array | undefined;
  #settled: (() => void)[] | undefined;

  /** Where it goes, and nowhere else once it may have got there: another topic may have been made under the name. */
  topicId: string | undefined;
  /** Sequence of its first record under `identity`; -1 while it has none. */
  sequence = -1;
  identity: Identity | undefined;
  /** It is on a stream, unanswered. */
  outstanding = false;
  /** An attempt ended without a word: it may be in the log, so it may never be sent under another identity (design §6). */
  maybeWritten = false;
  /** Why it is given up, once it is. */
  failure: MillraceError | undefined;
  /** The last error that left the outcome open. */
  lastUnknown: MillraceError | undefined;
  /** Its partition does not know the identity. */
  needsIdentity = false;
  attempts = 0;

  constructor(topic: string, partition: number, now: number, settings: ProducerSettings, builder: RecordSetBuilder) {
    this.topic = topic;
    this.partition = partition;
    this.openedAt = now;
    this.deadline = now + settings.deliveryTimeoutMs;
    this.#settings = settings;
    this.#builder = builder;
  }

  get count(): number {
    return this.#resolves.length;
  }

  /** Bytes of the record set as it goes over the wire. */
  get bytes(): number {
    return this.#body === undefined ? this.#builder.byteLength : this.#body.length;
  }

  get body(): Uint8Array | undefined {
    return this.#body;
  }

  get done(): boolean {
    return this.#body !== undefined;
  }

  add(
    key: BytesOrText | undefined,
    value: BytesOrText | undefined,
    headers: readonly RecordHeader[] | undefined,
    timestampMs: number | undefined,
    bufferedBytes: number,
    resolve: (ack: RecordAck) => void,
    reject: (error: MillraceError) => void,
  ): void {
    this.#builder.append(key, value, headers, timestampMs);
    this.bufferedBytes += bufferedBytes;
    this.#resolves.push(resolve);
    this.#rejects.push(reject);
  }

  /** The plain record set, to be compressed. */
  plain(): Uint8Array {
    return this.#builder.take();
  }

  /** No more records. @param body what goes over the wire */
  close(body: Uint8Array): void {
    this.#body = body;
  }

  request(): BatchRequest {
    const body = this.#body as Uint8Array;
    const plain = this.#settings.compression === Compression.none;
    return {
      topic: this.topic,
      topicId: this.topicId,
      partition: this.partition,
      records: plain ? body : undefined,
      compressedRecords: plain ? undefined : body,
      compression: plain ? undefined : this.#settings.compression,
      recordCount: plain ? undefined : this.count,
      acks: this.#settings.acks,
      producerId: this.identity?.producerId,
      producerEpoch: this.identity?.producerEpoch,
      baseSequence: this.identity === undefined ? undefined : this.sequence,
    };
  }

  /** @param response undefined: written before, too long ago to know where */
  resolve(response: ProduceResponse | undefined): void {
    const resolves = this.#resolves;
    const { topic, partition } = this;
    const timestampMs = response?.appendTimeMs;
    const duplicate = response?.duplicate ?? true;
    for (let i = 0; i < resolves.length; i++) {
      (resolves[i] as (ack: RecordAck) => void)({
        topic,
        partition,
        offset: response === undefined ? undefined : response.baseOffset + i,
        timestampMs,
        duplicate,
      });
    }
    this.#settle();
  }

  reject(error: MillraceError): void {
    for (const reject of this.#rejects) reject(error);
    this.#settle();
  }

  /** Resolves once all its promises have. */
  settled(): Promise<void> {
    return new Promise((resolve) => {
      this.#settled ??= [];
      this.#settled.push(resolve);
    });
  }

  #settle(): void {
    for (const run of this.#settled ?? []) run();
    this.#settled = undefined;
  }
}
