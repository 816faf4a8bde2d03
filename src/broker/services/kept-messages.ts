import type { StreamRoom } from "./stream-room.ts";

/** What a batch keeps beyond its bytes until it is answered: its names, its draft, its place in queues. */
const BATCH_BYTES = 256;

/** A message of a produce stream. Its batches are views of it, so all of it is kept until the last of them is done with. */
export interface KeptMessage {
  readonly bytes: number;
  /** Batches that are not answered. */
  unanswered: number;
  /** Batches that are being inflated or wait for it, which nobody can stop. */
  inflating: number;
}

/** The messages that one produce stream keeps. They count in its credit, and in the room of all streams. */
export class KeptMessages {
  readonly #all: StreamRoom;
  readonly #kept = new Set<KeptMessage>();
  #bytes = 0;

  constructor(all: StreamRoom) {
    this.#all = all;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** @param batches in the message, none of which is answered */
  keep(bytes: number, batches: number): KeptMessage {
    const message: KeptMessage = { bytes: bytes + batches * BATCH_BYTES, unanswered: batches, inflating: 0 };
    if (batches === 0) return message;
    this.#kept.add(message);
    this.#bytes += message.bytes;
    this.#all.take(message.bytes);
    return message;
  }

  answered(message: KeptMessage): void {
    message.unanswered--;
    this.#maybeForget(message);
  }

  inflated(message: KeptMessage): void {
    message.inflating--;
    this.#maybeForget(message);
  }

  /** The stream is over: its batches are answered no more. */
  giveUp(): void {
    for (const message of [...this.#kept]) {
      message.unanswered = 0;
      this.#maybeForget(message);
    }
  }

  #maybeForget(message: KeptMessage): void {
    if (message.unanswered > 0 || message.inflating > 0 || !this.#kept.delete(message)) return;
    this.#bytes -= message.bytes;
    this.#all.release(message.bytes);
  }
}
