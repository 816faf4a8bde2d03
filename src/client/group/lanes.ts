import type { MillraceError } from "../../base/errors.ts";
import type { CallScope } from "../../base/ports/call-scope.ts";
import type { Timer } from "../../base/ports/clock.ts";
import { backoffMs } from "../backoff.ts";
import type { ConsumedBatch } from "../consumer/consumed-batch.ts";
import type { ConsumedRecord } from "../consumer/consumed-record.ts";
import { HandlerTimedOut } from "../errors.ts";
import type { ClientPorts } from "../ports.ts";
import { Lane } from "./lane.ts";
import type { RunSettings } from "./options.ts";
import type { Tenure } from "./tenure.ts";

/** Records of one partition in one go, while others wait or the thread has other things to do. */
const TURN_RECORDS = 100;

/** Who the lanes work for. */
export interface LanesHost {
  took(tenure: Tenure): void;
  /** Records from this one on, which is taken now, are of `term`. */
  entered(tenure: Tenure, offset: number, term: number): void;
  /** Returned only once the record is done with; `offset` is its own. */
  processed(tenure: Tenure, offset: number): void;
  idle(tenure: Tenure): void;
  /** A handler threw. @returns what follows: the record is handled once more, counts as done, or everything ends */
  threw(record: ConsumedRecord, error: unknown, failures: number): "again" | "stopped" | Promise<"done" | "again">;
  gaveUp(tenure: Tenure, error: MillraceError): void;
  /** More or less waits for handlers of a partition than before, or one of them has ended. */
  fill(tenure: Tenure, bytes: number): void;
}

/**
 * Calls the handler: for each partition one record after the other, for up to `concurrency` partitions at the same time, each in its
 * turn. A partition that comes back while a handler of its former tenure is still at work waits for that one: two never work on one
 * partition here.
 */
export class Lanes {
  readonly #settings: RunSettings;
  readonly #ports: Pick<ClientPorts, "clock" | "random">;
  readonly #scope: CallScope | undefined;
  readonly #host: LanesHost;
  readonly #lanes = new Map<number, Lane>();
  readonly #turns: Lane[] = [];
  /** Partitions a handler is at work on, by key. */
  readonly #working = new Set<string>();
  /** Pauses that end early when their partition is taken away. */
  readonly #pauses = new Map<Lane, () => void>();

  /** @param scope what handlers do is inside of it */
  constructor(settings: RunSettings, ports: Pick<ClientPorts, "clock" | "random">, scope: CallScope | undefined, host: LanesHost) {
    this.#settings = settings;
    this.#ports = ports;
    this.#scope = scope;
    this.#host = host;
  }

  begin(tenure: Tenure): void {
    this.#lanes.set(tenure.id, new Lane(tenure));
  }

  /** Nothing more of it begins. */
  halt(tenure: Tenure, reason: MillraceError): void {
    const lane = this.#lanes.get(tenure.id);
    if (lane === undefined) return;
    this.#lanes.delete(tenure.id);
    lane.halt(reason);
    this.#pauses.get(lane)?.();
  }

  add(tenure: Tenure, batch: ConsumedBatch): void {
    const lane = this.#lanes.get(tenure.id);
    if (lane === undefined) return;
    lane.add(batch);
    this.#offer(lane);
    this.#host.fill(tenure, lane.bytes);
  }

  setPaused(tenure: Tenure, paused: boolean): void {
    const lane = this.#lanes.get(tenure.id);
    if (lane === undefined) return;
    lane.paused = paused;
    this.#offer(lane);
    this.#host.fill(tenure, lane.bytes);
  }

  /** A handler is free, and a partition it could work on has nothing waiting. */
  get isStarved(): boolean {
    if (this.#working.size >= this.#settings.concurrency) return false;
    for (const lane of this.#lanes.values()) if (lane.empty && !lane.paused && !lane.working) return true;
    return false;
  }

  /** Calls `then` once all that came in for it has been handled, unless it is taken away before. */
  whenEmpty(tenure: Tenure, then: () => void): void {
    const lane = this.#lanes.get(tenure.id);
    if (lane === undefined) return;
    if (lane.empty && !lane.working) then();
    else lane.atEnd = then;
  }

  #offer(lane: Lane): void {
    if (lane.queued || !lane.ready) return;
    lane.queued = true;
    this.#turns.push(lane);
    this.#pump();
  }

  #pump(): void {
    for (let at = 0; at < this.#turns.length && this.#working.size < this.#settings.concurrency; ) {
      const lane = this.#turns[at] as Lane;
      // Its partition is still being worked on from before it came back; the next one may have its turn.
      if (lane.ready && this.#working.has(lane.tenure.key)) {
        at++;
        continue;
      }
      this.#turns.splice(at, 1);
      lane.queued = false;
      if (lane.ready) this.#start(lane);
    }
  }

  #start(lane: Lane): void {
    lane.working = true;
    this.#working.add(lane.tenure.key);
    this.#host.took(lane.tenure);
    // Never rejects: what a handler throws is dealt with inside.
    const working = this.#scope === undefined ? this.#work(lane) : this.#scope.run(() => this.#work(lane));
    void working.then(() => {
      if (lane.stuck) return;
      lane.working = false;
      this.#working.delete(lane.tenure.key);
      this.#host.idle(lane.tenure);
      const { atEnd } = lane;
      if (lane.empty && atEnd !== undefined) {
        lane.atEnd = undefined;
        atEnd();
      }
      this.#offer(lane);
      this.#pump();
      // Only now is it known whether anything is left for the handler that is free.
      this.#host.fill(lane.tenure, lane.bytes);
    });
  }

  async #work(lane: Lane): Promise<void> {
    for (let turn = 1; !lane.halted && !lane.paused; turn++) {
      const { bytes } = lane;
      const record = lane.next();
      if (record === undefined) break;
      if (lane.bytes !== bytes) this.#host.fill(lane.tenure, lane.bytes);
      if (record.term !== lane.term) {
        lane.term = record.term;
        this.#host.entered(lane.tenure, record.offset, record.term);
      }
      const handled = this.#handle(lane, record);
      if (!(handled === true || (await handled))) break;
      if (lane.stuck) return;
      this.#host.processed(lane.tenure, record.offset);
      if (turn % TURN_RECORDS !== 0) continue;
      if (this.#turns.length > 0) break;
      await new Promise<void>((resolve) => this.#ports.clock.soon(resolve));
    }
  }

  /** @returns whether the record is done with; when it is not, the partition was taken away or everything ends */
  #handle(lane: Lane, record: ConsumedRecord): true | Promise<boolean> {
    try {
      const result = this.#call(lane, record);
      if (!isPromise(result)) return true;
      return this.#inTime(lane, record, result).then(
        () => !lane.stuck,
        (error: unknown) => this.#again(lane, record, error),
      );
    } catch (error) {
      return this.#again(lane, record, error);
    }
  }

  #call(lane: Lane, record: ConsumedRecord): unknown {
    const { topic, topicId, partition, epoch } = lane.tenure;
    const token = { topic, topicId, partition, memberEpoch: epoch, offset: record.offset };
    return this.#settings.handler(record, { signal: lane.signal, token });
  }

  /** The handler threw; what follows does, until the record is done with. */
  async #again(lane: Lane, record: ConsumedRecord, thrown: unknown): Promise<boolean> {
    let error = thrown;
    for (let failures = 1; ; failures++) {
      // Whoever has the partition next begins with this record.
      if (lane.halted || lane.stuck) return false;
      const next = await this.#host.threw(record, error, failures);
      if (next === "done") return true;
      if (next === "stopped") return false;
      if (!lane.halted) await this.#pause(lane, backoffMs(failures, this.#ports.random));
      if (lane.halted) return false;
      try {
        const result = this.#call(lane, record);
        if (isPromise(result)) await this.#inTime(lane, record, result);
        return !lane.stuck;
      } catch (again) {
        error = again;
      }
    }
  }

  #inTime(lane: Lane, record: ConsumedRecord, result: PromiseLike<unknown>): Promise<unknown> {
    const { handlerTimeoutMs } = this.#settings;
    if (handlerTimeoutMs === undefined) return Promise.resolve(result);
    return new Promise((resolve, reject) => {
      const timer: Timer = this.#ports.clock.after(handlerTimeoutMs, () => {
        lane.stuck = true;
        this.#working.delete(lane.tenure.key);
        this.#host.gaveUp(lane.tenure, new HandlerTimedOut(lane.tenure.topic, lane.tenure.partition, record.offset, handlerTimeoutMs));
        this.#pump();
        resolve(undefined);
      });
      result.then(
        (value) => {
          timer.cancel();
          resolve(value);
        },
        (error: unknown) => {
          timer.cancel();
          reject(error);
        },
      );
    });
  }

  #pause(lane: Lane, ms: number): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        timer.cancel();
        this.#pauses.delete(lane);
        resolve();
      };
      const timer = this.#ports.clock.after(ms, end);
      this.#pauses.set(lane, end);
    });
  }
}

function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}
