import { MillraceError } from "../../../base/errors.ts";
import type { Clock, Timer } from "../../../base/ports/clock.ts";
import type { RefreshTopics } from "../../../consumer-groups/commands.ts";
import type { GroupState } from "../../../consumer-groups/group-state.ts";
import { unheardOf } from "../../../consumer-groups/group-topics.ts";
import type { GroupsImage } from "../../../consumer-groups/image.ts";
import { isOutdated } from "../../../consumer-groups/retarget.ts";
import type { GroupSettings } from "../../../consumer-groups/settings.ts";
import type { GroupTopics } from "./topic-directory.ts";

/**
 * Groups by pattern are looked at no more often: any topic may concern them, and each that comes or goes makes a new target of all that the
 * group reads. Who makes a thousand topics one by one makes a few targets, not a thousand.
 */
const PATTERNS_MS = 1_000;
/** The controller could not be asked. */
const ASK_AGAIN_MS = 1_000;

export interface TopicSweepPorts {
  readonly clock: Pick<Clock, "soon" | "after">;
  readonly settings: Pick<GroupSettings, "topicsPerMemberMax">;
  readonly topics: GroupTopics;
  /** As it is decided on; undefined: nothing is decided any more. */
  readonly image: () => GroupsImage | undefined;
  /** Resolves when the directory holds everything that was recorded by now. @throws {MillraceError} */
  readonly barrier: () => Promise<void>;
  readonly refresh: (command: RefreshTopics) => void;
  readonly failed: (error: unknown) => void;
}

/**
 * Looks which groups the topics have changed for: made, grown, deleted. A topic this broker does not know may be newer than its metadata;
 * it is taken from nobody, and its offsets stay, until a read barrier says that it is gone.
 */
export class TopicSweep {
  readonly #ports: TopicSweepPorts;
  #due = false;
  #asking = false;
  /** Groups by pattern are being looked at, or were a moment ago; again: topics changed since. */
  #matching: "no" | "yes" | "again" = "no";
  #pause: Timer | undefined;
  #later: Timer | undefined;
  #closed = false;

  constructor(ports: TopicSweepPorts) {
    this.#ports = ports;
  }

  /** The topics, or who coordinates, changed. What comes in one turn is one sweep. */
  look(): void {
    if (this.#due || this.#closed) return;
    this.#due = true;
    this.#ports.clock.soon(() => {
      this.#due = false;
      if (!this.#closed) this.#sweep();
    });
  }

  /** What came of a look could not be recorded, or asked: there is one more. */
  again(afterMs: number): void {
    if (this.#later !== undefined || this.#closed) return;
    this.#later = this.#ports.clock.after(afterMs, () => {
      this.#later = undefined;
      this.look();
    });
  }

  close(): void {
    this.#closed = true;
    this.#pause?.cancel();
    this.#later?.cancel();
  }

  #sweep(): void {
    let missing = false;
    let byPattern = false;
    for (const group of this.#groups()) {
      if (patternsOf(group).size > 0) byPattern = true;
      else this.#refreshOutdated(group);
      missing ||= unheardOf(group, this.#ports.topics).length > 0;
    }
    if (missing && !this.#asking) void this.#askForMissing();
    if (byPattern) this.#lookByPattern();
  }

  #groups(): readonly GroupState[] {
    return [...(this.#ports.image()?.groups.values() ?? [])];
  }

  #refreshOutdated(group: GroupState): void {
    const { refresh } = this.#ports;
    if (group.members.size > 0 && isOutdated(group, this.#ports)) refresh({ kind: "refreshTopics", groupId: group.id, deleted: [] });
  }

  #lookByPattern(): void {
    if (this.#matching !== "no") {
      this.#matching = "again";
      return;
    }
    this.#matching = "yes";
    void this.#match().catch(this.#ports.failed);
  }

  async #match(): Promise<void> {
    const { topics, clock, image } = this.#ports;
    for (const { id, members } of this.#groups()) {
      for (const pattern of patternsOf({ members })) await topics.ready(pattern);
      const group = this.#closed ? undefined : image()?.group(id);
      if (group !== undefined) this.#refreshOutdated(group);
    }
    if (this.#closed) return;
    this.#pause = clock.after(PATTERNS_MS, () => {
      const again = this.#matching === "again";
      this.#matching = "no";
      if (again) this.#lookByPattern();
    });
  }

  async #askForMissing(): Promise<void> {
    const { barrier, topics, refresh, failed } = this.#ports;
    this.#asking = true;
    try {
      await barrier();
      if (this.#closed) return;
      for (const group of this.#groups()) {
        const deleted = unheardOf(group, topics);
        if (deleted.length > 0) refresh({ kind: "refreshTopics", groupId: group.id, deleted });
      }
    } catch (error) {
      if (!(error instanceof MillraceError)) failed(error);
      this.again(ASK_AGAIN_MS);
    } finally {
      this.#asking = false;
    }
  }
}

function patternsOf({ members }: Pick<GroupState, "members">): ReadonlySet<string> {
  const patterns = new Set<string>();
  for (const { topicPattern } of members.values()) if (topicPattern !== "") patterns.add(topicPattern);
  return patterns;
}
