import type { Clock, Timer } from "../../base/ports/clock.ts";
import type { Connection } from "../../base/ports/transport.ts";
import { isBlockSequence } from "../../log/model/block-sequence.ts";

/** Message kinds of every kind of connection between brokers. */
export const ProbeKind = { ping: 250, pong: 251 } as const;
const PROBE_MS = 1_000;
/** A connection that was silent for so long, probes included, is closed and dialed again. */
const SILENT_MS = 5_000;

/**
 * Finds half-open connections: the other side died without a word, or a cut ate its farewell. Probes carry the sender's durable block
 * sequence (a float64, little-endian): who hears it remembers it for that disk (`DiskMemories`).
 */
export class Probes {
  readonly #clock: Clock;
  readonly #blockSequence: () => number;
  /** When each connection last brought anything, monotonic. */
  readonly #heardAt = new Map<Connection, number>();
  #timer: Timer | undefined;

  /** @param blockSequence of this broker's disk */
  constructor(clock: Clock, blockSequence: () => number) {
    this.#clock = clock;
    this.#blockSequence = blockSequence;
  }

  start(): void {
    this.#timer ??= this.#clock.after(PROBE_MS, () => this.#probe());
  }
  close(): void {
    this.#timer?.cancel();
  }

  watch(connection: Connection): void {
    this.#heardAt.set(connection, this.#clock.monotonic());
  }
  forget(connection: Connection): void {
    this.#heardAt.delete(connection);
  }

  /** Any message is a sign of life; a probe is answered. @returns whether it was a probe */
  heard(connection: Connection, kind: number): boolean {
    this.watch(connection);
    if (kind === ProbeKind.ping) this.tell(connection);
    return kind === ProbeKind.ping || kind === ProbeKind.pong;
  }

  /** Tells how far this disk is, unasked. */
  tell(connection: Connection): void {
    connection.send(ProbeKind.pong, [this.#body()]);
  }

  #probe(): void {
    this.#timer = this.#clock.after(PROBE_MS, () => this.#probe());
    const now = this.#clock.monotonic();
    const body = this.#body();
    for (const [connection, heardAt] of [...this.#heardAt]) {
      if (now - heardAt > SILENT_MS) connection.close("silent for too long");
      // A hung peer reads nothing: probes must not pile up before it.
      else if (connection.unsentBytes === 0) connection.send(ProbeKind.ping, [body]);
    }
  }

  #body(): Uint8Array {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setFloat64(0, this.#blockSequence(), true);
    return bytes;
  }
}

/** The block sequence in a probe; undefined: it carries none, or nothing that could be one. */
export function sequenceIn(body: Uint8Array): number | undefined {
  if (body.byteLength !== 8) return undefined;
  const sequence = new DataView(body.buffer, body.byteOffset, 8).getFloat64(0, true);
  return isBlockSequence(sequence) ? sequence : undefined;
}
