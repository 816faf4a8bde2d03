import type { GroupId, ReplicaId } from "../../base/ids.ts";
import type { SendRow } from "../checkers/history.ts";
import { InSync, type InSyncMember } from "../checkers/in-sync.ts";
import type { Verdict } from "../checkers/verdict.ts";
import type { ReplicaUnderTest } from "./broker-under-test.ts";
import type { MetadataFollower } from "./metadata-follower.ts";
import { partitionName } from "./topic.ts";

/**
 * Asks, for each acknowledgement at ALL as it arrives, and for each change of the record, who is recorded in sync and what these have on disk (`InSync`). The record is the one
 * that is committed in the metadata log, whatever any broker knows of it; a replica that is not there, or in quarantine, is asked nothing.
 */
export class IsrWatch {
  readonly #replicas: () => Iterable<{ readonly replica: ReplicaUnderTest }>;
  readonly #judge = new InSync();
  readonly #metadata: MetadataFollower;
  /** A topic made anew under a name is another one: what is acknowledged for the former is not looked for in it. */
  readonly #topics = new Map<string, string>();
  #over = false;

  constructor(replicas: () => Iterable<{ readonly replica: ReplicaUnderTest }>, metadata: MetadataFollower) {
    this.#replicas = replicas;
    this.#metadata = metadata;
    metadata.followed = (groups) => this.#recorded(groups);
  }

  get verdict(): Verdict {
    return this.#judge.verdict;
  }

  /** From now on disks are put back as they once were. */
  end(): void {
    this.#over = true;
  }

  acknowledged({ i, acks, type, partition, offset, values }: SendRow): void {
    if (this.#over || type !== "ok" || acks !== "ALL" || offset === undefined) return;
    const all = [...this.#replicas()].map(({ replica }) => replica);
    this.#metadata.follow();
    const { image, lost } = this.#metadata;
    const at = partition.lastIndexOf("-");
    const name = partition.slice(0, at);
    const topic = image.topicByName(name);
    const groupId = topic?.groups[Number(partition.slice(at + 1))];
    if (lost || topic === undefined || groupId === undefined) return;
    const known = this.#topics.get(name);
    this.#topics.set(name, known ?? topic.id);
    if (known !== undefined && known !== topic.id) return;
    const members = this.#members(all, groupId);
    this.#judge.acknowledged(i, partition, offset + values.length, members);
  }

  #recorded(groups: ReadonlySet<GroupId>): void {
    const { image, lost } = this.#metadata;
    if (this.#over || lost) return;
    const all = [...this.#replicas()].map(({ replica }) => replica);
    for (const groupId of groups) {
      const partition = image.partitionOfGroup(groupId);
      const topic = partition && image.topics.get(partition.topicId);
      // Of a topic that nothing was acknowledged in there is nothing to know.
      if (partition === undefined || topic === undefined || this.#topics.get(topic.name) !== topic.id) continue;
      this.#judge.recorded(partitionName(topic.name, partition.partition), this.#members(all, groupId));
    }
  }

  /** Who is recorded in sync, and says what it has. */
  #members(all: readonly ReplicaUnderTest[], groupId: GroupId): readonly InSyncMember[] {
    return (this.#metadata.image.partitionOfGroup(groupId)?.isr ?? []).flatMap((replica) => {
      const has = durableEnd(all, groupId, replica);
      return has === undefined ? [] : [{ replica, has }];
    });
  }
}

/** Offset after the last record that a replica has on disk; undefined: it is not here, or says nothing of itself. */
function durableEnd(all: readonly ReplicaUnderTest[], groupId: number, id: ReplicaId): number | undefined {
  const replica = all.find((one) => one.groupId === groupId && one.id === id);
  if (replica === undefined || replica.core.quarantined) return undefined;
  const { core, log } = replica;
  return core.durable > core.lastIndex ? undefined : log.offsetAfter(core.durable);
}
