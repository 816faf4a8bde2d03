import type { GroupId } from "../../base/ids.ts";
import { type Connection, UNSENT_BYTES_HIGH } from "../../base/ports/transport.ts";

/** Bytes of appends that may wait for one broker. What comes on top is dropped: Raft finds out and sends it again (scenario 37). */
export const LOG_WAITING_MAX = 32 * 1024 * 1024;

interface Waiting {
  readonly chunks: readonly Uint8Array[];
  readonly bytes: number;
}

/**
 * Appends on their way to one broker. While no more than the high mark is unsent (design §5: 1 MiB) they leave at once; else they wait, in order within a group,
 * and groups take turns, so that one with much to send does not keep the others from being acknowledged.
 */
export class AppendQueue {
  readonly #connection: Pick<Connection, "send" | "unsentBytes">;
  readonly #kind: number;
  /** By group, in the order of their turns. */
  readonly #waiting = new Map<GroupId, Waiting[]>();
  #waitingBytes = 0;

  /** @param kind of the messages on the connection */
  constructor(connection: Pick<Connection, "send" | "unsentBytes">, kind: number) {
    this.#connection = connection;
    this.#kind = kind;
  }

  /** Bytes that have not been given to the connection yet. */
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  /** @returns whether it was taken */
  send(group: GroupId, chunks: readonly Uint8Array[]): boolean {
    if (this.#waiting.size === 0 && this.#connection.unsentBytes <= UNSENT_BYTES_HIGH) {
      this.#connection.send(this.#kind, chunks);
      return true;
    }
    const bytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    if (this.#waitingBytes + bytes > LOG_WAITING_MAX) return false;
    this.#waitingBytes += bytes;
    const behind = this.#waiting.get(group);
    if (behind === undefined) this.#waiting.set(group, [{ chunks, bytes }]);
    else behind.push({ chunks, bytes });
    return true;
  }

  /** The connection has room again: one append of each group, then the next of each, until it is full. */
  drained(): void {
    while (this.#waiting.size > 0) {
      for (const [group, behind] of [...this.#waiting]) {
        if (this.#connection.unsentBytes > UNSENT_BYTES_HIGH) return;
        const next = behind.shift() as Waiting;
        // To the end of the line, whether it has more or not yet.
        this.#waiting.delete(group);
        if (behind.length > 0) this.#waiting.set(group, behind);
        this.#waitingBytes -= next.bytes;
        this.#connection.send(this.#kind, next.chunks);
      }
    }
  }
}
