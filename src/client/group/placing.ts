import { MillraceError } from "../../base/errors.ts";
import { invariant } from "../../base/invariant.ts";
import { backoffMs } from "../backoff.ts";
import type { ClientCore } from "../core.ts";
import { NoCommittedOffset, OffsetOutOfRange, TopicDeleted } from "../errors.ts";
import type { GroupSettings } from "./options.ts";
import { type LogEnd, locateCommitted, locateEnds, type Place } from "./places.ts";
import type { Tenure } from "./tenure.ts";

/** A partition that cannot be read, although it is ours, is tried again. */
const RETRY_MS = 2_000;
/** So long the coordinator may know another topic by the name than the one it gave out: it takes that back, once it knows. */
const OTHER_TOPIC_MS = 60_000;

export interface PlacingHost {
  /** It is in hand still. */
  isHeld(tenure: Tenure): boolean;
  /** Where the coordinator is thought to be. */
  coordinator(): string | undefined;
  /** @param keep commit the place itself */
  located(place: Place<Tenure>, keep: boolean): void;
  moved(tenure: Tenure, to: LogEnd): void;
  /** Fetch it once more, from where it is. */
  again(tenure: Tenure): void;
  failed(error: MillraceError): void;
}

/** Finds where partitions begin, and what follows when their log does not hold that place. */
export class Placing {
  readonly #core: ClientCore;
  readonly #settings: GroupSettings;
  readonly #host: PlacingHost;

  constructor(core: ClientCore, settings: GroupSettings, host: PlacingHost) {
    this.#core = core;
    this.#settings = settings;
    this.#host = host;
  }

  /** Each topic for itself: one that is gone keeps no other waiting. */
  locate(tenures: readonly Tenure[]): void {
    for (const topicId of new Set(tenures.map((tenure) => tenure.topicId))) {
      void this.#locateTopic(
        tenures.filter((tenure) => tenure.topicId === topicId),
        this.#core.ports.clock.monotonic() + OTHER_TOPIC_MS,
        1,
      );
    }
  }

  async #locateTopic(tenures: readonly Tenure[], deadline: number, failures: number): Promise<void> {
    const open = tenures.filter((tenure) => tenure.stage === "locating" && this.#host.isHeld(tenure));
    if (open.length === 0) return;
    const { group, startWithoutCommit } = this.#settings;
    try {
      const places = await locateCommitted(
        this.#core,
        group,
        open,
        startWithoutCommit,
        failures > 1 ? undefined : this.#host.coordinator(),
      );
      // Records that came between two looks at the end would be left out.
      for (const place of places) this.#host.located(place, startWithoutCommit === "end");
    } catch (error) {
      if (error instanceof NoCommittedOffset) return this.#host.failed(error);
      if (error instanceof TopicDeleted && this.#core.ports.clock.monotonic() >= deadline) return this.#host.failed(error);
      const code = error instanceof MillraceError ? error.code : "INTERNAL";
      const { clock, random, telemetry } = this.#core.ports;
      telemetry.log("debug", "consumer.not_located", { topic: open[0]?.topic, partitions: open.length, code, failures });
      clock.after(backoffMs(failures, random), () => void this.#locateTopic(open, deadline, failures + 1));
    }
  }

  /** A broker does not let it be read; what came in before was handled. */
  refused(tenure: Tenure, error: MillraceError): void {
    if (error instanceof OffsetOutOfRange) return this.#outOfRange(tenure, error);
    // The coordinator takes the partitions of a topic that is gone away, once it knows.
    if (error.code !== "UNKNOWN_TOPIC" && error.code !== "UNKNOWN_PARTITION") return this.#host.failed(error);
    this.#later(tenure, () => this.#host.again(tenure));
  }

  #outOfRange(tenure: Tenure, error: OffsetOutOfRange): void {
    const { outOfRange, group } = this.#settings;
    if (outOfRange === "fail") return this.#host.failed(error);
    locateEnds(this.#core, [tenure], outOfRange).then(
      (ends) => {
        const end = ends.get(tenure.key);
        invariant(end !== undefined, () => `${tenure.key} has an end`);
        if (!this.#isRunning(tenure)) return;
        const { topic, partition } = tenure;
        this.#core.ports.telemetry.log("warn", "consumer.offset_reset", {
          group,
          topic,
          partition,
          from: error.offset,
          offset: end.offset,
        });
        this.#host.moved(tenure, end);
      },
      () => this.#later(tenure, () => this.#outOfRange(tenure, error)),
    );
  }

  #later(tenure: Tenure, run: () => void): void {
    this.#core.ports.clock.after(RETRY_MS, () => {
      if (this.#isRunning(tenure)) run();
    });
  }

  #isRunning(tenure: Tenure): boolean {
    return tenure.stage === "running" && this.#host.isHeld(tenure);
  }
}
