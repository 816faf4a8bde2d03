import type { TopicId } from "../base/ids.ts";

interface Slots<V> {
  /** By partition number. */
  readonly values: (V | undefined)[];
  count: number;
}

/**
 * A value per partition of some topics, as arrays: thousands of groups have ten of them each, few have thousands. A clone shares the
 * arrays until one of the two writes, so whoever keeps a clone keeps a moment. Values are never changed, only replaced.
 */
export class PartitionMap<V> {
  readonly #topics: Map<TopicId, Slots<V>>;
  /** Topics whose array no clone can see; undefined: all of them. */
  #own: Set<TopicId> | undefined;
  #size: number;

  constructor(from?: PartitionMap<V>) {
    this.#topics = new Map(from === undefined ? [] : from.#topics);
    this.#size = from?.size ?? 0;
    this.#own = from === undefined ? undefined : new Set();
  }

  get size(): number {
    return this.#size;
  }

  clone(): PartitionMap<V> {
    this.#own = new Set();
    return new PartitionMap(this);
  }

  get(topicId: TopicId, partition: number): V | undefined {
    return this.#topics.get(topicId)?.values[partition];
  }

  set(topicId: TopicId, partition: number, value: V): void {
    const slots = this.#writable(topicId) ?? this.#added(topicId);
    // No holes: an array that has some is slow for ever.
    while (slots.values.length < partition) slots.values.push(undefined);
    if (slots.values[partition] === undefined) {
      slots.count += 1;
      this.#size += 1;
    }
    slots.values[partition] = value;
  }

  delete(topicId: TopicId, partition: number): void {
    if (this.get(topicId, partition) === undefined) return;
    const slots = this.#writable(topicId);
    if (slots === undefined) return;
    slots.values[partition] = undefined;
    slots.count -= 1;
    this.#size -= 1;
    if (slots.count === 0) this.#topics.delete(topicId);
  }

  /** Topics that have some value. */
  topics(): readonly TopicId[] {
    return [...this.#topics.keys()];
  }

  /** Of one topic, by partition number; some are undefined. Not to be changed. */
  of(topicId: TopicId): readonly (V | undefined)[] {
    return this.#topics.get(topicId)?.values ?? [];
  }

  /** Partitions of a topic ascending, topics in the order they came. The map may be written meanwhile, but only where this is. */
  forEach(visit: (value: V, topicId: TopicId, partition: number) => void): void {
    for (const topicId of this.topics()) {
      const values = this.of(topicId);
      for (let partition = 0; partition < values.length; partition += 1) {
        const value = values[partition];
        if (value !== undefined) visit(value, topicId, partition);
      }
    }
  }

  #added(topicId: TopicId): Slots<V> {
    const slots: Slots<V> = { values: [], count: 0 };
    this.#topics.set(topicId, slots);
    this.#own?.add(topicId);
    return slots;
  }

  #writable(topicId: TopicId): Slots<V> | undefined {
    const slots = this.#topics.get(topicId);
    if (slots === undefined || this.#own === undefined || this.#own.has(topicId)) return slots;
    const copy = { values: [...slots.values], count: slots.count };
    this.#topics.set(topicId, copy);
    this.#own.add(topicId);
    return copy;
  }
}
