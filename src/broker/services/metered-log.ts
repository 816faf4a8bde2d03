import { MillraceError } from "../../base/errors.ts";
import type { BrokerId } from "../../base/ids.ts";
import type { Clock } from "../../base/ports/clock.ts";
import type { Telemetry } from "../../base/ports/telemetry.ts";
import type { Until } from "../../base/until.ts";
import type { FetchRequest, FetchResponse } from "../../protocol/public.ts";
import type { AppendBatch, Appended } from "../partition/partition.ts";
import type { LogBackend, OffsetsOf, OffsetsOptions, RouteOptions, Target } from "./log-service.ts";

/** Counts and times what callers of this broker produce and read, wherever the leader is. */
export class MeteredLog implements LogBackend {
  readonly #log: LogBackend;
  readonly #clock: Clock;
  readonly #telemetry: Telemetry;

  constructor(log: LogBackend, clock: Clock, telemetry: Telemetry) {
    this.#log = log;
    this.#clock = clock;
    this.#telemetry = telemetry;
  }

  append(
    target: Target,
    batch: AppendBatch,
    options: RouteOptions,
    done: (outcome: (Appended & { readonly leaderId: BrokerId }) | MillraceError) => void,
  ): () => void {
    const began = this.#clock.monotonic();
    const bytes = batch.draft.payload.byteLength;
    const acks = batch.acks.toLowerCase();
    return this.#log.append(target, batch, options, (outcome) => {
      if (outcome instanceof MillraceError) this.#telemetry.count("produce.failed", 1, outcome.code);
      else {
        this.#telemetry.observe("produce.seconds", (this.#clock.monotonic() - began) / 1000, acks);
        this.#telemetry.count("produce.records", outcome.recordCount, acks);
        this.#telemetry.count("produce.bytes", bytes, acks);
      }
      done(outcome);
    });
  }

  read(target: Target, request: FetchRequest, options: RouteOptions, done: (outcome: FetchResponse | MillraceError) => void): () => void {
    const began = this.#clock.monotonic();
    return this.#log.read(target, request, options, (outcome) => {
      if (outcome instanceof MillraceError) this.#telemetry.count("fetch.failed", 1, outcome.code);
      else {
        this.#telemetry.observe("fetch.seconds", (this.#clock.monotonic() - began) / 1000);
        let records = 0;
        let bytes = 0;
        for (const batch of outcome.batches) {
          records += batch.recordCount;
          bytes += (batch.records?.byteLength ?? 0) + (batch.compressedRecords?.byteLength ?? 0);
        }
        this.#telemetry.count("fetch.records", records);
        this.#telemetry.count("fetch.bytes", bytes);
      }
      done(outcome);
    });
  }

  resolve(topic: string, partition: number, until: Until, topicId?: string): Target | Promise<Target> {
    return this.#log.resolve(topic, partition, until, topicId);
  }
  topicOf(topic: string, until: Until, topicId?: string): ReturnType<LogBackend["topicOf"]> {
    return this.#log.topicOf(topic, until, topicId);
  }
  latestOf(topic: string, until: Until): ReturnType<LogBackend["latestOf"]> {
    return this.#log.latestOf(topic, until);
  }
  offsets(
    target: Target,
    timeMs: number | undefined,
    options: OffsetsOptions,
    done: (outcome: OffsetsOf | MillraceError) => void,
  ): () => void {
    return this.#log.offsets(target, timeMs, options, done);
  }
  allocateProducer(until: Until): Promise<number> {
    return this.#log.allocateProducer(until);
  }
  clientAddress(broker: BrokerId): string {
    return this.#log.clientAddress(broker);
  }
  leadsHere(target: Target): boolean {
    return this.#log.leadsHere(target);
  }
}
