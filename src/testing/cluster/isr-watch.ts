import type { ReplicaId } from "../../base/ids.ts";
import type { SendRow } from "../checkers/history.ts";
import { InSync } from "../checkers/in-sync.ts";
import type { Verdict } from "../checkers/verdict.ts";
import type { ReplicaUnderTest } from "./broker-under-test.ts";
import type { MetadataFollower } from "./metadata-follower.ts";

/**
 * Asks, for each acknowledgement at ALL as it arrives, who is recorded in sync and what these have on disk (`InSync`). The record is the one
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
    const members = (image.partitionOfGroup(groupId)?.isr ?? []).flatMap((replica) => {
      const has = durableEnd(all, groupId, replica);
      return has === undefined ? [] : [{ replica, has }];
    });
    this.#judge.acknowledged(i, partition, offset + values.length, members);
  }
}

/** Offset after the last record that a replica has on disk; undefined: it is not here, or says nothing of itself. */
function durableEnd(all: readonly ReplicaUnderTest[], groupId: number, id: ReplicaId): number | undefined {
  const replica = all.find((one) => one.groupId === groupId && one.id === id);
  if (replica === undefined || replica.core.quarantined) return undefined;
  const { core, log } = replica;
  return core.durable > core.lastIndex ? undefined : log.offsetAfter(core.durable);
}
