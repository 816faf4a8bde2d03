import { MillraceError } from "../../base/errors.ts";
import type { ConsumedBatch } from "../consumer/consumed-batch.ts";
import { Consumer, type PartitionName } from "../consumer/consumer.ts";
import type { ConsumerOptions } from "../consumer/options.ts";
import type { ClientCore } from "../core.ts";
import type { Tenure } from "./tenure.ts";

/** A partition of many may hold so many bytes at least. */
const SHARE_BYTES_MIN = 64 * 1024;

export interface FetchingHost {
  arrived(tenure: Tenure, batch: ConsumedBatch): void;
  /** Nothing more comes of it. */
  refused(tenure: Tenure, error: MillraceError): void;
  /** Nothing more comes at all. */
  failed(error: MillraceError): void;
}

/**
 * Fetches the partitions in hand, each from where it is, with bounded memory: each may have its share of the buffer waiting for handlers;
 * one that has more stands still, and keeps no other from going on.
 */
export class Fetching {
  readonly #host: FetchingHost;
  readonly #consumer: Consumer;
  readonly #bufferBytesMax: number;
  readonly #tenures = new Map<string, Tenure>();
  readonly #full = new Set<string>();

  constructor(core: ClientCore, options: Required<ConsumerOptions>, host: FetchingHost) {
    this.#host = host;
    this.#bufferBytesMax = Math.max(1, Math.floor(options.bufferBytesMax / 2));
    const { inflatedBytesMax } = options;
    const refused = (names: readonly PartitionName[], error: MillraceError): boolean => this.#refused(names, error);
    this.#consumer = new Consumer(core, { bufferBytesMax: this.#bufferBytesMax, inflatedBytesMax }, undefined, refused);
    this.#run().catch((error: unknown) =>
      host.failed(error instanceof MillraceError ? error : new MillraceError("INTERNAL", String(error))),
    );
  }

  begin(tenure: Tenure, offset: number): void {
    this.#tenures.set(nameOf(tenure), tenure);
    this.#full.delete(nameOf(tenure));
    const { topic, topicId, partition } = tenure;
    this.#consumer.assign([{ topic, topicId, partition, from: { offset } }]);
  }

  halt(tenure: Tenure): void {
    if (this.#tenures.get(nameOf(tenure)) !== tenure) return;
    this.#tenures.delete(nameOf(tenure));
    this.#full.delete(nameOf(tenure));
    this.#consumer.unassign([tenure]);
  }

  /** @param bytes of it that wait for handlers */
  fill(tenure: Tenure, bytes: number): void {
    const name = nameOf(tenure);
    if (this.#tenures.get(name) !== tenure) return;
    const share = Math.max(SHARE_BYTES_MIN, this.#bufferBytesMax / this.#tenures.size);
    if (!this.#full.has(name) && bytes > share) {
      this.#full.add(name);
      this.#consumer.pause([tenure]);
    } else if (this.#full.has(name) && bytes <= share / 2) {
      this.#full.delete(name);
      this.#consumer.resume([tenure]);
    }
  }

  close(): void {
    this.#consumer.close();
  }

  async #run(): Promise<void> {
    for await (const batch of this.#consumer.batches()) {
      const tenure = this.#tenures.get(nameOf(batch));
      if (tenure !== undefined) this.#host.arrived(tenure, batch);
    }
  }

  #refused(names: readonly PartitionName[], error: MillraceError): boolean {
    const tenures = names.flatMap((name) => this.#tenures.get(nameOf(name)) ?? []);
    for (const tenure of tenures) {
      this.#tenures.delete(nameOf(tenure));
      this.#full.delete(nameOf(tenure));
    }
    for (const tenure of tenures) this.#host.refused(tenure, error);
    return true;
  }
}

function nameOf({ topic, partition }: PartitionName): string {
  return `${partition} ${topic}`;
}
