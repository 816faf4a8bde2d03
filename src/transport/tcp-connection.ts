import type { Socket } from "node:net";
import { invariant } from "../base/invariant.ts";
import {
  type Connection,
  type ConnectionHandlers,
  PEER_MESSAGE_BYTES_MAX,
  UNSENT_BYTES_HIGH,
  UNSENT_BYTES_LOW,
} from "../base/ports/transport.ts";
import { MessageDecoder } from "./message-decoder.ts";
import { MessageGatherer } from "./message-gatherer.ts";

/** A turn that gathers this much need not wait for its end. */
const FLUSH_BYTES = 256 * 1024;

const ignore: ConnectionHandlers = { message() {}, drain() {}, closed() {} };

/** A socket that speaks messages. It owns the socket: nobody else reads, writes or closes it. */
export class TcpConnection implements Connection {
  handlers: ConnectionHandlers = ignore;
  readonly remote: string;
  readonly #socket: Socket;
  readonly #decoder: MessageDecoder;
  readonly #gatherer = new MessageGatherer();
  #flushArmed = false;
  #wasHigh = false;
  #paused = false;
  #delivering = false;
  /** Why it ended, as soon as that is known; `closed` is called once, later. */
  #closed: string | undefined;

  /** @param decoder given: the caller feeds it and calls `deliver`; otherwise the socket's own chunks are decoded */
  constructor(socket: Socket, remote: string, decoder?: MessageDecoder) {
    this.remote = remote;
    this.#socket = socket;
    this.#decoder = decoder ?? new MessageDecoder();
    socket.setNoDelay(true);
    socket.setKeepAlive(true, 10_000);
    if (decoder === undefined) {
      socket.on("data", (chunk: Uint8Array) => {
        this.#decoder.push(chunk);
        this.deliver();
      });
    }
    socket.on("error", (error: NodeJS.ErrnoException) => this.#end(error.code ?? error.message));
    socket.on("end", () => this.#end("closed by the other side"));
    socket.on("close", () => {
      this.#end("closed by the other side");
      this.handlers.closed(this.#closed ?? "");
    });
  }

  get unsentBytes(): number {
    return this.#gatherer.bytes + (this.#closed === undefined ? this.#socket.writableLength : 0);
  }

  send(kind: number, chunks: readonly Uint8Array[]): void {
    if (this.#closed !== undefined) return;
    let length = 0;
    for (const chunk of chunks) length += chunk.length;
    invariant(length <= PEER_MESSAGE_BYTES_MAX, () => `a peer message holds at most ${PEER_MESSAGE_BYTES_MAX} bytes: got ${length}`);
    invariant(kind >= 0 && kind <= 255, () => `a message kind is 0 to 255: got ${kind}`);
    this.#gatherer.add(kind, chunks, length);
    if (this.#gatherer.bytes >= FLUSH_BYTES) this.#flush();
    else if (!this.#flushArmed) {
      this.#flushArmed = true;
      // After all that is ready in this turn has been handled: what several inputs cause leaves in one system call.
      setImmediate(this.#flushTurn);
    }
    if (this.unsentBytes > UNSENT_BYTES_HIGH) this.#wasHigh = true;
  }

  pause(): void {
    this.#paused = true;
    this.#socket.pause();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    // First what was received before the pause, but not from inside the caller.
    setImmediate(() => {
      this.deliver();
      if (!this.#paused && this.#closed === undefined) this.#socket.resume();
    });
  }

  close(reason: string): void {
    if (this.#closed !== undefined) return;
    // What was sent before reaches the kernel, so that a refusal can be told before hanging up.
    this.#flush();
    this.#end(reason);
  }

  readonly #flushTurn = (): void => {
    this.#flushArmed = false;
    this.#flush();
  };

  #flush(): void {
    if (this.#closed !== undefined || this.#gatherer.bytes === 0) return;
    const pieces = this.#gatherer.take();
    const last = pieces.length - 1;
    const socket = this.#socket;
    socket.cork();
    for (let i = 0; i < last; i++) socket.write(pieces[i] as Uint8Array);
    socket.write(pieces[last] as Uint8Array, this.#written);
    socket.uncork();
  }

  readonly #written = (): void => {
    if (!this.#wasHigh || this.#closed !== undefined || this.unsentBytes >= UNSENT_BYTES_LOW) return;
    this.#wasHigh = false;
    this.handlers.drain();
  };

  /** Hands out what the decoder has. */
  deliver(): void {
    // A handler may pause, resume or close: only the outermost call goes on.
    if (this.#delivering) return;
    this.#delivering = true;
    try {
      while (!this.#paused && this.#closed === undefined) {
        const body = this.#decoder.next();
        if (body === "more") return;
        if (body === "too-long") {
          this.#end(`the other side announced a message longer than ${PEER_MESSAGE_BYTES_MAX} bytes`);
          return;
        }
        this.handlers.message(this.#decoder.kind, body);
      }
    } finally {
      this.#delivering = false;
    }
  }

  #end(reason: string): void {
    if (this.#closed !== undefined) return;
    this.#closed = reason;
    this.#socket.destroy();
  }
}
