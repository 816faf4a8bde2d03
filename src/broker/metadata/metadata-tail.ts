import { MillraceError } from "../../base/errors.ts";
import type { BrokerId, LogIndex } from "../../base/ids.ts";
import type { Clock } from "../../base/ports/clock.ts";
import type { Telemetry } from "../../base/ports/telemetry.ts";
import { isUnsupported } from "../../cluster/feature-levels.ts";
import { MetadataTail } from "../../protocol/routing.ts";
import { fetchSnapshot } from "../machine/snapshot-transfer.ts";
import type { PeerLinks } from "../peers/peer-links.ts";
import { verifiedFrames } from "../peers/raft-codec.ts";
import type { MetadataGroup } from "./metadata-group.ts";
import { metadataGroup } from "./metadata-machine.ts";
import type { MetadataView } from "./metadata-view.ts";

export const TAIL_METHOD = "metadata.tail";

/** The answer to who asks for frames that were trimmed: a snapshot is there instead. */
const BELOW_START = new Uint8Array(1);
const CHUNK_BYTES = 1024 * 1024;
const WAIT_MS = 2_000;
const PAUSE_MS = 100;

/** Committed frames from an index on, for a broker without a replica of the metadata group; waits for the next one. */
export async function serveTail(clock: Clock, group: MetadataGroup, from: LogIndex, maxWaitMs: number): Promise<Uint8Array[]> {
  const { replica, view } = group;
  if (replica === undefined || from < 1) return [];
  if (view.applied < from) await group.applied(from, { deadline: clock.monotonic() + Math.min(maxWaitMs, WAIT_MS) }).catch(() => {});
  if (view.applied < from) return [];
  const read = await replica.log.read(from, CHUNK_BYTES, view.applied);
  return read.kind === "frames" ? read.frames.map((frame) => frame.bytes) : [BELOW_START];
}

/**
 * The image of a broker that has no replica of the metadata group (it is no seed, or its disk was emptied): a copy of the committed log,
 * pulled from any broker that has one, a snapshot first when the log begins behind what is here. Nothing is stored; at the next start
 * it is read again.
 */
export class MetadataFollower {
  readonly #clock: Clock;
  readonly #telemetry: Telemetry;
  readonly #links: Pick<PeerLinks, "call" | "connected">;
  readonly #view: MetadataView;
  readonly #sources: () => readonly BrokerId[];
  #stopped = false;

  constructor(
    clock: Clock,
    telemetry: Telemetry,
    links: Pick<PeerLinks, "call" | "connected">,
    view: MetadataView,
    sources: () => readonly BrokerId[],
  ) {
    this.#clock = clock;
    this.#telemetry = telemetry;
    this.#links = links;
    this.#view = view;
    this.#sources = sources;
  }

  stop(): void {
    this.#stopped = true;
  }

  async run(): Promise<void> {
    for (let turn = 0; !this.#stopped; turn++) {
      const sources = this.#sources().filter((broker) => this.#links.connected(broker));
      const source = sources[turn % Math.max(1, sources.length)];
      const moved = source !== undefined && (await this.#pull(source));
      if (!moved && !this.#stopped) await new Promise<void>((resolve) => void this.#clock.after(PAUSE_MS, resolve));
    }
  }

  async #pullSnapshot(source: BrokerId): Promise<boolean> {
    try {
      const snapshot = await fetchSnapshot(this.#links, metadataGroup, source, (this.#view.applied + 1) as LogIndex);
      // Meanwhile a replica may have been made here, and the view be ahead by its log.
      if (snapshot === undefined || this.#stopped || snapshot.header.start.index <= this.#view.applied) return false;
      this.#view.become(snapshot);
      return true;
    } catch (error) {
      if (!(error instanceof MillraceError) || isUnsupported(error)) throw error;
      this.#telemetry.log("warn", "metadata.tail_failed", { source, reason: error.message });
      return false;
    }
  }

  #pull(source: BrokerId): Promise<boolean> {
    const fromIndex = this.#view.applied + 1;
    return new Promise((resolve, reject) => {
      this.#links.call(source, TAIL_METHOD, [MetadataTail.encode({ fromIndex, maxWaitMs: WAIT_MS })], 2 * WAIT_MS, (outcome) => {
        if ("error" in outcome || this.#stopped) return resolve(false);
        if (outcome.body.byteLength === BELOW_START.byteLength) return resolve(this.#pullSnapshot(source));
        try {
          for (const frame of verifiedFrames(outcome.body)) if (frame.index === this.#view.applied + 1) this.#view.apply(frame);
        } catch (error) {
          // It would be asked for again and again.
          if (isUnsupported(error)) return reject(error);
          this.#telemetry.log("warn", "metadata.tail_failed", { source, reason: error instanceof Error ? error.message : String(error) });
          return resolve(false);
        }
        resolve(outcome.body.byteLength > 0);
      });
    });
  }
}
