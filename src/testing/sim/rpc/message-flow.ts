import type { RpcFrame } from "./frames.ts";

/** Bytes of one stream and direction that may be sent and unread. */
export const STREAM_WINDOW_BYTES = 256 * 1024;

export interface FlowHandlers {
  message(body: Uint8Array): void;
  ended(): void;
  drain(): void;
}

/** The messages of one stream in both directions, with the back-pressure of HTTP/2 flow control. */
export class MessageFlow {
  readonly #id: number;
  readonly #send: (frame: RpcFrame) => void;
  readonly #handlers: FlowHandlers;
  readonly #later: (run: () => void) => void;
  #credit = STREAM_WINDOW_BYTES;
  /** Sent and queued bytes the other side has not read, at most; the reader tells of what it took in quarters of the window. */
  unreadBytesMax = Number.MAX_SAFE_INTEGER;
  readonly #outbox: (Uint8Array | "end")[] = [];
  #told = false;
  readonly #inbox: (Uint8Array | "end")[] = [];
  #takenBytes = 0;
  #paused = false;
  #delivering = false;
  #stopped = false;

  constructor(id: number, send: (frame: RpcFrame) => void, handlers: FlowHandlers, later: (run: () => void) => void) {
    this.#id = id;
    this.#send = send;
    this.#handlers = handlers;
    this.#later = later;
  }

  get hasUnsent(): boolean {
    return this.#outbox.length > 0;
  }

  /** @returns false when the window is full */
  write(body: Uint8Array): boolean {
    this.#outbox.push(body);
    this.#flush();
    this.#told = this.#full;
    return !this.#told;
  }

  get #full(): boolean {
    if (this.#credit <= 0 || this.#outbox.length > 0) return true;
    return STREAM_WINDOW_BYTES - this.#credit >= Math.max(this.unreadBytesMax, STREAM_WINDOW_BYTES / 2);
  }

  end(): void {
    this.#outbox.push("end");
    this.#flush();
  }

  /** The other side read so much. */
  taken(bytes: number): void {
    this.#credit += bytes;
    this.#flush();
    if (!this.#told || this.#full) return;
    this.#told = false;
    this.#handlers.drain();
  }

  receive(body: Uint8Array | "end"): void {
    this.#inbox.push(body);
    this.#deliver();
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#later(() => this.#deliver());
  }

  /** Drops what is left. */
  stop(): void {
    this.#stopped = true;
    this.#outbox.length = 0;
    this.#inbox.length = 0;
  }

  #flush(): void {
    while (this.#credit > 0) {
      const next = this.#outbox.shift();
      if (next === undefined) return;
      if (next === "end") this.#send({ kind: "end", id: this.#id });
      else {
        this.#credit -= next.length;
        this.#send({ kind: "message", id: this.#id, body: next });
      }
    }
  }

  #deliver(): void {
    if (this.#delivering) return;
    this.#delivering = true;
    while (!this.#paused && !this.#stopped) {
      const next = this.#inbox.shift();
      if (next === undefined) break;
      if (next === "end") this.#handlers.ended();
      else {
        this.#takenBytes += next.length;
        this.#handlers.message(next);
      }
    }
    this.#delivering = false;
    if (this.#takenBytes < STREAM_WINDOW_BYTES / 4 || this.#stopped) return;
    this.#send({ kind: "taken", id: this.#id, bytes: this.#takenBytes });
    this.#takenBytes = 0;
  }
}
