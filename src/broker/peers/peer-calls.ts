import { MillraceError } from "../../base/errors.ts";
import type { BrokerId } from "../../base/ids.ts";
import type { Clock, Timer } from "../../base/ports/clock.ts";
import type { Connection } from "../../base/ports/transport.ts";
import type { Caller } from "../../base/until.ts";
import { CallCancel, CallReply, CallRequest } from "../../protocol/internal.ts";
import { errorOf, statusOf } from "../../protocol/rpc-status.ts";
import { BadPeerMessage } from "./raft-codec.ts";

/** Message kinds on connections that carry calls (bulk and join). */
export const CallKind = { request: 1, reply: 2, cancel: 3 } as const;

export interface IncomingCall extends Caller {
  readonly from: BrokerId;
  readonly method: string;
  readonly body: Uint8Array;
  /** Monotonic. */
  readonly deadline: number;
  readonly cancelled: boolean;
  /** Bytes of the connection it came by that the other side has not taken. */
  readonly unsentBytes: number;
  onCancel(run: () => void): () => void;
  /** Exactly once; later calls do nothing. */
  reply(body: readonly Uint8Array[]): void;
  fail(error: MillraceError): void;
}

export type CallDone = (outcome: { readonly body: Uint8Array } | { readonly error: MillraceError }) => void;

interface Pending {
  readonly done: CallDone;
  readonly timer: Timer;
  readonly request: Request;
}

/** A request that was queued on the connection. */
interface Request {
  readonly bytes: number;
  /** Where it ends in all that was queued. */
  readonly end: number;
  /** The other side's kernel has taken it. */
  sent: boolean;
  /** Nobody waits for its answer any more. */
  abandoned: boolean;
}

/** Longest wait for an answer: what its field on the wire holds (24.8 days). */
const TIMEOUT_MS_MAX = 2 ** 31 - 1;

/**
 * Calls over one connection, both ways: requests with an id, answered in any order. One object per connection; when the connection
 * closes, every open call of ours ends HOP_LOST (outcome unknown) and every call of theirs is cancelled.
 */
export class PeerCalls {
  readonly #connection: Connection;
  readonly #clock: Clock;
  readonly #peer: BrokerId;
  readonly #handle: (call: IncomingCall) => void;
  readonly #pending = new Map<number, Pending>();
  readonly #serving = new Map<number, () => void>();
  #nextId = 1;
  #closed = false;
  /** Bytes of all messages that were queued here. */
  #queued = 0;
  /** Those that may not have left, in their order. */
  #unsent: Request[] = [];
  #unsentBytes = 0;
  #abandonedBytes = 0;

  constructor(connection: Connection, clock: Clock, peer: BrokerId, handle: (call: IncomingCall) => void) {
    this.#connection = connection;
    this.#clock = clock;
    this.#peer = peer;
    this.#handle = handle;
  }

  get unsentBytes(): number {
    return this.#connection.unsentBytes;
  }

  /** Bytes of requests that the other side's kernel has not taken: they are kept until it has, or the connection ends. */
  get unsentRequestBytes(): number {
    this.#forgetSent();
    return this.#unsentBytes;
  }

  /** Of these, what was given up: it is in no other sum. */
  get abandonedBytes(): number {
    this.#forgetSent();
    return this.#abandonedBytes;
  }

  #forgetSent(): void {
    // Too little while pings and what stands around messages wait to be sent, which are not counted as queued.
    const sent = this.#queued - this.#connection.unsentBytes;
    let gone = 0;
    for (const request of this.#unsent) {
      if (request.end > sent) break;
      request.sent = true;
      this.#unsentBytes -= request.bytes;
      if (request.abandoned) this.#abandonedBytes -= request.bytes;
      gone++;
    }
    if (gone > 0) this.#unsent = this.#unsent.slice(gone);
  }

  /** An answer that nobody waits for: what is left of the request is what has not left yet. */
  #abandon(request: Request): void {
    this.#forgetSent();
    if (request.sent) return;
    request.abandoned = true;
    this.#abandonedBytes += request.bytes;
  }

  #send(kind: number, message: readonly Uint8Array[]): void {
    this.#queued += bytesOf(message);
    this.#connection.send(kind, message);
  }

  /** @returns cancels the call: `done` is not called any more, and the other side is told */
  call(method: string, body: readonly Uint8Array[], wantedMs: number, done: CallDone): () => void {
    const id = this.#nextId++;
    const timeoutMs = Math.min(TIMEOUT_MS_MAX, Math.max(0, Math.ceil(wantedMs)));
    // Before anything is kept for the call: what cannot be written leaves nothing behind.
    const message = withHead(CallRequest.encode({ callId: id, method, timeoutMs }), body);
    if (this.#closed) {
      done({ error: new MillraceError("LEADER_UNKNOWN", `Cannot reach broker ${this.#peer}: the connection is closed`) });
      return () => {};
    }
    const cancel = (): boolean => {
      const pending = this.#pending.get(id);
      if (pending === undefined) return false;
      pending.timer.cancel();
      this.#pending.delete(id);
      this.#abandon(pending.request);
      this.#send(CallKind.cancel, [CallCancel.encode({ callId: id })]);
      return true;
    };
    const timer = this.#clock.after(timeoutMs, () => {
      if (cancel())
        done({
          error: new MillraceError("REQUEST_TIMED_OUT", `Broker ${this.#peer} did not answer ${method} within ${timeoutMs} ms`),
        });
    });
    this.#forgetSent();
    const bytes = bytesOf(message);
    const request: Request = { bytes, end: this.#queued + bytes, sent: false, abandoned: false };
    this.#pending.set(id, { done, timer, request });
    this.#unsent.push(request);
    this.#unsentBytes += bytes;
    this.#send(CallKind.request, message);
    return () => void cancel();
  }

  /** Hand every message of the connection to this. @returns false when it is no message of a call */
  message(kind: number, body: Uint8Array): boolean {
    if (kind === CallKind.reply) {
      const { head, rest } = splitHead(body);
      this.#takeReply(CallReply.decode(head), rest);
    } else if (kind === CallKind.request) {
      const { head, rest } = splitHead(body);
      this.#serve(CallRequest.decode(head), rest);
    } else if (kind === CallKind.cancel) this.#serving.get(CallCancel.decode(body).callId)?.();
    else return false;
    return true;
  }

  closed(): void {
    this.#closed = true;
    this.#unsent = [];
    this.#unsentBytes = 0;
    this.#abandonedBytes = 0;
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const { done, timer } of pending) {
      timer.cancel();
      done({ error: new MillraceError("HOP_LOST", `The connection to broker ${this.#peer} was lost while it worked on the call`) });
    }
    for (const cancel of [...this.#serving.values()]) cancel();
    this.#serving.clear();
  }

  #takeReply(reply: CallReply, body: Uint8Array): void {
    const pending = this.#pending.get(reply.callId);
    if (pending === undefined) return; // cancelled or timed out meanwhile
    this.#pending.delete(reply.callId);
    pending.timer.cancel();
    if (reply.error !== undefined) pending.done({ error: errorOf(reply.error) ?? new MillraceError("INTERNAL", reply.error.message) });
    else pending.done({ body });
  }

  #serve({ callId, method, timeoutMs }: CallRequest, body: Uint8Array): void {
    const call = new ServedCall(this.#peer, method, body, this.#clock.monotonic() + timeoutMs, this.#connection, (error, reply) => {
      this.#serving.delete(callId);
      if (call.cancelled || this.#closed) return;
      const head = error === undefined ? CallReply.encode({ callId }) : CallReply.encode({ callId, error: statusOf(error) });
      this.#send(CallKind.reply, withHead(head, reply));
    });
    this.#serving.set(callId, () => {
      this.#serving.delete(callId);
      call.cancel();
    });
    this.#handle(call);
  }
}

/** A call of another broker that is being worked on: a class, because an object with accessors of its own for each call is slow to make. */
class ServedCall implements IncomingCall {
  readonly from: BrokerId;
  readonly method: string;
  readonly body: Uint8Array;
  readonly deadline: number;
  readonly #connection: Connection;
  readonly #answer: (error: MillraceError | undefined, reply: readonly Uint8Array[]) => void;
  readonly #cancels = new Set<() => void>();
  #cancelled = false;
  #answered = false;

  constructor(
    from: BrokerId,
    method: string,
    body: Uint8Array,
    deadline: number,
    connection: Connection,
    answer: (error: MillraceError | undefined, reply: readonly Uint8Array[]) => void,
  ) {
    this.from = from;
    this.method = method;
    this.body = body;
    this.deadline = deadline;
    this.#connection = connection;
    this.#answer = answer;
  }

  get cancelled(): boolean {
    return this.#cancelled;
  }

  get unsentBytes(): number {
    return this.#connection.unsentBytes;
  }

  cancel(): void {
    this.#cancelled = true;
    for (const run of [...this.#cancels]) run();
    this.#cancels.clear();
  }

  onCancel(run: () => void): () => void {
    if (this.#cancelled) run();
    else this.#cancels.add(run);
    return () => void this.#cancels.delete(run);
  }

  reply(parts: readonly Uint8Array[]): void {
    this.#end(undefined, parts);
  }

  fail(error: MillraceError): void {
    this.#end(error, []);
  }

  #end(error: MillraceError | undefined, reply: readonly Uint8Array[]): void {
    if (this.#answered) return;
    this.#answered = true;
    this.#answer(error, reply);
  }
}

function bytesOf(chunks: readonly Uint8Array[]): number {
  return chunks.reduce((sum, { byteLength }) => sum + byteLength, 0);
}

/** A call's message: u32 little-endian length of the protobuf head, the head, the body as it is (never copied into the head). */
function withHead(head: Uint8Array, body: readonly Uint8Array[]): Uint8Array[] {
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, head.byteLength, true);
  return [length, head, ...body];
}

/** @throws {BadPeerMessage} */
function splitHead(message: Uint8Array): { readonly head: Uint8Array; readonly rest: Uint8Array } {
  const length = message.byteLength < 4 ? -1 : new DataView(message.buffer, message.byteOffset, 4).getUint32(0, true);
  if (length < 0 || 4 + length > message.byteLength)
    throw new BadPeerMessage(`a call of ${message.byteLength} bytes with a head of ${length}`);
  return { head: message.subarray(4, 4 + length), rest: message.subarray(4 + length) };
}
