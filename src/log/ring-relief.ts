import type { Telemetry } from "../base/ports/telemetry.ts";
import type { Failure } from "./failure.ts";
import type { GroupLogImpl } from "./group-log.ts";
import type { HeldFrame } from "./model/held.ts";
import { FILES_KEPT, type Life, type Ring } from "./model/ring.ts";
import { ignoreStopped } from "./segment-writer.ts";
import type { Wal } from "./wal.ts";
import type { WalReader } from "./wal-reader.ts";

export interface ReliefPorts {
  readonly ring: Ring;
  /** Bytes of one file of the ring. */
  readonly fileBytes: number;
  readonly wal: Wal;
  readonly walReader: WalReader;
  readonly telemetry: Telemetry;
  readonly failure: Failure;
  logs(): readonly GroupLogImpl[];
}

/**
 * Frees files of the ring when half of it is needed: what is committed goes to segments at once, and what cannot be committed is
 * appended again at the end, so that the file it lies in is not needed any more (design §4).
 */
export class RingRelief {
  readonly #ports: ReliefPorts;
  #pressed = false;
  #running = false;
  #again = false;
  #closed = false;
  /** The life of which it was said that it is pinned. */
  #pinned: Life | undefined;

  constructor(ports: ReliefPorts) {
    this.#ports = ports;
  }

  /** Half of the ring is needed: what is committed goes to segments at once. */
  get pressed(): boolean {
    return this.#pressed;
  }

  close(): void {
    this.#closed = true;
  }

  /** Moves the groups that keep the older half of a ring of which half is needed. One such move at a time. */
  relieve(): void {
    const { ring, failure } = this.#ports;
    this.#pressed = ring.dirty * 2 >= ring.files;
    if (!this.#pressed || this.#closed || failure.error !== undefined) return;
    if (this.#running) {
      this.#again = true;
      return;
    }
    this.#running = true;
    this.#again = false;
    this.#freeOldest().then(
      () => {
        this.#running = false;
        if (this.#again) this.relieve();
      },
      (error: unknown) => failure.broken(error),
    );
  }

  async #freeOldest(): Promise<void> {
    const { ring, failure, fileBytes, telemetry } = this.#ports;
    const old = ring.lives.slice(0, Math.max(1, Math.floor(ring.dirty / 2)));
    const logs = this.#ports.logs().filter((log) => old.some((life) => log.owner.pins.range(life) !== undefined));
    await Promise.all(logs.map((log) => failure.guard(log.flush().catch(ignoreStopped))));
    // What is not committed cannot go to a segment: it is appended again when files run out.
    if (ring.spare > Math.max(FILES_KEPT.data, ring.files / 4)) return;
    const oldest = ring.lives[0];
    if (oldest === undefined || oldest === ring.current) return;
    const bytes = logs.reduce((sum, log) => sum + log.bytesIn(oldest), 0);
    if (bytes * 2 > fileBytes) {
      if (this.#pinned !== oldest) telemetry.log("warn", "log.ring_pinned", { bytes, files: ring.dirty });
      this.#pinned = oldest;
      return;
    }
    for (const log of logs) {
      const range = log.owner.pins.range(oldest);
      if (range !== undefined) await this.#appendAgain(log, { ...range }, oldest);
    }
  }

  /** Writes frames once more, so that the file they lie in is not needed any more. Resolves when that is durable. */
  async #appendAgain(log: GroupLogImpl, range: { readonly first: number; readonly last: number }, from: Life): Promise<void> {
    const { wal, walReader, failure } = this.#ports;
    const inLife = (): HeldFrame[] => [
      ...log.owner.cutIn(from),
      ...log.frames.between(range.first, range.last).filter((one) => one.block.life === from),
    ];
    const held = inLife();
    const read = await walReader.readMany(held);
    const moves = held.map((one, i) => {
      const frame = read[i] as NonNullable<HeldFrame["frame"]>;
      return new Promise<void>((durable) => wal.system({ kind: "again", held: one, frame, durable }));
    });
    await failure.guard(Promise.all(moves));
    if (log.unsynced || inLife().length > 0) return;
    // Nothing of this group is left there: the next block may say so.
    log.owner.pins.moved(from);
    await failure.guard(new Promise<void>((durable) => wal.system({ kind: "mark", durable })));
  }
}
