import { MillraceError } from "../../../base/errors.ts";
import type { TopicId } from "../../../base/ids.ts";
import type { Clock } from "../../../base/ports/clock.ts";
import type { Until } from "../../../base/until.ts";
import { waitUntil, whileCalled } from "../../../base/until.ts";
import type { LogPlace, OffsetsOf, OffsetsOptions, Target } from "../../services/log-service.ts";

export interface PartitionEndsPorts {
  readonly clock: Clock;
  readonly resolve: (topic: string, partition: number, until: Until, topicId: string) => Target | Promise<Target>;
  /** From the leader, wherever it is. @returns gives it up */
  readonly offsets: (
    target: Target,
    timeMs: number | undefined,
    options: OffsetsOptions,
    done: (outcome: OffsetsOf | MillraceError) => void,
  ) => () => void;
  /** What this broker's own replica knows; undefined: it has none. */
  readonly here: (topicId: TopicId, partition: number) => KnownEnds | undefined;
}

/** Ends of a log. Of a replica that does not lead, the high watermark is what it has heard of. */
export type KnownEnds = Pick<OffsetsOf, "logStartOffset" | "highWatermark">;

/** What is asked besides: the first record with a time or a later one, how old records are, or whether a place is there (`OffsetsOptions`). */
export interface EndsQuestion {
  /** What the name must stand for. Default: anything. */
  readonly topicId?: TopicId;
  readonly timeMs?: number | undefined;
  readonly agesFrom?: number;
  readonly place?: LogPlace | undefined;
}

/** Questions to leaders that are under way at the same time, of all groups that this broker coordinates. */
const ASKED_MAX = 256;
/** No question has longer, whatever deadline its caller has: a leader that does not answer keeps a place that others wait for. */
const QUESTION_MS = 10_000;

/** Where the logs of partitions begin and end, as their leaders say. */
export class PartitionEnds {
  readonly #ports: PartitionEndsPorts;
  /** In the order in which they came. */
  readonly #waiting = new Set<() => void>();
  #asked = 0;

  constructor(ports: PartitionEndsPorts) {
    this.#ports = ports;
  }

  /** The high watermark is this or a later one; undefined: nothing is known here. Costs nothing. */
  here(topicId: TopicId, partition: number): KnownEnds | undefined {
    return this.#ports.here(topicId, partition);
  }

  /** As of no earlier than the call, within `QUESTION_MS` of its turn. @throws {MillraceError} */
  async of(topic: string, partition: number, { topicId, timeMs, agesFrom, place }: EndsQuestion, wanted: Until): Promise<OffsetsOf> {
    const { clock, resolve, offsets } = this.#ports;
    await this.#turn(wanted, () => late(topic, partition));
    const until = { ...wanted, deadline: Math.min(wanted.deadline, clock.monotonic() + QUESTION_MS) };
    try {
      const target = await resolve(topic, partition, until, topicId ?? "");
      return await whileCalled<OffsetsOf>(until.caller, (done) => {
        const timer = clock.after(Math.max(0, until.deadline - clock.monotonic()), () => {
          stop();
          done(late(topic, partition));
        });
        const asked = { ...(agesFrom === undefined ? {} : { agesFrom }), ...(place === undefined ? {} : { place }) };
        const options = { deadline: until.deadline, direct: false, ...asked };
        const stop = offsets(target, timeMs, options, (outcome) => {
          timer.cancel();
          done(outcome);
        });
        return () => {
          timer.cancel();
          stop();
        };
      });
    } finally {
      const [next] = this.#waiting;
      if (next === undefined) this.#asked -= 1;
      else {
        this.#waiting.delete(next);
        next();
      }
    }
  }

  /** The place passes to whoever waits longest without becoming free in between. */
  async #turn(until: Until, gone: () => MillraceError): Promise<void> {
    if (this.#asked < ASKED_MAX) {
      this.#asked += 1;
      return;
    }
    await waitUntil<undefined>(this.#ports.clock, until, gone, (done) => {
      const turn = (): void => done(undefined);
      this.#waiting.add(turn);
      return () => void this.#waiting.delete(turn);
    });
  }
}

function late(topic: string, partition: number): MillraceError {
  return new MillraceError("DEADLINE_PASSED", `The deadline passed before the offsets of ${topic}-${partition} were known`);
}
