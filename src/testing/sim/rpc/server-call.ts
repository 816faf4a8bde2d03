import { MillraceError } from "../../../base/errors.ts";
import type { Clock, Timer } from "../../../base/ports/clock.ts";
import { RpcFailure } from "../../../base/ports/rpc-client.ts";
import type { CallContext, RpcMethod, ServerStream, StreamHandlers } from "../../../base/ports/rpc-server.ts";
import type { Endpoint } from "../network/endpoint.ts";
import type { SimProcess } from "../process.ts";
import { type CallError, overTheWire, type RpcFrame } from "./frames.ts";
import { MessageFlow } from "./message-flow.ts";

const ignore: StreamHandlers = { message() {}, ended() {}, drain() {} };

/** The server's side of one call of any kind. */
export class ServerCall implements ServerStream, CallContext {
  handlers: StreamHandlers = ignore;
  readonly deadline: number | undefined;
  readonly peer: string;
  readonly principal = "anonymous";
  /** A simulated stream holds no more than its window; nothing is added up. */
  readonly unsentBytes = 0;
  readonly #path: string;
  readonly #id: number;
  readonly #method: RpcMethod;
  readonly #process: SimProcess;
  readonly #send: (frame: RpcFrame) => void;
  readonly #gone: () => void;
  readonly #flow: MessageFlow;
  readonly #timer: Timer | undefined;
  /** The one request of a unary or server-streaming call, until the caller has half-closed. */
  #request: Uint8Array = new Uint8Array(0);
  #state: "open" | "finishing" | "finished" | "cancelled" = "open";
  #status: CallError | undefined;
  readonly #onCancel = new Set<() => void>();

  constructor(
    frame: Extract<RpcFrame, { kind: "call" }>,
    method: RpcMethod,
    endpoint: Endpoint,
    clock: Clock,
    send: (frame: RpcFrame) => void,
    gone: () => void,
  ) {
    this.#path = frame.path;
    this.#id = frame.id;
    this.#method = method;
    this.#process = endpoint.process;
    this.#send = send;
    this.#gone = gone;
    this.peer = endpoint.remote;
    this.deadline = frame.timeoutMs === undefined ? undefined : clock.monotonic() + frame.timeoutMs;
    this.#timer = frame.timeoutMs === undefined ? undefined : clock.after(frame.timeoutMs, () => this.cancel());
    this.#flow = new MessageFlow(
      frame.id,
      send,
      {
        message: (body) => this.#guarded(() => this.handlers.message(body)),
        ended: () => this.#guarded(() => this.handlers.ended()),
        drain: () => this.#guarded(() => this.handlers.drain()),
      },
      (run) => this.#process.soon(`reads ${frame.path}`, run),
    );
  }

  /** A bidi handler runs at once, the others when their request is here. */
  start(): void {
    const method = this.#method;
    if (method.kind === "bidi") this.#guarded(() => method.handle(this));
  }

  frame(frame: RpcFrame): void {
    if (frame.kind === "cancel") this.cancel();
    else if (frame.kind === "taken") this.#taken(frame.bytes);
    else if (this.#method.kind === "bidi") {
      if (frame.kind === "message") this.#flow.receive(frame.body);
      else if (frame.kind === "end") this.#flow.receive("end");
    } else if (frame.kind === "message") {
      this.#request = frame.body;
      this.#send({ kind: "taken", id: this.#id, bytes: frame.body.length });
    } else if (frame.kind === "end") this.#run();
  }

  #run(): void {
    const method = this.#method;
    if (method.kind === "unary") {
      let answer: Promise<Uint8Array>;
      try {
        answer = method.handle(this.#request, this);
      } catch (error) {
        this.#finish(this.#errorOf(error));
        return;
      }
      answer.then(
        (reply) => {
          if (!this.#isOpen) return;
          this.#flow.write(reply);
          this.#finish(undefined);
        },
        (error: unknown) => this.#finish(this.#errorOf(error)),
      );
    } else if (method.kind === "server-stream") {
      this.#guarded(() => method.handle(this));
      this.#flow.receive(this.#request);
      this.#flow.receive("end");
    }
  }

  get call(): CallContext {
    return this;
  }

  get unsentBytesMax(): number {
    return this.#flow.unreadBytesMax;
  }
  set unsentBytesMax(bytes: number) {
    this.#flow.unreadBytesMax = bytes;
  }

  get cancelled(): boolean {
    return this.#state === "cancelled";
  }

  get #isOpen(): boolean {
    return this.#state === "open";
  }

  onCancel(run: () => void): () => void {
    if (this.#state === "cancelled") run();
    else if (this.#isOpen) this.#onCancel.add(run);
    return () => void this.#onCancel.delete(run);
  }

  /** The caller went away, or its deadline passed: nobody hears what is said from now on. */
  cancel(): void {
    if (this.#state === "cancelled" || this.#state === "finished") return;
    const wasOpen = this.#isOpen;
    this.#over("cancelled");
    const runs = [...this.#onCancel];
    this.#onCancel.clear();
    if (wasOpen) for (const run of runs) this.#reportThrow(run);
  }

  write(message: Uint8Array): boolean {
    return !this.#isOpen || this.#flow.write(message);
  }

  pause(): void {
    this.#flow.pause();
  }

  resume(): void {
    this.#flow.resume();
  }

  end(error?: MillraceError): void {
    this.#finish(error);
  }

  #taken(bytes: number): void {
    this.#flow.taken(bytes);
    if (this.#state === "finishing") this.#sendStatus();
  }

  /** The status follows the last message. */
  #finish(error: CallError | undefined): void {
    if (!this.#isOpen) return;
    this.#state = "finishing";
    this.#status = error;
    this.#onCancel.clear();
    this.#sendStatus();
  }

  #sendStatus(): void {
    if (this.#flow.hasUnsent) return;
    this.#send({ kind: "status", id: this.#id, error: this.#status === undefined ? undefined : overTheWire(this.#status) });
    this.#over("finished");
  }

  #over(state: "finished" | "cancelled"): void {
    this.#state = state;
    this.#timer?.cancel();
    this.#flow.stop();
    this.#gone();
  }

  #guarded(run: () => void): void {
    if (!this.#isOpen) return;
    try {
      run();
    } catch (error) {
      this.#finish(this.#errorOf(error));
    }
  }

  #reportThrow(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.#errorOf(error);
    }
  }

  /** What the caller is told. Anything but a `MillraceError` is a bug and ends the simulation. */
  #errorOf(error: unknown): CallError {
    if (error instanceof MillraceError) return error;
    const what = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#process.scheduler.fail(new Error(`${this.#process.name}: the handler of ${this.#path} threw: ${what}`));
    return new RpcFailure("INTERNAL", "Internal error; the broker's log has the details", false);
  }
}
