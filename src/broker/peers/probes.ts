import type { Clock, Timer } from "../../base/ports/clock.ts";
import type { Connection } from "../../base/ports/transport.ts";
import { isBlockSequence } from "../../log/model/block-sequence.ts";

/** Message kinds of every kind of connection between brokers. */
export const ProbeKind = { ping: 250, pong: 251 } as const;
const PROBE_MS = 1_000;
/** A connection that brought something within this time, and took something of ours, needs no probe. */
const QUIET_MS = 3_000;
/** A connection that was silent for so long, probes included, is closed and dialed again. */
const SILENT_MS = 5_000;

interface Watched {
  /** When it last brought anything, monotonic. */
  heardAt: number;
  /** When the other side was last told anything by a probe, or by what tells as much. */
  saidAt: number;
  /** How far the other side was told this disk is; undefined: it is told elsewhere. */
  told: number | undefined;
}

/**
 * Finds half-open connections: the other side died without a word, or a cut ate its farewell. Probes carry the sender's durable block
 * sequence (a float64, little-endian): who hears it remembers it for that disk (`DiskMemories`). On control it is told within a second
 * of its change, by a probe if nothing else carries it.
 */
export class Probes {
  readonly #clock: Clock;
  readonly #blockSequence: () => number;
  readonly #watched = new Map<Connection, Watched>();
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

  /** @param tells it is the one on which the other side is told how far this disk is */
  watch(connection: Connection, tells = false): void {
    const now = this.#clock.monotonic();
    this.#watched.set(connection, { heardAt: now, saidAt: now, told: tells ? -1 : undefined });
  }
  forget(connection: Connection): void {
    this.#watched.delete(connection);
  }

  /** Any message is a sign of life; a probe is answered. @returns whether it was a probe */
  heard(connection: Connection, kind: number): boolean {
    const watched = this.#watched.get(connection);
    if (watched !== undefined) watched.heardAt = this.#clock.monotonic();
    if (kind === ProbeKind.ping) this.tell(connection);
    return kind === ProbeKind.ping || kind === ProbeKind.pong;
  }

  /** Tells how far this disk is, unasked. */
  tell(connection: Connection): void {
    connection.send(ProbeKind.pong, [this.#body()]);
    this.told(connection);
  }

  /** Something that leaves on this connection now says how far this disk is. */
  told(connection: Connection): void {
    const watched = this.#watched.get(connection);
    if (watched === undefined) return;
    watched.saidAt = this.#clock.monotonic();
    if (watched.told !== undefined) watched.told = this.#blockSequence();
  }

  #probe(): void {
    this.#timer = this.#clock.after(PROBE_MS, () => this.#probe());
    const now = this.#clock.monotonic();
    const body = this.#body();
    const sequence = this.#blockSequence();
    for (const [connection, { heardAt, saidAt, told }] of [...this.#watched]) {
      if (now - heardAt > SILENT_MS) {
        connection.close("silent for too long");
        continue;
      }
      // A hung peer reads nothing: probes must not pile up before it.
      if (connection.unsentBytes > 0) continue;
      // Where all goes one way (appends on *log*), who hears without a word of its own is silent for the other, which may have too much under
      // way to ask.
      const due = now - Math.min(heardAt, saidAt) >= QUIET_MS || (told !== undefined && told !== sequence);
      if (!due) continue;
      connection.send(ProbeKind.ping, [body]);
      this.told(connection);
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
