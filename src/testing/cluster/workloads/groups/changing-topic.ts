import { partitionName, type Topic } from "../../topic.ts";

/** A partition as members and their coordinator name it. */
export interface NamedPlace {
  readonly topic: string;
  readonly topicId: string;
  readonly partition: number;
}

/** A topic of a run that groups read while it grows, is deleted, and is made anew under its name. */
export class ChangingTopic {
  readonly name: string;
  /** Of all that were there under this name, in order. */
  readonly #ids: string[] = [];
  #now: Topic | undefined;
  #asked = 0;
  readonly #doubts: { readonly last: number; readonly run: (id: string) => void }[] = [];

  constructor(name: string) {
    this.name = name;
  }

  /** As it is now, as far as whoever makes it knows; undefined: it is not there, or not known. */
  get now(): { readonly id: string; readonly partitions: number } | undefined {
    const id = this.#ids.at(-1);
    return this.#now === undefined || id === undefined ? undefined : { id, partitions: this.#now.partitions };
  }

  /** Nobody can have meant another one than that of this id; undefined: there may be several, or one that nobody knows yet. */
  get only(): string | undefined {
    return this.#asked === 1 ? this.#ids[0] : undefined;
  }

  /**
   * Calls `run` for the id of each topic that a call which names no id may have been about: those that were there, and the one that is being
   * made, as soon as it is known.
   *
   * @param over the call has ended; else it may be about any that is made later, too
   */
  meant(over: boolean, run: (id: string) => void): void {
    for (const id of this.#ids) run(id);
    const last = over ? this.#asked : Number.POSITIVE_INFINITY;
    if (last > this.#ids.length) this.#doubts.push({ last, run });
  }

  get ids(): readonly string[] {
    return this.#ids;
  }

  /** Somebody is about to make it. */
  asked(): void {
    this.#asked++;
  }

  made(id: string, topic: Topic): void {
    this.#ids.push(id);
    this.#now = topic;
    for (const { last, run } of this.#doubts) if (this.#ids.length <= last) run(id);
  }

  grown(topic: Topic): void {
    this.#now = topic;
  }

  /** Somebody is about to delete it. */
  goes(): void {
    this.#now = undefined;
  }

  /** As histories name a partition of the topic of this id. */
  partition(id: string, partition: number): string {
    return partitionName(`${this.name}#${id}`, partition);
  }
}
