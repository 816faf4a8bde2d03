import { MillraceError } from "../../base/errors.ts";
import type { LogIndex, Offset, Term } from "../../base/ids.ts";
import type { Clock, Timer } from "../../base/ports/clock.ts";
import type { Inflate } from "../../base/ports/inflate.ts";
import type { GroupLog } from "../../log/types.ts";
import { Codec, type Frame, FrameType, nextOffsetOf, PayloadFormat } from "../../records/frame-types.ts";
import { records } from "../../records/log-record.ts";
import { cutRecordSet, INFLATED_FACTOR, RECORD_SET_BYTES_MAX } from "../../records/record-set.ts";
import { ReadTerms } from "./read-terms.ts";
import { logTruncated, outOfRange } from "./refusals.ts";

/** What a reader sees of a partition. */
export interface ReadablePartition {
  readonly name: string;
  readonly options: { readonly topic: string; readonly number: number };
  /** Offset after the last committed record. */
  readonly highWatermark: Offset;
  readonly logStartOffset: Offset;
  readonly replica: {
    readonly serves: boolean;
    readonly core: {
      readonly commit: LogIndex;
      readonly term: Term;
      termAt(index: LogIndex): Term | undefined;
      /** The first entry of the hole in which this one's term is only a guess. */
      unprovedAt(index: LogIndex): LogIndex | undefined;
    };
    readonly log: Pick<GroupLog, "readFrom" | "findTime" | "read"> & { readonly start: { readonly index: LogIndex } };
  };
  notLeader(): MillraceError;
}

/** A batch as a reader gets it: the stored bytes, cut at a record border when they are not compressed (design §8). */
export interface ReadBatch {
  readonly baseOffset: Offset;
  readonly recordCount: number;
  readonly codec: Codec;
  readonly payload: Uint8Array;
  /** Only for compressed batches: leave out so many records at the front. */
  readonly skipRecords: number;
  readonly appendTime: number;
  /** The append time is the time of all its records. */
  readonly appendTimed: boolean;
  readonly term: Term;
}

export interface ReadRequest {
  readonly offset: Offset;
  /** Of the record before `offset`, as the reader got it: only what goes on from there is read. Undefined: it got none. */
  readonly lastTerm: Term | undefined;
  readonly maxBytes: number;
  /** Answer once so many bytes are there, or at the deadline. */
  readonly minBytes: number;
  /** Monotonic; at or before now: answer at once. */
  readonly waitUntil: number;
  /** Codecs the reader can inflate. */
  readonly accept: ReadonlySet<Codec>;
}

export interface ReadReply {
  readonly batches: readonly ReadBatch[];
  readonly bytes: number;
  readonly highWatermark: Offset;
  readonly logStartOffset: Offset;
  readonly nextOffset: Offset;
  readonly term: Term;
}

export type ReadDone = (outcome: ReadReply | MillraceError) => void;

/** Tells whether this replica leads still, by a read index: `undefined` when it could not be confirmed. */
export type Confirm = (done: (index: LogIndex | undefined) => void) => void;

interface Waiting {
  readonly run: () => void;
  readonly timer: Timer;
}

/** Serves committed records of one partition, and keeps its long polls. Only the leader serves data in this version (design §6). */
export class PartitionReader {
  readonly #partition: ReadablePartition;
  readonly #clock: Clock;
  readonly #inflate: Inflate;
  readonly #confirm: Confirm;
  readonly #waiting = new Set<Waiting>();
  /** Of the records that readers have read, and go on behind. */
  readonly #terms: ReadTerms;
  #seen = -1;

  constructor(partition: ReadablePartition, clock: Clock, inflate: Inflate, confirm: Confirm) {
    this.#partition = partition;
    this.#clock = clock;
    this.#inflate = inflate;
    this.#confirm = confirm;
    this.#terms = new ReadTerms(partition);
  }

  /** `done` is called exactly once unless cancelled first. */
  read(request: ReadRequest, done: ReadDone): () => void {
    const state: { cancelled: boolean; waiting: Waiting | undefined } = { cancelled: false, waiting: undefined };
    // A read of many MiB that was given up must not go on: what it has read so far stays in memory until it ends.
    const stopped = (): boolean => state.cancelled;
    const finish = (outcome: ReadReply | MillraceError): void => {
      if (!state.cancelled) done(outcome);
    };
    const attempt = (): void => {
      if (state.cancelled) return;
      const outcome = this.#attempt(request, stopped);
      if (outcome instanceof Promise)
        outcome.then(
          (late) => settle(late),
          (error: unknown) => finish(asDataLoss(error, this.#partition.name)),
        );
      else settle(outcome);
    };
    const settle = (outcome: ReadReply | MillraceError): void => {
      if (state.cancelled) return;
      // Cut by a segment's end or the size asked for, with more behind it: waiting would bring nothing.
      const enough =
        outcome instanceof MillraceError ||
        outcome.bytes >= request.minBytes ||
        (outcome.bytes > 0 && outcome.nextOffset < outcome.highWatermark);
      const left = request.waitUntil - this.#clock.monotonic();
      if (enough || left <= 0) return finish(outcome);
      // Something committed while a cold read was under way: look again before sleeping.
      if (outcome.nextOffset < this.#partition.highWatermark && outcome.bytes === 0) return attempt();
      const waiting: Waiting = {
        run: () => {
          waiting.timer.cancel();
          this.#waiting.delete(waiting);
          attempt();
        },
        timer: this.#clock.after(left, () => {
          this.#waiting.delete(waiting);
          if (state.cancelled) return;
          const last = this.#attempt({ ...request, waitUntil: 0 }, stopped);
          if (last instanceof Promise) last.then(finish, (error: unknown) => finish(asDataLoss(error, this.#partition.name)));
          else finish(last);
        }),
      };
      state.waiting = waiting;
      this.#waiting.add(waiting);
    };
    attempt();
    return () => {
      state.cancelled = true;
      state.waiting?.timer.cancel();
      if (state.waiting !== undefined) this.#waiting.delete(state.waiting);
    };
  }

  /** Whether the log still has a place that somebody had read up to: the record before `offset` is of `term`, or was trimmed away. */
  async has(offset: Offset, term: Term): Promise<boolean> {
    return offset <= this.#partition.highWatermark && (await this.#terms.agrees(offset, term));
  }

  /** The high watermark or the role moved. */
  moved(): void {
    const mark = this.#partition.replica.serves ? this.#partition.highWatermark : -2;
    if (mark === this.#seen) return;
    this.#seen = mark;
    if (this.#waiting.size === 0) return;
    for (const waiting of [...this.#waiting]) waiting.run();
  }

  /**
   * First offset with a record time at or after `timeMs`, linearizable only behind a read index.
   *
   * @param stopped asked now and then: once it says yes the search ends soon, with nothing
   * @returns undefined when there is none
   */
  async findTime(timeMs: number, stopped = never): Promise<{ readonly offset: Offset; readonly timestamp: number } | undefined> {
    const { replica } = this.#partition;
    const upTo = replica.core.commit;
    for (let from = this.#partition.logStartOffset; ; ) {
      const frame = await replica.log.findTime(timeMs, upTo, from, stopped);
      if (frame === undefined || stopped()) return undefined;
      const first = Math.max(from, frame.baseOffset) as Offset;
      if (frame.appendTimed === true) return { offset: first, timestamp: frame.appendTime };
      let offset: number = frame.baseOffset;
      for (const record of records(await this.#plain(frame))) {
        const timestamp = record.timestampMs === 0 ? frame.appendTime : record.timestampMs;
        if (timestamp >= timeMs && offset >= first) return { offset: offset as Offset, timestamp };
        offset++;
      }
      // The one that made its batch look new enough was trimmed away: the search goes on behind it.
      if (first === frame.baseOffset) return { offset: frame.baseOffset, timestamp: frame.maxTimestamp };
      from = nextOffsetOf(frame);
    }
  }

  /** The record set of a batch, which was inflated under the same limit before it was taken. */
  async #plain(frame: Frame): Promise<Uint8Array> {
    if (frame.codec === Codec.none) return frame.payload;
    const inflated = await this.#inflate.gunzip(frame.payload, RECORD_SET_BYTES_MAX * INFLATED_FACTOR);
    if ("bytes" in inflated) return inflated.bytes;
    throw new MillraceError(
      "DATA_LOSS",
      `The batch at ${frame.baseOffset} of ${this.#partition.name} cannot be inflated: ${inflated.failed}`,
    );
  }

  #attempt(request: ReadRequest, stopped: () => boolean): ReadReply | MillraceError | Promise<ReadReply | MillraceError> {
    const partition = this.#partition;
    if (!partition.replica.serves) return partition.notLeader();
    const { offset } = request;
    const highWatermark = partition.highWatermark;
    if (offset < partition.logStartOffset) return outOfRange(partition, offset);
    if (offset > highWatermark) return this.#beyond(request, stopped);
    const agrees = request.lastTerm === undefined || this.#terms.agrees(offset, request.lastTerm, stopped);
    if (agrees !== true) return this.#compared(request, agrees, stopped);
    if (offset === highWatermark) return this.#reply(request, [], offset, partition.replica.core.term);
    return this.#collect(request, offset, stopped);
  }

  /**
   * A leader that was cut off does not know what its successor has committed, and the reader may have read it there: only one that
   * is confirmed says that there is no such offset.
   */
  async #beyond(request: ReadRequest, stopped: () => boolean): Promise<ReadReply | MillraceError> {
    const partition = this.#partition;
    if (!(await this.#confirmed())) return partition.notLeader();
    const { offset, lastTerm } = request;
    if (offset <= partition.highWatermark) return this.#attempt(request, stopped);
    return outOfRange(partition, offset, lastTerm === undefined ? undefined : await this.#terms.divergence(lastTerm));
  }

  /** As above for one that holds another record before the offset: the reader may have read the log of a later leader. */
  async #compared(request: ReadRequest, agrees: boolean | Promise<boolean>, stopped: () => boolean): Promise<ReadReply | MillraceError> {
    const partition = this.#partition;
    const { offset, lastTerm } = request;
    if (lastTerm === undefined || (await agrees)) return this.#attempt({ ...request, lastTerm: undefined }, stopped);
    if (!(await this.#confirmed())) return partition.notLeader();
    return logTruncated(partition, offset, lastTerm, await this.#terms.divergence(lastTerm));
  }

  async #confirmed(): Promise<boolean> {
    const index = await new Promise<LogIndex | undefined>((resolve) => this.#confirm(resolve));
    return index !== undefined && this.#partition.replica.serves;
  }

  #collect(request: ReadRequest, from: Offset, stopped: () => boolean): ReadReply | MillraceError | Promise<ReadReply | MillraceError> {
    const { log, core } = this.#partition.replica;
    // By the time the disk has answered this broker may follow another one, in a term it never led.
    const { term } = core;
    const result = log.readFrom(from, request.maxBytes, core.commit, stopped);
    const take = (read: Awaited<typeof result>): ReadReply | MillraceError => {
      if (read.kind === "below-start") {
        // Where the files begin is further back: who goes there is refused again.
        return outOfRange(this.#partition, from);
      }
      return this.#reply(request, read.frames, from, term);
    };
    return result instanceof Promise ? result.then(take) : take(result);
  }

  /** @param term in which this broker led when the read began */
  #reply(request: ReadRequest, frames: readonly Frame[], from: Offset, term: Term): ReadReply | MillraceError {
    const batches: ReadBatch[] = [];
    let nextOffset = from;
    let bytes = 0;
    for (const frame of frames) {
      if (frame.type !== FrameType.data || frame.format !== PayloadFormat.records || frame.recordCount === 0) continue;
      const end = nextOffsetOf(frame);
      if (end <= nextOffset) continue;
      if (bytes > 0 && bytes + frame.payload.byteLength > request.maxBytes) break;
      if (!request.accept.has(frame.codec)) {
        if (batches.length > 0) break; // what came before is readable; the next call meets this one first
        return new MillraceError(
          "COMPRESSION_UNSUPPORTED",
          `Cannot read offset ${nextOffset} of ${this.#partition.name}: the batch is compressed with a codec the reader does not accept`,
          {
            codec: String(frame.codec),
          },
        );
      }
      const skip = Math.max(0, nextOffset - frame.baseOffset);
      const plain = frame.codec === Codec.none;
      const payload = skip > 0 && plain ? cutRecordSet(frame.payload, skip) : frame.payload;
      batches.push({
        baseOffset: (frame.baseOffset + skip) as Offset,
        recordCount: frame.recordCount - skip,
        codec: frame.codec,
        payload,
        skipRecords: plain ? 0 : skip,
        appendTime: frame.appendTime,
        appendTimed: frame.appendTimed === true,
        term: frame.term,
      });
      bytes += payload.byteLength;
      this.#terms.learn(nextOffset, end, frame.term);
      nextOffset = end;
    }
    return {
      batches,
      bytes,
      highWatermark: this.#partition.highWatermark,
      logStartOffset: this.#partition.logStartOffset,
      nextOffset,
      term,
    };
  }
}

const never = (): boolean => false;

function asDataLoss(error: unknown, partition: string): MillraceError {
  if (error instanceof MillraceError) return error;
  return new MillraceError("DATA_LOSS", `Cannot read from ${partition}: ${error instanceof Error ? error.message : String(error)}`);
}
