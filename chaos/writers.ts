import type { Client } from "../src/client-entry.ts";

/** Between two looks at which records are due. */
const TICK_MS = 5;

export interface Window {
  readonly from: number;
  readonly until: number;
}

/**
 * Writes to each partition of a topic at a steady rate with the public client on its default settings, and keeps the time of every
 * acknowledgement.
 */
export class SteadyWriters {
  /** By partition, `performance.now()`, ascending. */
  readonly ackTimes: readonly number[][];
  /** What callers were told went wrong; the client retries on its own, so there should be none. */
  readonly errors: string[] = [];
  sent = 0;
  acknowledged = 0;
  readonly #timer: NodeJS.Timeout;
  readonly #producer;
  readonly #client: Client;

  constructor(client: Client, topic: string, partitions: number, perPartitionPerSecond: number, bytes: number = 100) {
    this.#client = client;
    this.#producer = client.producer();
    this.ackTimes = Array.from({ length: partitions }, () => []);
    const began = performance.now();
    let due = 0;
    this.#timer = setInterval(() => {
      const until = Math.floor(((performance.now() - began) / 1000) * perPartitionPerSecond);
      // After a pause of this process the missed ones are not made up for all at once.
      if (until - due > perPartitionPerSecond) due = until - perPartitionPerSecond;
      for (; due < until; due++) for (let partition = 0; partition < partitions; partition++) this.#send(topic, partition, due, bytes);
    }, TICK_MS);
  }

  #send(topic: string, partition: number, n: number, bytes: number): void {
    this.sent++;
    this.#producer.send({ topic, partition, value: `${partition}/${n}`.padEnd(bytes, ".") }).then(
      () => {
        this.acknowledged++;
        (this.ackTimes[partition] as number[]).push(performance.now());
      },
      (error: Error) => {
        this.errors.push(error.message);
      },
    );
  }

  /** Longest time between two acknowledgements of a partition that overlaps the window, in milliseconds; the window's end counts as one. */
  longestGap(partition: number, from: number, until: number): number {
    const gap = this.longestGapWindow(partition, from, until);
    return gap.until - gap.from;
  }

  /** When that was, `performance.now()`. */
  longestGapWindow(partition: number, from: number, until: number): Window {
    const times = this.ackTimes[partition] as number[];
    let longest = { from, until: from };
    const take = (gapFrom: number, gapUntil: number): void => {
      if (gapUntil - gapFrom > longest.until - longest.from) longest = { from: gapFrom, until: gapUntil };
    };
    let previous = -1;
    for (let i = firstAtOrAfter(times, from) - 1; i < times.length; i++) {
      const time = i < 0 ? from : (times[i] as number);
      if (previous >= 0) take(previous, Math.min(time, until));
      if (time >= until) return longest;
      previous = time;
    }
    take(Math.max(previous, from), until);
    return longest;
  }

  /** First acknowledgement after a time, if there is one yet. */
  ackAfter(partition: number, time: number): number | undefined {
    const times = this.ackTimes[partition] as number[];
    return times[firstAtOrAfter(times, time)];
  }

  /** No more records; waits for those on their way. */
  async end(): Promise<void> {
    clearInterval(this.#timer);
    await this.#producer.flush();
    await this.#client.close();
  }
}

function firstAtOrAfter(times: readonly number[], time: number): number {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((times[middle] as number) < time) low = middle + 1;
    else high = middle;
  }
  return low;
}
