import { MillraceError } from "../../../base/errors.ts";
import type { TopicId } from "../../../base/ids.ts";
import type { Clock } from "../../../base/ports/clock.ts";
import type { RefreshTopics } from "../../../consumer-groups/commands.ts";
import type { TopicDirectory } from "../../../consumer-groups/decision.ts";
import type { GroupState } from "../../../consumer-groups/group-state.ts";
import type { GroupsImage } from "../../../consumer-groups/image.ts";
import { isOutdated } from "../../../consumer-groups/retarget.ts";

export interface TopicSweepPorts {
  readonly clock: Pick<Clock, "soon">;
  readonly topics: TopicDirectory;
  /** As it is decided on; undefined: nothing is decided any more. */
  readonly image: () => GroupsImage | undefined;
  /** Resolves when the directory holds everything that was recorded by now. @throws {MillraceError} */
  readonly barrier: () => Promise<void>;
  readonly refresh: (command: RefreshTopics) => void;
  readonly failed: (error: unknown) => void;
}

/**
 * Looks which groups the topics have changed for: made, grown, deleted. A topic this broker does not know may be newer than its metadata;
 * its offsets are dropped only when a read barrier says that it is gone.
 */
export class TopicSweep {
  readonly #ports: TopicSweepPorts;
  #due = false;
  #asking = false;

  constructor(ports: TopicSweepPorts) {
    this.#ports = ports;
  }

  /** The topics, or who coordinates, changed. What comes in one turn is one sweep. */
  look(): void {
    if (this.#due) return;
    this.#due = true;
    this.#ports.clock.soon(() => {
      this.#due = false;
      this.#sweep();
    });
  }

  #sweep(): void {
    const { topics, refresh } = this.#ports;
    let missing = false;
    for (const group of [...(this.#ports.image()?.groups.values() ?? [])]) {
      if (group.members.size > 0 && isOutdated(group, topics)) refresh({ kind: "refreshTopics", groupId: group.id, deleted: [] });
      missing ||= this.#missing(group).length > 0;
    }
    if (missing && !this.#asking) void this.#dropDeleted();
  }

  async #dropDeleted(): Promise<void> {
    const { barrier, image, refresh, failed } = this.#ports;
    this.#asking = true;
    try {
      await barrier();
      for (const group of [...(image()?.groups.values() ?? [])]) {
        const deleted = this.#missing(group);
        if (deleted.length > 0) refresh({ kind: "refreshTopics", groupId: group.id, deleted });
      }
    } catch (error) {
      // Looked at again when the topics change, and now and then.
      if (!(error instanceof MillraceError)) failed(error);
    } finally {
      this.#asking = false;
    }
  }

  #missing({ offsets }: GroupState): readonly TopicId[] {
    return offsets.topics().filter((id) => this.#ports.topics.byId(id) === undefined);
  }
}
