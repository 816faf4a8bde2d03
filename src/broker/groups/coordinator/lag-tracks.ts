import type { TopicId } from "../../../base/ids.ts";
import type { Clock, Timer } from "../../../base/ports/clock.ts";
import type { TopicDirectory } from "../../../consumer-groups/decision.ts";
import type { GroupState } from "../../../consumer-groups/group-state.ts";
import type { GroupsImage } from "../../../consumer-groups/image.ts";
import type { LagSample } from "../../../consumer-groups/lag.ts";
import { type LagTrack, track, type Verdict, verdictOf } from "../../../consumer-groups/verdict.ts";

/** How often partitions are looked at, and how many of a shard at once: the others have their turn the next time. */
const SAMPLE_MS = 10_000;
const SAMPLES_MAX = 2_000;
/** Nothing is held against a group that it did within this. */
const WINDOW_MS = 60_000;

type Ends = Pick<LagSample, "logStartOffset" | "highWatermark">;

export interface LagTracksPorts {
  readonly clock: Pick<Clock, "monotonic" | "after">;
  readonly topics: TopicDirectory;
  readonly image: () => GroupsImage;
  /** What this broker's own replica of the partition knows; undefined: it has none. */
  readonly ends: (topicId: TopicId, partition: number) => Ends | undefined;
}

interface Tracked {
  readonly topicId: TopicId;
  readonly track: LagTrack;
}

/**
 * How the lag of partitions has moved while this broker coordinates: soft state, a handful of numbers each. Between two questions of operators
 * it is followed by what this broker's own replicas know; a partition of which there is none is looked at when somebody asks.
 */
export class LagTracks {
  readonly #ports: LagTracksPorts;
  readonly #tracks = new Map<string, Map<string, Tracked>>();
  /** Groups that have not had their turn yet. */
  #queue: string[] = [];
  #timer: Timer;

  constructor(ports: LagTracksPorts) {
    this.#ports = ports;
    this.#timer = this.#later();
  }

  close(): void {
    this.#timer.cancel();
  }

  /**
   * A partition as it is now, and what that says together with what was seen before.
   * @param asked its newest state is what counts: whoever waited for the ends may hold an older one, and that is not a group that went back
   */
  sample(asked: GroupState, topicId: TopicId, partition: number, ends: Ends): Verdict {
    const now = this.#ports.clock.monotonic();
    const group = this.#ports.image().group(asked.id) ?? asked;
    const tracks = this.#tracks.get(group.id) ?? new Map<string, Tracked>();
    this.#tracks.set(group.id, tracks);
    const key = `${topicId}:${partition}`;
    const { logStartOffset, highWatermark } = ends;
    const committed = group.offsets.get(topicId, partition)?.offset;
    const next = track(tracks.get(key)?.track, { committed, logStartOffset, highWatermark }, now);
    tracks.set(key, { topicId, track: next });
    return verdictOf(next, group.held.get(topicId, partition) !== undefined, now, WINDOW_MS);
  }

  #later(): Timer {
    return this.#ports.clock.after(SAMPLE_MS, () => {
      this.#timer = this.#later();
      this.#look();
    });
  }

  #look(): void {
    const { groups } = this.#ports.image();
    for (const id of this.#tracks.keys()) if (!groups.has(id)) this.#tracks.delete(id);
    if (this.#queue.length === 0) this.#queue = [...groups.keys()];
    for (let samples = 0; samples < SAMPLES_MAX; ) {
      const id = this.#queue.pop();
      if (id === undefined) return;
      const group = groups.get(id);
      this.#forgetDeleted(id);
      samples += group === undefined ? 1 : this.#sampleAll(group);
    }
  }

  #forgetDeleted(id: string): void {
    const tracks = this.#tracks.get(id);
    for (const [key, { topicId }] of tracks ?? []) if (this.#ports.topics.byId(topicId) === undefined) tracks?.delete(key);
  }

  /** @returns how many there were */
  #sampleAll(group: GroupState): number {
    const { topics, ends } = this.#ports;
    let samples = 1;
    for (const id of new Set([...group.target.keys(), ...group.offsets.topics()])) {
      const partitions = topics.byId(id)?.partitions ?? 0;
      for (let partition = 0; partition < partitions; partition += 1) {
        const committed = group.offsets.get(id, partition)?.offset;
        samples += 1;
        const known = ends(id, partition);
        // A replica that has not heard of what is committed already says nothing of lag.
        if (known !== undefined && known.highWatermark >= (committed ?? 0)) this.sample(group, id, partition, known);
      }
    }
    return samples;
  }
}
