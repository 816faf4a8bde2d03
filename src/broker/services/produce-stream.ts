import { MillraceError } from "../../base/errors.ts";
import { limits } from "../../base/limits.ts";
import type { Clock } from "../../base/ports/clock.ts";
import type { ServerStream } from "../../base/ports/rpc-server.ts";
import { isTooLong, unknownTopic } from "../../cluster/named-topics.ts";
import type { MessageInput } from "../../protocol/codec/index.ts";
import {
  type ProduceBatch,
  type ProduceRequest,
  type ProduceResponse,
  ProduceStreamRequest,
  ProduceStreamResponse,
  type ResumePartition,
} from "../../protocol/public.ts";
import { statusOf } from "../../protocol/rpc-status.ts";
import type { AppendBatch } from "../partition/partition.ts";
import { type KeptMessage, KeptMessages } from "./kept-messages.ts";
import type { StreamRoom } from "./stream-room.ts";

type Result = MessageInput<typeof ProduceStreamResponse>["results"] extends readonly (infer R)[] | undefined ? R : never;
type Response = MessageInput<typeof ProduceResponse>;

/** What a stream needs of the broker. */
export interface ProduceStreamBackend {
  /** Checks at the edge; a promise only for compressed sets. @throws {MillraceError} refused */
  prepare(request: ProduceRequest): Prepared | Promise<Prepared>;
  /** Routes the batch to its leader. Batches of one partition handed over in order stay in order. `done` exactly once unless cancelled. */
  append(prepared: Prepared, done: (outcome: Response | MillraceError) => void): () => void;
  /** This broker leads the partition now: the batch is appended, or refused, before \`append\` returns. */
  leadsHere(prepared: Prepared): boolean;
}

export interface Prepared {
  readonly request: ProduceRequest;
  readonly batch: AppendBatch;
}

/** A batch with the message it came in, which is kept until it is answered. */
interface Taken {
  readonly batch: ProduceBatch;
  readonly message: KeptMessage;
}

/** One partition on one stream: a FIFO in which a batch that must be inflated first is not overtaken (design §4). */
interface Lane {
  readonly key: string;
  readonly waiting: Taken[];
  preparing: boolean;
  /** Batches that were taken and not answered. */
  unanswered: number;
  /** An earlier batch failed: everything is refused until the client resumes (design §6). */
  failed: boolean;
}

/** Results of one message: with the longest errors there are, it stays below what every stub takes. */
const RESULTS_MAX = 1_000;

/** Each is answered, with an error of some hundred bytes at the worst; what asks for it may be two bytes. */
const BATCHES_MAX = limits["produce.stream.batches.max"].value;

/** Partitions with something unanswered or failed on one stream. */
const LANES_MAX = limits["produce.stream.partitions.max"].value;

/**
 * The server's side of one `ProduceStream`. What the messages of unanswered batches keep is bounded by the credit: above it the stream is
 * not read, and HTTP/2 holds the sender. Results of one turn leave as one message, or as few.
 */
export class ProduceStreamSession {
  readonly #stream: ServerStream;
  readonly #backend: ProduceStreamBackend;
  readonly #clock: Clock;
  readonly #creditBytes: number;
  readonly #all: StreamRoom;
  readonly #lanes = new Map<string, Lane>();
  /** Partitions refused for want of a lane, until they are resumed: what was sent behind must not overtake. */
  readonly #turnedAway = new Set<string>();
  readonly #cancels = new Set<() => void>();
  #results: Result[] = [];
  #flushing = false;
  readonly #kept: KeptMessages;
  #unanswered = 0;
  #paused = false;
  #ended = false;
  #over = false;
  /** The stream takes more answers; else nothing is read until it drains. */
  #room = true;
  /** New batches are refused with it, and the stream ends with it once all are answered. */
  #draining: MillraceError | undefined;
  /** The caller broke the rules of the stream: what it sends after that is not read. */
  #broken = false;
  #gone: () => void = () => {};

  /** @param all what all produce streams keep */
  constructor(stream: ServerStream, backend: ProduceStreamBackend, clock: Clock, creditBytes: number, all: StreamRoom) {
    this.#stream = stream;
    this.#backend = backend;
    this.#clock = clock;
    this.#creditBytes = creditBytes;
    this.#all = all;
    this.#kept = new KeptMessages(all);
  }

  /** Begins; it may be over before this returns. @param gone called once, when the stream is over for whatever reason */
  start(gone: () => void): void {
    this.#gone = gone;
    this.#stream.handlers = {
      message: (bytes) => this.#message(bytes),
      ended: () => {
        this.#ended = true;
        this.#maybeEnd();
      },
      drain: () => {
        this.#room = true;
        this.#flush();
      },
    };
    this.#all.join(this.#balance);
    this.#stream.call.onCancel(() => this.#stop());
    // Cancelled before this, it is over already.
    if (this.#over) return;
    this.#balance();
    this.#stream.write(ProduceStreamResponse.encode({ creditBytes: this.#creditBytes }));
  }

  /** Ends the stream; pending batches stay appended, their outcome is unknown to this caller. */
  close(error: MillraceError): void {
    if (this.#over) return;
    this.#stop();
    this.#stream.end(error);
  }

  /** Refuses new batches, answers those it took, then ends with `error`: what it says of them must be true. */
  drain(error: MillraceError): void {
    if (this.#over) return;
    this.#draining ??= error;
    this.#maybeEnd();
  }

  /** The same, and nothing more is read. */
  #break(error: MillraceError): void {
    this.#broken = true;
    this.#balance();
    this.drain(error);
  }

  #message(bytes: Uint8Array): void {
    if (this.#over || this.#broken) return;
    let request: ProduceStreamRequest;
    try {
      request = ProduceStreamRequest.decode(bytes);
      requireFewBatches(request);
    } catch (error) {
      return this.#break(asMillraceError(error));
    }
    const message = this.#kept.keep(bytes.length, request.batches.length);
    for (const resume of request.resume) this.#resume(resume);
    for (const batch of request.batches) this.#take({ batch, message });
    this.#balance();
  }

  #resume({ topic, partition }: ResumePartition): void {
    const key = laneKey(topic, partition);
    this.#turnedAway.delete(key);
    const lane = this.#lanes.get(key);
    if (lane === undefined) return;
    lane.failed = false;
    this.#forgetIdle(lane);
  }

  #take(taken: Taken): void {
    if (this.#over) return;
    const { batch } = taken;
    const { request } = batch;
    this.#unanswered++;
    if (request === undefined) {
      this.#draining ??= new MillraceError("INVALID_REQUEST", `Batch ${batch.correlationId} has no request`, { field: "batches.request" });
      return this.#answer(taken, this.#draining);
    }
    if (this.#draining !== undefined) return this.#answer(taken, this.#draining);
    // Nothing is ever appended there, so there is no order to keep; a lane that failed would keep megabytes of name.
    if (isTooLong(request.topic)) return this.#answer(taken, unknownTopic(request.topic));
    const key = laneKey(request.topic, request.partition);
    let lane = this.#lanes.get(key);
    if (lane === undefined) {
      if (this.#turnedAway.has(key)) return this.#answer(taken, precedingFailed(request));
      if (this.#lanes.size >= LANES_MAX) return this.#answer(taken, this.#turnAway(key));
      lane = { key, waiting: [], preparing: false, unanswered: 0, failed: false };
      this.#lanes.set(key, lane);
    }
    lane.waiting.push(taken);
    lane.unanswered++;
    this.#pump(lane);
  }

  /** As many refusals as lanes are remembered, each until its partition is resumed; a caller who resumes none must begin anew. */
  #turnAway(key: string): MillraceError {
    const limit = { limit: "produce.stream.partitions.max" };
    const refusal = new MillraceError("TOO_MANY_REQUESTS", `A stream may use ${LANES_MAX} partitions at a time`, limit, 100);
    if (this.#turnedAway.size < LANES_MAX) this.#turnedAway.add(key);
    else this.#draining = refusal;
    return refusal;
  }

  /** A lane that remembers nothing need not be kept. */
  #forgetIdle(lane: Lane): void {
    if (lane.unanswered === 0 && !lane.preparing && !lane.failed) this.#lanes.delete(lane.key);
  }

  #pump(lane: Lane): void {
    while (!lane.preparing && !this.#over) {
      const taken = lane.waiting.shift();
      const request = taken?.batch.request;
      if (taken === undefined || request === undefined) return;
      if (lane.failed) {
        this.#answerOf(lane, taken, precedingFailed(request));
        continue;
      }
      let prepared: Prepared | Promise<Prepared>;
      try {
        prepared = this.#backend.prepare(request);
      } catch (error) {
        this.#fail(lane, taken, asMillraceError(error));
        continue;
      }
      if (!(prepared instanceof Promise)) {
        this.#append(lane, taken, prepared);
        continue;
      }
      lane.preparing = true;
      taken.message.inflating++;
      const settled = (go: () => void): void => {
        lane.preparing = false;
        this.#kept.inflated(taken.message);
        go();
        this.#pump(lane);
      };
      prepared.then(
        (ready) => settled(() => this.#append(lane, taken, ready)),
        (error: unknown) => settled(() => this.#fail(lane, taken, asMillraceError(error))),
      );
    }
  }

  #append(lane: Lane, taken: Taken, prepared: Prepared): void {
    if (this.#over) return;
    // Without a producer id nothing but its place in the queue keeps a batch in order: behind a hop the next one waits for the answer,
    // or a refused batch would be sent again behind those that followed it.
    const alone = prepared.request.producerId === undefined && !this.#backend.leadsHere(prepared);
    let answered = false;
    let cancel: (() => void) | undefined;
    // The answer may come before `append` returns (a retried batch whose level is met).
    const stop = this.#backend.append(prepared, (outcome) => {
      answered = true;
      if (cancel !== undefined) this.#cancels.delete(cancel);
      if (outcome instanceof MillraceError) this.#fail(lane, taken, outcome);
      else this.#answerOf(lane, taken, outcome);
      if (!alone || !lane.preparing) return;
      lane.preparing = false;
      this.#pump(lane);
      this.#forgetIdle(lane);
    });
    if (answered) return;
    if (alone) lane.preparing = true;
    cancel = stop;
    this.#cancels.add(stop);
  }

  #fail(lane: Lane, taken: Taken, error: MillraceError): void {
    lane.failed = true;
    this.#answerOf(lane, taken, error);
  }

  #answerOf(lane: Lane, taken: Taken, outcome: Response | MillraceError): void {
    this.#answer(taken, outcome);
    lane.unanswered--;
    this.#forgetIdle(lane);
  }

  #answer({ batch: { correlationId }, message }: Taken, outcome: Response | MillraceError): void {
    if (this.#over) return;
    this.#results.push(
      outcome instanceof MillraceError ? { correlationId, error: statusOf(outcome) } : { correlationId, response: outcome },
    );
    this.#unanswered--;
    this.#kept.answered(message);
    if (this.#flushing) return;
    this.#flushing = true;
    this.#clock.soon(() => this.#flush());
  }

  #flush(): void {
    this.#flushing = false;
    while (this.#results.length > 0 && this.#room && !this.#over) {
      const results = this.#results.length <= RESULTS_MAX ? this.#results : this.#results.slice(0, RESULTS_MAX);
      this.#results = results === this.#results ? [] : this.#results.slice(RESULTS_MAX);
      this.#room = this.#stream.write(ProduceStreamResponse.encode({ results }));
    }
    if (this.#over) return;
    this.#balance();
    this.#maybeEnd();
  }

  readonly #balance = (): void => {
    if (this.#over) return;
    const unread = !this.#room || this.#results.length >= RESULTS_MAX;
    const full = this.#kept.bytes >= this.#creditBytes || unread || this.#all.isFull || this.#broken;
    if (full === this.#paused) return;
    this.#paused = full;
    if (full) this.#stream.pause();
    else this.#stream.resume();
  };

  #maybeEnd(): void {
    const done = this.#ended || this.#draining !== undefined;
    if (!done || this.#over || this.#unanswered > 0 || this.#results.length > 0) return;
    this.#over = true;
    this.#all.leave(this.#balance);
    this.#stream.end(this.#draining);
    this.#gone();
  }

  #stop(): void {
    if (this.#over) return;
    this.#over = true;
    this.#all.leave(this.#balance);
    this.#kept.giveUp();
    this.#gone();
    for (const cancel of [...this.#cancels]) cancel();
    this.#cancels.clear();
    this.#lanes.clear();
    this.#turnedAway.clear();
    this.#results = [];
  }
}

/** @throws {MillraceError} INVALID_REQUEST */
function requireFewBatches({ batches }: ProduceStreamRequest): void {
  if (batches.length <= BATCHES_MAX) return;
  const text = `Cannot take ${batches.length} batches in one message: produce.stream.batches.max is ${BATCHES_MAX}`;
  throw new MillraceError("INVALID_REQUEST", text, { field: "batches", limit: "produce.stream.batches.max" });
}

function precedingFailed({ topic, partition }: ProduceRequest): MillraceError {
  return new MillraceError(
    "PRECEDING_FAILED",
    `An earlier batch of ${topic}-${partition} failed on this stream: resume the partition first`,
  );
}

function laneKey(topic: string, partition: number): string {
  return `${partition} ${topic}`;
}

/** Decoders and preparers throw typed errors; anything else is a bug and goes up. */
function asMillraceError(error: unknown): MillraceError {
  if (error instanceof MillraceError) return error;
  throw error;
}
