import { MillraceError } from "../../base/errors.ts";
import type { Clock, Timer } from "../../base/ports/clock.ts";
import { DiskError } from "../../base/ports/disk.ts";
import type { Random } from "../../base/ports/random.ts";
import type { Telemetry } from "../../base/ports/telemetry.ts";
import type { Hole } from "../../log/holes.ts";
import { WriterStopped } from "../../log/segment-output.ts";
import { Pace } from "../catch-up/pace.ts";
import type { Replica } from "../replica.ts";

/** A broker that was started just now has better things to do. */
const FIRST_MS = 60_000;
/** A pass over little data is not stretched over days: it rests behind it. */
const RATE_MIN = 1024 * 1024;
/** What `debug scrub` reads per second: somebody waits for it, and others want the disk too. */
const RATE_NOW = 256 * 1024 * 1024;
/** A pass is planned to end well before the next one. */
const SHARE = 0.8;

/** What a pass over all segments of this broker read and found. */
export interface ScrubStatus {
  readonly running: boolean;
  /** Passes that ended since the broker started. */
  readonly passes: number;
  /** Of the present pass, or else of the last one. */
  readonly groups: number;
  readonly segments: number;
  readonly bytes: number;
  readonly bytesTotal: number;
  /** What it found damaged; by now it may be repaired. */
  readonly found: readonly Hole[];
  /** Damaged now, whatever found it. */
  readonly holes: readonly Hole[];
  /** Derived files that were bad and were made again. */
  readonly rebuilt: readonly string[];
}

export interface ScrubPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly telemetry: Telemetry;
  readonly replicas: () => Iterable<Replica>;
  /** A whole pass within so much time; 0: only when asked. */
  readonly intervalMs: number;
  /** A bug: the broker cannot go on. */
  readonly failed: (error: unknown) => void;
}

/**
 * Reads all that is stored, over and over, so that damage is found while other replicas still have what it took (design §4): the whole
 * log within `scrub.interval`, by reads that give way to all others. What it finds is a hole like any other, which is repaired.
 */
export class Scrubber {
  readonly #ports: ScrubPorts;
  #timer: Timer | undefined;
  #running: Promise<void> | undefined;
  #pace: Pace;
  #closed = false;
  #passes = 0;
  #groups = 0;
  #segments = 0;
  #bytes = 0;
  #bytesTotal = 0;
  #rebuilt: string[] = [];
  #found: Hole[] = [];

  constructor(ports: ScrubPorts) {
    this.#ports = ports;
    this.#pace = new Pace(ports.clock, () => RATE_MIN);
  }

  start(): void {
    this.#arm(FIRST_MS);
  }

  get status(): ScrubStatus {
    const holes = [...this.#ports.replicas()].flatMap(({ log }) => log.holes);
    return {
      running: this.#running !== undefined,
      passes: this.#passes,
      groups: this.#groups,
      segments: this.#segments,
      bytes: this.#bytes,
      bytesTotal: this.#bytesTotal,
      found: this.#found,
      holes,
      rebuilt: this.#rebuilt,
    };
  }

  /** Begins a pass at once, as fast as the disk has time; one that is under way goes faster. Resolves when it has ended. */
  now(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.#timer?.cancel();
    this.#pace = new Pace(this.#ports.clock, () => RATE_NOW);
    this.#running ??= this.#run();
    return this.#running;
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  #arm(delayMs: number): void {
    const { clock, intervalMs } = this.#ports;
    this.#timer?.cancel();
    if (intervalMs === 0 || this.#closed) return;
    this.#timer = clock.after(delayMs, () => {
      if (this.#running !== undefined) return;
      const rate = Math.max(RATE_MIN, (this.#stored() / (intervalMs * SHARE)) * 1000);
      this.#pace = new Pace(clock, () => rate);
      this.#running = this.#run();
    });
  }

  #stored(): number {
    return [...this.#ports.replicas()].reduce((sum, { log }) => sum + log.segmentBytes, 0);
  }

  async #run(): Promise<void> {
    const { clock, intervalMs, telemetry } = this.#ports;
    const began = clock.monotonic();
    this.#groups = 0;
    this.#segments = 0;
    this.#bytes = 0;
    this.#bytesTotal = this.#stored();
    this.#rebuilt = [];
    this.#found = [];
    for (const replica of this.#inTurn()) {
      if (this.#closed) break;
      try {
        const paced = async <T>(bytes: number, read: () => Promise<T>): Promise<T> => {
          await this.#pace.take(bytes);
          return read();
        };
        const { bytes, segments, rebuilt, holes } = await replica.log.scrub(paced);
        this.#groups += 1;
        this.#bytes += bytes;
        this.#segments += segments;
        this.#rebuilt.push(...rebuilt);
        this.#found.push(...holes);
      } catch (error) {
        // The group went away, or its disk fails, which the log says.
        const expected = error instanceof MillraceError || error instanceof DiskError || error instanceof WriterStopped;
        if (!expected) this.#ports.failed(error);
      }
    }
    this.#passes += 1;
    this.#running = undefined;
    const seconds = Math.round((clock.monotonic() - began) / 1000);
    telemetry.log("info", "scrub.done", { bytes: this.#bytes, segments: this.#segments, rebuilt: this.#rebuilt.length, seconds });
    this.#arm(Math.max(FIRST_MS, intervalMs - (clock.monotonic() - began)));
  }

  /** From another one each time: a broker that is often started anew must not always read the same first. */
  #inTurn(): readonly Replica[] {
    const replicas = [...this.#ports.replicas()];
    const first = replicas.length === 0 ? 0 : this.#ports.random.below(replicas.length);
    return [...replicas.slice(first), ...replicas.slice(0, first)];
  }
}
