import type { Client } from "../src/client-entry.ts";

/** Between two rounds over all partitions. */
const ROUND_MS = 50;

/** One record to each partition every round, and how long each waited for its acknowledgement (default settings: `acks=all`). */
export class LatencyProbe {
  /** When it was sent, `performance.now()`, and milliseconds until it was acknowledged. */
  readonly samples: { readonly at: number; readonly ms: number }[] = [];
  readonly errors: string[] = [];
  readonly #client: Client;
  readonly #producer;
  readonly #timer: NodeJS.Timeout;

  constructor(client: Client, topic: string, partitions: number) {
    this.#client = client;
    this.#producer = client.producer();
    this.#timer = setInterval(() => {
      for (let partition = 0; partition < partitions; partition++) this.#send(topic, partition);
    }, ROUND_MS);
  }

  #send(topic: string, partition: number): void {
    const at = performance.now();
    this.#producer.send({ topic, partition, value: "x".repeat(100) }).then(
      () => {
        this.samples.push({ at, ms: performance.now() - at });
      },
      (error: Error) => {
        this.errors.push(error.message);
      },
    );
  }

  /**
   * Waits of the records sent between two times.
   * @param notOurs milliseconds of such a wait that are not to be counted
   */
  between(from: number, until: number, notOurs: (from: number, until: number) => number = () => 0): readonly number[] {
    return this.samples.filter(({ at }) => at >= from && at < until).map(({ at, ms }) => ms - notOurs(at, at + ms));
  }

  async end(): Promise<void> {
    clearInterval(this.#timer);
    await this.#producer.flush();
    await this.#client.close();
  }
}
