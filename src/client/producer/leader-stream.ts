import { MillraceError } from "../../base/errors.ts";
import { type ClientStream, RpcFailure } from "../../base/ports/rpc-client.ts";
import { LogService } from "../../protocol/methods.ts";
import { type ProduceResponse, ProduceStreamRequest, ProduceStreamResponse } from "../../protocol/public.ts";
import { errorOf, type Status } from "../../protocol/rpc-status.ts";
import type { Brokers } from "../brokers.ts";
import { asMillraceError } from "../errors.ts";
import type { Batch, BatchRequest } from "./batch.ts";

/** Batches of one turn share a message up to so many bytes (a broker receives 4 MiB). */
const MESSAGE_BYTES_TARGET = 512 * 1024;
/** What a batch takes in a message beyond its records: ids, numbers, the topic's name. */
const BATCH_OVERHEAD_BYTES = 320;

/** Who is told what became of a batch: its partition's queue. */
export interface BatchOwner {
  answered(batch: Batch, response: ProduceResponse): void;
  refused(batch: Batch, error: MillraceError): void;
  /** No answer will come. @param neverSent the batch certainly did not leave this process */
  lost(batch: Batch, error: MillraceError, neverSent: boolean): void;
}

interface Sent {
  readonly batch: Batch;
  readonly owner: BatchOwner;
  readonly bytes: number;
  readonly sentAt: number;
}

/**
 * One `ProduceStream` to one broker, shared by all partitions that go there. Life: opened when first needed, ends with its first
 * error; whoever needs it again opens another. Never more unanswered bytes than the broker gave credit for, but always at least
 * one batch, so that a batch larger than the credit still passes.
 */
export class LeaderStream {
  readonly address: string;
  readonly #brokers: Brokers;
  readonly #stream: ClientStream;
  /** Called with those who found it full, when there may be room again, and when it closed. */
  readonly #roomy: (waiting: readonly BatchOwner[]) => void;
  readonly #waiting = new Set<BatchOwner>();
  readonly #sent = new Map<number, Sent>();
  #nextCorrelation = 1;
  /** Until the broker names its credit, one batch at a time. */
  #creditBytes = 0;
  #unansweredBytes = 0;
  #writable = true;
  #closed = false;
  /** Why we cancelled it ourselves. */
  #gaveUp: MillraceError | undefined;

  #batches: { readonly correlationId: number; readonly request: BatchRequest }[] = [];
  #resume: { topic: string; partition: number }[] = [];
  #queuedBytes = 0;
  #firstQueued = 1;

  constructor(address: string, brokers: Brokers, roomy: (waiting: readonly BatchOwner[]) => void) {
    this.address = address;
    this.#brokers = brokers;
    this.#roomy = roomy;
    this.#stream = brokers.channel(address).openStream(LogService.ProduceStream.path, "bidi");
    this.#stream.handlers = {
      message: (bytes) => this.#received(bytes),
      drain: () => {
        this.#writable = true;
        this.#wake();
      },
      closed: (error) => this.#ended(error),
    };
  }

  get closed(): boolean {
    return this.#closed;
  }

  get unanswered(): number {
    return this.#sent.size;
  }

  /** Whether `send` may be called now; if not, see `whenRoomy`. */
  accepts(bytes: number): boolean {
    if (this.#closed || !this.#writable) return false;
    return this.#unansweredBytes === 0 || this.#unansweredBytes + bytes + BATCH_OVERHEAD_BYTES <= this.#creditBytes;
  }

  /** `owner` is named to `roomy` once, when it is worth trying again. */
  whenRoomy(owner: BatchOwner): void {
    this.#waiting.add(owner);
  }

  #wake(): void {
    if (this.#waiting.size === 0) return;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    this.#roomy(waiting);
  }

  /** Queues the batch; `flush` lets it leave. @param resume the partition goes on after a failure */
  send(owner: BatchOwner, batch: Batch, resume: boolean, now: number): void {
    const bytes = batch.bytes + BATCH_OVERHEAD_BYTES;
    if (this.#queuedBytes > 0 && this.#queuedBytes + bytes > MESSAGE_BYTES_TARGET) this.flush();
    const correlationId = this.#nextCorrelation++;
    this.#sent.set(correlationId, { batch, owner, bytes, sentAt: now });
    this.#unansweredBytes += bytes;
    this.#queuedBytes += bytes;
    if (resume) this.#resume.push({ topic: batch.topic, partition: batch.partition });
    this.#batches.push({ correlationId, request: batch.request() });
  }

  flush(): void {
    if (this.#queuedBytes === 0 || this.#closed) return;
    const message = ProduceStreamRequest.encode({ batches: this.#batches, resume: this.#resume });
    this.#batches = [];
    this.#resume = [];
    this.#queuedBytes = 0;
    this.#firstQueued = this.#nextCorrelation;
    if (!this.#stream.write(message)) this.#writable = false;
  }

  /** Gives the stream up when its oldest batch waits longer than `timeoutMs`. */
  checkTimeout(now: number, timeoutMs: number): void {
    const oldest = this.#sent.values().next().value;
    if (oldest === undefined || now - oldest.sentAt < timeoutMs) return;
    this.#giveUp(
      new MillraceError("REQUEST_TIMED_OUT", `${this.address} did not answer a batch for ${timeoutMs} ms`, { address: this.address }),
    );
  }

  #giveUp(why: MillraceError): void {
    this.#gaveUp = why;
    this.#stream.cancel();
    this.#ended(undefined);
  }

  /** Half-closes: nothing is sent any more. */
  close(): void {
    if (this.#closed) return;
    if (this.#sent.size === 0) this.#stream.end();
    else this.#stream.cancel();
    this.#ended(undefined);
  }

  #received(bytes: Uint8Array): void {
    if (this.#closed) return;
    let message: ProduceStreamResponse;
    try {
      message = ProduceStreamResponse.decode(bytes);
    } catch (error) {
      this.#giveUp(
        new MillraceError("CONNECTION_LOST", `${this.address} sent something unreadable: ${String(error)}`, { address: this.address }),
      );
      return;
    }
    if (message.creditBytes > 0) this.#creditBytes = message.creditBytes;
    this.#brokers.answered(this.address);
    for (const result of message.results) {
      const sent = this.#sent.get(result.correlationId);
      if (sent === undefined) continue;
      this.#sent.delete(result.correlationId);
      this.#unansweredBytes -= sent.bytes;
      if (result.response !== undefined) sent.owner.answered(sent.batch, result.response);
      else sent.owner.refused(sent.batch, refusalOf(result.error, this.address));
    }
    this.#wake();
  }

  #ended(error: MillraceError | RpcFailure | undefined): void {
    if (this.#closed) return;
    this.#closed = true;
    const why =
      this.#gaveUp ??
      (error === undefined
        ? new MillraceError("CONNECTION_LOST", `${this.address} ended the stream`, { address: this.address })
        : asMillraceError(error, this.address));
    if (this.#sent.size > 0 || error !== undefined) this.#brokers.failed(this.address);
    const neverConnected = error instanceof RpcFailure && error.neverSent;
    const sent = [...this.#sent];
    this.#sent.clear();
    for (const [correlationId, { batch, owner }] of sent) owner.lost(batch, why, neverConnected || correlationId >= this.#firstQueued);
    this.#wake();
  }
}

/** An error without our `ErrorInfo` counts as unknown (design §6). */
function refusalOf(status: Status | undefined, address: string): MillraceError {
  const error = status === undefined ? undefined : errorOf(status);
  return (
    error ?? new MillraceError("CONNECTION_LOST", `${address} gave an answer that is not ours: ${status?.message ?? "empty"}`, { address })
  );
}
