import { type GroupId, type LogIndex, METADATA_GROUP } from "../../base/ids.ts";
import { decodeFacts, type Fact } from "../../cluster/facts.ts";
import { MetadataImage } from "../../cluster/image.ts";
import { FrameType, PayloadFormat } from "../../records/frame-types.ts";
import type { ReplicaUnderTest } from "./broker-under-test.ts";

/** The metadata as it is committed, whatever any broker knows of it: read out of the memory of whoever has it. */
export class MetadataFollower {
  readonly image = new MetadataImage();
  /** Told of each fact, after the image has it. */
  replayed: (fact: Fact, index: LogIndex) => void = () => {};
  /** Told of the groups whose partitions changed, when the image is as new as it gets. */
  followed: (groups: ReadonlySet<GroupId>) => void = () => {};
  readonly #replicas: () => Iterable<{ readonly replica: ReplicaUnderTest }>;
  #applied = 0;
  #lost = false;

  constructor(replicas: () => Iterable<{ readonly replica: ReplicaUnderTest }>) {
    this.#replicas = replicas;
  }

  /** What left the memory of every broker could not be followed: the image is an old one from then on. */
  get lost(): boolean {
    return this.#lost;
  }

  /** Applies what is committed by now. */
  follow(): void {
    const replicas: ReplicaUnderTest[] = [];
    let commit = 0;
    for (const { replica } of this.#replicas()) {
      if (replica.groupId !== METADATA_GROUP) continue;
      replicas.push(replica);
      commit = Math.max(commit, replica.core.commit);
    }
    if (commit <= this.#applied) return;
    const changed = new Set<GroupId>();
    for (let index = this.#applied + 1; index <= commit && !this.#lost; index++) {
      const holder = replicas.find(({ core, log }) => core.commit >= index && log.frame(index as LogIndex) !== undefined);
      const frame = holder?.log.frame(index as LogIndex);
      if (frame === undefined) {
        this.#lost = true;
        return;
      }
      if (frame.type === FrameType.data && frame.format === PayloadFormat.facts)
        for (const fact of decodeFacts(frame.payload)) {
          this.image.replay(fact, frame.index);
          this.replayed(fact, frame.index);
          if ("groupId" in fact) changed.add(fact.groupId);
        }
      this.#applied = index;
    }
    if (changed.size > 0) this.followed(changed);
  }
}
