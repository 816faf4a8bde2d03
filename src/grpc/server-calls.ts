import type { ServerDuplexStream, ServerUnaryCall, ServerWritableStream, StatusObject, sendUnaryData } from "@grpc/grpc-js";
import { MillraceError } from "../base/errors.ts";
import type { Clock, Timer } from "../base/ports/clock.ts";
import type { StreamHandler, UnaryHandler } from "../base/ports/rpc-server.ts";
import type { Telemetry } from "../base/ports/telemetry.ts";
import { GrpcCallContext, type SurfaceCall } from "./call-context.ts";
import type { HeldRequest } from "./held-requests.ts";
import type { OpenStreams } from "./open-streams.ts";
import { GrpcServerStream } from "./server-stream.ts";
import { internalStatus, statusOfError } from "./status.ts";
import { UnsentByConnection } from "./unsent-bytes.ts";

type UnaryCall = ServerUnaryCall<Buffer, Uint8Array>;
type WritableCall = ServerWritableStream<Buffer, Uint8Array>;
type DuplexCall = ServerDuplexStream<Buffer, Uint8Array>;

/** `stream` is undefined when it was refused. */
interface OpenedStream {
  readonly stream: GrpcServerStream | undefined;
  readonly request: HeldRequest;
}

/** Puts our handlers behind grpc-js's, and counts the calls that are open. */
export class ServerCalls {
  readonly #clock: Clock;
  readonly #telemetry: Telemetry;
  readonly #streams: OpenStreams;
  readonly #answerTimeoutMs: number;
  #open = 0;
  readonly #unsent = new UnsentByConnection();
  readonly #whenIdle: (() => void)[] = [];

  /** @param answerTimeoutMs a caller who has not taken its whole answer by then gets no more of it */
  constructor(clock: Clock, telemetry: Telemetry, streams: OpenStreams, answerTimeoutMs: number) {
    this.#clock = clock;
    this.#telemetry = telemetry;
    this.#streams = streams;
    this.#answerTimeoutMs = answerTimeoutMs;
  }

  /** Calls whose stream still exists: handlers, timers and buffers of all others are gone. */
  get open(): number {
    return this.#open;
  }

  /** Bytes of answers that wait for their readers, over all calls. */
  get unsentBytes(): number {
    return this.#unsent.all.bytes;
  }

  /** Resolves when no call is open. */
  idle(): Promise<void> {
    return this.#open === 0 ? Promise.resolve() : new Promise((resolve) => this.#whenIdle.push(resolve));
  }

  unary(path: string, handle: UnaryHandler): (call: UnaryCall, callback: sendUnaryData<Uint8Array>) => void {
    return (call, callback) => {
      const { context, request } = this.#admit(call);
      request.delivered(call.request.length);
      const refuse = (error: unknown): void => {
        context.finish();
        callback(this.statusOf(path, error), null);
      };
      if (isLate(context, this.#clock)) {
        refuse(late(path));
        return;
      }
      let answer: Promise<Uint8Array>;
      try {
        answer = handle(call.request, context);
      } catch (error) {
        refuse(error);
        return;
      }
      request.keptUntil(answer);
      answer.then((reply) => {
        context.finish();
        context.unsent.add(reply.length);
        callback(null, reply);
      }, refuse);
    };
  }

  serverStream(path: string, handle: StreamHandler): (call: WritableCall) => void {
    return (call) => {
      const { stream, request } = this.#stream(path, call, handle);
      request.delivered(call.request.length);
      stream?.receiveOnly(call.request);
    };
  }

  bidi(path: string, handle: StreamHandler): (call: DuplexCall) => void {
    return (call) => {
      const { stream, request } = this.#stream(path, call, handle);
      stream?.receiveFrom(call, (bytes) => request.delivered(bytes));
    };
  }

  /** What the caller is told; a bug is told to the log only. */
  statusOf(path: string, error: unknown): StatusObject {
    if (error instanceof MillraceError) return statusOfError(error);
    this.#telemetry.log("error", "grpc.handler_failed", {
      path,
      error: error instanceof Error ? error.message : String(error),
      stack: error instanceof Error ? error.stack : undefined,
    });
    this.#telemetry.count("grpc.handler_failed");
    return internalStatus();
  }

  #stream(path: string, call: WritableCall | DuplexCall, handle: StreamHandler): OpenedStream {
    const { context, request } = this.#admit(call);
    const stream = new GrpcServerStream(call, context, (error) => this.statusOf(path, error));
    if (isLate(context, this.#clock)) {
      stream.end(late(path));
      return { stream: undefined, request };
    }
    stream.guarded(() => handle(stream));
    return { stream, request };
  }

  #admit(call: SurfaceCall & NodeJS.EventEmitter): { readonly context: GrpcCallContext; readonly request: HeldRequest } {
    const unsent = this.#unsent.open(call.getPeer());
    const context = new GrpcCallContext(call, this.#clock, unsent);
    const { reset, request } = this.#streams.of(call.metadata);
    let timer: Timer | undefined;
    context.onFinish = () => {
      timer = this.#clock.after(this.#answerTimeoutMs, reset);
    };
    this.#open++;
    // grpc-js emits it once for every call, also after a normal end: then the context is finished and tells nobody.
    call.once("cancelled", () => {
      this.#open--;
      unsent.close();
      timer?.cancel();
      if (this.#open === 0) for (const idle of this.#whenIdle.splice(0)) idle();
      try {
        context.cancel();
      } catch (error) {
        this.statusOf("cancel", error);
      }
    });
    return { context, request };
  }
}

function isLate(context: GrpcCallContext, clock: Clock): boolean {
  return context.deadline !== undefined && context.deadline <= clock.monotonic();
}

function late(path: string): MillraceError {
  return new MillraceError("DEADLINE_PASSED", `Cannot serve ${path}: its deadline had passed when it arrived`);
}
