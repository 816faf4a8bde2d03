import type { Clock, Timer } from "../base/ports/clock.ts";
import { type Disk, DiskError } from "../base/ports/disk.ts";
import type { Telemetry } from "../base/ports/telemetry.ts";

/** How often the free space is looked at. What is written in between counts as gone. */
const LOOK_MS = 1_000;
/** A write that found no room is tried again after this, and twice as long each time up to the most. */
const RETRY_MS_MIN = 100;
const RETRY_MS_MAX = 2_000;
/** Room is back when so much more than the reserve is free, in parts of the reserve: not at the first byte, which the next write takes. */
const BACK_PARTS = 8;

/** What others see of it. */
export interface SpaceView {
  /** Below the reserve, or a write found no room: nothing more may be accepted that takes space. */
  readonly full: boolean;
  /** As far as it is known, undefined when the file system does not say. */
  readonly freeBytes: number | undefined;
  readonly reserveBytes: number;
  /** Called after every look, about once a second, and whenever `full` changes. */
  onChange(listener: () => void): void;
}

/**
 * The free space below one data directory (design §4): says when records are refused, and carries writes through the time without any.
 *
 * ENOSPC is the one failure of a write that may be tried again: nothing was promised of it, and the bytes are still here. All others, and
 * every failed sync, end the broker (`StrictDisk`).
 */
export class DiskSpace implements SpaceView {
  readonly reserveBytes: number;
  readonly #disk: Disk;
  readonly #clock: Clock;
  readonly #telemetry: Telemetry;
  #freeBytes: number | undefined;
  /** Written since the last look. */
  #spentBytes = 0;
  #low = false;
  /** Writes that wait for room. */
  #starved = 0;
  #said = false;
  #looking = false;
  #closed = false;
  #timer: Timer | undefined;
  readonly #waits = new Set<() => void>();
  readonly #listeners: (() => void)[] = [];

  constructor(disk: Disk, clock: Clock, telemetry: Telemetry, reserveBytes: number) {
    this.#disk = disk;
    this.#clock = clock;
    this.#telemetry = telemetry;
    this.reserveBytes = reserveBytes;
  }

  get full(): boolean {
    return this.#low || this.#starved > 0;
  }
  get freeBytes(): number | undefined {
    return this.#freeBytes === undefined ? undefined : Math.max(0, this.#freeBytes - this.#spentBytes);
  }

  /** Looks once, then again and again until `close`. */
  async start(): Promise<void> {
    await this.look();
    this.#arm();
  }

  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** So much was written: no look is needed to know that it is gone. */
  spent(bytes: number): void {
    this.#spentBytes += bytes;
    if (!this.#low && this.#freeBytes !== undefined && (this.freeBytes ?? 0) < this.reserveBytes) void this.look();
  }

  async look(): Promise<void> {
    if (this.#looking || this.#closed) return;
    this.#looking = true;
    // A file system that does not tell is no reason to stop.
    const free = await this.#disk.freeBytes().catch(() => undefined);
    this.#looking = false;
    if (this.#closed) return;
    if (free === undefined) {
      this.#low = false;
      this.#changed(undefined);
      return;
    }
    this.#freeBytes = free;
    this.#spentBytes = 0;
    if (free < this.reserveBytes) this.#low = true;
    else if (free >= this.reserveBytes + this.reserveBytes / BACK_PARTS) this.#low = false;
    this.#changed(undefined);
  }

  /**
   * Does the work; when there is no room for it, undoes what it left and tries again, until it succeeds or nobody wants it any more.
   *
   * @param undo must leave nothing half written
   * @param unwanted asked before each further try
   * @returns undefined when it was given up. @throws whatever is not ENOSPC
   */
  async attempt<T>(path: string, work: () => Promise<T>, undo: () => Promise<void>, unwanted: () => boolean): Promise<T | undefined> {
    let starved = false;
    try {
      for (let waitMs = RETRY_MS_MIN; ; waitMs = Math.min(2 * waitMs, RETRY_MS_MAX)) {
        try {
          return await work();
        } catch (error) {
          if (!isNoSpace(error)) throw error;
        }
        if (!starved) {
          starved = true;
          this.#starved += 1;
          this.#changed(path);
        }
        await undo();
        if (this.#closed || unwanted()) return undefined;
        await this.#wait(waitMs);
        if (this.#closed || unwanted()) return undefined;
      }
    } finally {
      if (starved) {
        this.#starved -= 1;
        this.#changed(undefined);
      }
    }
  }

  /** What must be written before anything else can be: waits for room, however long. @throws the ENOSPC itself once nobody wants it any more */
  async insist(path: string, work: () => Promise<void>, unwanted: () => boolean = () => false): Promise<void> {
    let last: unknown;
    const done = await this.attempt(
      path,
      async () => {
        try {
          await work();
        } catch (error) {
          last = error;
          throw error;
        }
        return true;
      },
      () => Promise.resolve(),
      unwanted,
    );
    if (done === undefined) throw last;
  }

  /** A write found no room that nobody tries again: nothing more is taken until a look says otherwise. */
  foundNone(path: string): void {
    this.#low = true;
    this.#changed(path);
  }

  /** Nothing is tried again: what waits for room gives up now. */
  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    for (const wake of [...this.#waits]) wake();
  }

  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#waits.delete(wake);
        timer.cancel();
        resolve();
      };
      const timer = this.#clock.after(ms, wake);
      this.#waits.add(wake);
    });
  }

  #arm(): void {
    if (this.#closed) return;
    this.#timer = this.#clock.after(LOOK_MS, () => {
      void this.look();
      this.#arm();
    });
  }

  #changed(path: string | undefined): void {
    if (this.#closed) return;
    const { full, freeBytes, reserveBytes } = this;
    if (full !== this.#said) {
      this.#said = full;
      if (full) this.#telemetry.log("warn", "disk.full", { freeBytes, reserveBytes, path });
      else this.#telemetry.log("info", "disk.room", { freeBytes, reserveBytes });
    }
    for (const listener of this.#listeners) listener();
  }
}

/** `DiskSpace.insist` of a log that is being opened. */
export type Insist = (path: string, work: () => Promise<void>) => Promise<void>;

/** A write or create found no room. A sync that found none is something else: the kernel gave up on bytes it had taken. */
export function isNoSpace(error: unknown): boolean {
  return error instanceof DiskError && error.code === "ENOSPC" && !error.action.startsWith("sync");
}
