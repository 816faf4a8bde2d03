/** `drain` follows once `unsentBytes` was above the high mark and fell below the low one. */
export const UNSENT_BYTES_HIGH = 1024 * 1024;
export const UNSENT_BYTES_LOW = 256 * 1024;

/** One message-framed, ordered connection between two brokers. Bytes after a break are lost; nothing is ever delivered twice by one connection. */
export interface Connection {
  /** Address of the other side, for messages only. */
  readonly remote: string;
  /**
   * Queues one message. `chunks` are sent one after the other as its body and must not change until `unsentBytes` fell below them.
   * All sends of one turn leave together. After `close` it does nothing.
   * @param kind 0–255, free for the user of the connection
   */
  send(kind: number, chunks: readonly Uint8Array[]): void;
  /** Bytes queued here that the other side's kernel has not taken. */
  readonly unsentBytes: number;
  /** Stops reading (back-pressure); `resume` goes on. */
  pause(): void;
  resume(): void;
  /** Closes now; `onClose` follows once. */
  close(reason: string): void;
  /** Handlers are set synchronously in the callback that handed the connection out. */
  handlers: ConnectionHandlers;
}

export interface ConnectionHandlers {
  /** `body` is one contiguous piece owned by the receiver: it may keep views of it. */
  message(kind: number, body: Uint8Array): void;
  /** `unsentBytes` fell below the low mark after having been above the high mark. */
  drain(): void;
  closed(reason: string): void;
}

export interface Transport {
  /** @param address "host:port" @throws {ListenError} */
  listen(address: string, accept: (connection: Connection) => void): Promise<Listener>;
  /** Rejects when nobody answers within `timeoutMs`. */
  dial(address: string, timeoutMs: number): Promise<Connection>;
}

export interface Listener {
  readonly address: string;
  close(): Promise<void>;
}

/** A message longer than this ends the connection (both sides). */
export const PEER_MESSAGE_BYTES_MAX = 16 * 1024 * 1024;
