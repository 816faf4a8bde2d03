import { MillraceError } from "../../base/errors.ts";
import type { LogIndex } from "../../base/ids.ts";
import type { Snapshot } from "../../log/model/snapshot-file.ts";
import type { GroupLog } from "../../log/types.ts";
import type { AnyView } from "./machine-view.ts";

const READ_BYTES = 1024 * 1024;

/** As much of a view as is needed to feed it. */
export type FedView = Pick<AnyView, "applied" | "apply" | "become">;

/**
 * Feeds the view from the local log as the commit index rises. After a restart everything committed is read back first; a frame
 * that is still in memory is taken from there at once, so that a leader's waits end in the turn of the commit.
 */
export class Applier {
  readonly #log: Pick<GroupLog, "frame" | "read">;
  readonly #view: FedView;
  readonly #failed: (error: unknown) => void;
  readonly #advanced: () => void;
  readonly #missing: (start: LogIndex) => Promise<Snapshot>;
  #target = 0 as LogIndex;
  #reading = false;
  #closed = false;

  /**
   * @param advanced called after the view moved
   * @param failed the log cannot be read: the broker cannot go on
   * @param missing the log begins behind the view, or what comes next is lost, and no snapshot of this disk is whole: gets one from
   * another broker (scenario 49)
   */
  constructor(
    log: Pick<GroupLog, "frame" | "read">,
    view: FedView,
    advanced: () => void,
    failed: (error: unknown) => void,
    missing: (start: LogIndex) => Promise<Snapshot>,
  ) {
    this.#missing = missing;
    this.#log = log;
    this.#view = view;
    this.#advanced = advanced;
    this.#failed = failed;
  }

  committed(index: LogIndex): void {
    if (index > this.#target) this.#target = index;
    if (!this.#reading && !this.#closed) this.#pump();
  }

  /** The replica is closed: what is still being read is nobody's. The view goes on with the next one. */
  close(): void {
    this.#closed = true;
  }

  #pump(): void {
    const before = this.#view.applied;
    while (this.#view.applied < this.#target) {
      const frame = this.#log.frame((this.#view.applied + 1) as LogIndex);
      if (frame === undefined) {
        this.#readCold();
        break;
      }
      try {
        this.#view.apply(frame);
      } catch (error) {
        // Not a bug, and not to be tried again: this version cannot read it.
        if (!(error instanceof MillraceError)) throw error;
        this.#closed = true;
        return this.#failed(error);
      }
    }
    if (this.#view.applied > before) this.#advanced();
  }

  #readCold(): void {
    this.#reading = true;
    const next = (this.#view.applied + 1) as LogIndex;
    Promise.resolve(this.#log.read(next, READ_BYTES, this.#target))
      .catch((error: unknown) => {
        // A hole that nobody has the frames for: a snapshot passes over it.
        if (error instanceof MillraceError && error.code === "DATA_LOSS" && !this.#closed) return undefined;
        throw error;
      })
      .then(async (result) => {
        if (result?.kind !== "frames") {
          const snapshot = await this.#missing(result?.start.index ?? next);
          // Meanwhile the view may have come further by another way: a reset that brought a newer one.
          if (!this.#closed && snapshot.header.start.index > this.#view.applied) this.#view.become(snapshot);
        }
        if (this.#closed) return;
        if (result?.kind === "frames")
          for (const frame of result.frames) if (frame.index === this.#view.applied + 1) this.#view.apply(frame);
        this.#reading = false;
        this.#advanced();
        this.#pump();
      })
      .catch((error: unknown) => {
        // The log of a replica that was closed may be gone in the middle of a read.
        if (!this.#closed) this.#failed(error);
      });
  }
}
