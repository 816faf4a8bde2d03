import { type LogIndex, METADATA_GROUP, type ReplicaId } from "../../base/ids.ts";
import { decodeFacts } from "../../cluster/facts.ts";
import { MetadataImage } from "../../cluster/image.ts";
import { FrameType, PayloadFormat } from "../../records/frame-types.ts";
import type { SendRow } from "../checkers/history.ts";
import { InSync } from "../checkers/in-sync.ts";
import type { Verdict } from "../checkers/verdict.ts";
import type { ReplicaUnderTest } from "./broker-under-test.ts";

/**
 * Asks, for each acknowledgement at ALL as it arrives, who is recorded in sync and what these have on disk (`InSync`). The record is the one
 * that is committed in the metadata log, whatever any broker knows of it; a replica that is not there, or in quarantine, is asked nothing.
 */
export class IsrWatch {
  readonly #replicas: () => Iterable<{ readonly replica: ReplicaUnderTest }>;
  readonly #judge = new InSync();
  readonly #image = new MetadataImage();
  /** A topic made anew under a name is another one: what is acknowledged for the former is not looked for in it. */
  readonly #topics = new Map<string, string>();
  #applied = 0;
  #over = false;

  constructor(replicas: () => Iterable<{ readonly replica: ReplicaUnderTest }>) {
    this.#replicas = replicas;
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
    this.#follow(all.filter(({ groupId }) => groupId === METADATA_GROUP));
    const at = partition.lastIndexOf("-");
    const name = partition.slice(0, at);
    const topic = this.#image.topicByName(name);
    const groupId = topic?.groups[Number(partition.slice(at + 1))];
    if (this.#over || topic === undefined || groupId === undefined) return;
    const known = this.#topics.get(name);
    this.#topics.set(name, known ?? topic.id);
    if (known !== undefined && known !== topic.id) return;
    const members = (this.#image.partitionOfGroup(groupId)?.isr ?? []).flatMap((replica) => {
      const has = durableEnd(all, groupId, replica);
      return has === undefined ? [] : [{ replica, has }];
    });
    this.#judge.acknowledged(i, partition, offset + values.length, members);
  }

  /** Applies what is committed by now. What left the memory of every broker cannot be followed: nothing is judged any more. */
  #follow(replicas: readonly ReplicaUnderTest[]): void {
    const commit = Math.max(0, ...replicas.map(({ core }) => core.commit));
    for (let index = this.#applied + 1; index <= commit && !this.#over; index++) {
      const holder = replicas.find(({ core, log }) => core.commit >= index && log.frame(index as LogIndex) !== undefined);
      const frame = holder?.log.frame(index as LogIndex);
      if (frame === undefined) {
        this.#over = true;
        return;
      }
      if (frame.type === FrameType.data && frame.format === PayloadFormat.facts)
        for (const fact of decodeFacts(frame.payload)) this.#image.replay(fact, frame.index);
      this.#applied = index;
    }
  }
}

/** Offset after the last record that a replica has on disk; undefined: it is not here, or says nothing of itself. */
function durableEnd(all: readonly ReplicaUnderTest[], groupId: number, id: ReplicaId): number | undefined {
  const replica = all.find((one) => one.groupId === groupId && one.id === id);
  if (replica === undefined || replica.core.quarantined) return undefined;
  const { core, log } = replica;
  return core.durable > core.lastIndex ? undefined : log.offsetAfter(core.durable);
}
