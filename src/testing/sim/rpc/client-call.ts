import { type ClientStream, type ClientStreamHandlers, RpcFailure } from "../../../base/ports/rpc-client.ts";
import type { SimProcess } from "../process.ts";
import type { SimEvent } from "../scheduler.ts";
import type { CallError, RpcFrame } from "./frames.ts";
import { MessageFlow } from "./message-flow.ts";

const ignore: ClientStreamHandlers = { message() {}, drain() {}, closed() {} };

/** The client's side of one call of any kind. `closed` comes once, after the messages that arrived before the status. */
export class ClientCall implements ClientStream {
  handlers: ClientStreamHandlers = ignore;
  readonly #id: number;
  readonly #send: (frame: RpcFrame) => void;
  readonly #gone: () => void;
  readonly #flow: MessageFlow;
  readonly #timer: SimEvent | undefined;
  readonly #process: SimProcess;
  #ended = false;
  #closed = false;
  /** Why it will end, once what arrived before has been read. */
  #status: CallError | undefined;
  /** Nothing can be sent any more. */
  #deaf = false;

  constructor(
    process: SimProcess,
    id: number,
    path: string,
    timeoutMs: number | undefined,
    send: (frame: RpcFrame) => void,
    gone: () => void,
  ) {
    this.#process = process;
    this.#id = id;
    this.#send = (frame) => {
      if (!this.#deaf) send(frame);
    };
    this.#gone = gone;
    this.#flow = new MessageFlow(
      id,
      this.#send,
      {
        message: (body) => this.handlers.message(body),
        // The server's last frame is its status; it is kept in the inbox behind the messages.
        ended: () => this.over(this.#status),
        drain: () => this.handlers.drain(),
      },
      (run) => process.soon(`reads ${path}`, run),
    );
    if (timeoutMs === undefined) return;
    this.#timer = process.after(Math.max(0, timeoutMs), `deadline of ${path}`, () => {
      this.#abandon(new RpcFailure("DEADLINE_EXCEEDED", `Deadline of ${path} exceeded after ${timeoutMs} ms`, false));
    });
  }

  frame(frame: RpcFrame): void {
    if (this.#closed || this.#deaf) return;
    if (frame.kind === "message") this.#flow.receive(frame.body);
    else if (frame.kind === "taken") this.#flow.taken(frame.bytes);
    else if (frame.kind === "status") {
      this.lost(frame.error);
    }
  }

  write(message: Uint8Array): boolean {
    return this.#closed || this.#deaf || this.#ended || this.#flow.write(message);
  }

  end(): void {
    if (this.#closed || this.#deaf || this.#ended) return;
    this.#ended = true;
    this.#flow.end();
  }

  pause(): void {
    this.#flow.pause();
  }

  resume(): void {
    this.#flow.resume();
  }

  cancel(): void {
    this.#abandon(new RpcFailure("CANCELLED", "The call was cancelled", false));
  }

  /** The status came, or the connection is gone: nothing more comes, what came is still read. */
  lost(error: CallError | undefined): void {
    if (this.#deaf || this.#closed) return;
    this.#status = error;
    this.#deaf = true;
    this.#flow.receive("end");
  }

  over(error: CallError | undefined): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#timer?.cancel();
    this.#flow.stop();
    this.#gone();
    this.handlers.closed(error);
  }

  #abandon(error: RpcFailure): void {
    if (this.#closed) return;
    this.#send({ kind: "cancel", id: this.#id });
    this.#deaf = true;
    this.#flow.stop();
    this.#process.soon("call abandoned", () => this.over(error));
  }
}
