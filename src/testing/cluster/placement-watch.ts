import { METADATA_GROUP } from "../../base/ids.ts";
import { placedReplicas } from "../../cluster/image-state.ts";
import type { LeaderSeen, PlacementRow } from "../checkers/history.ts";
import type { MetadataFollower } from "./metadata-follower.ts";
import { partitionName } from "./topic.ts";

/** Notes what each committed fact makes of a partition, and who led what in which term. */
export class PlacementWatch {
  readonly placements: PlacementRow[] = [];
  /** A partition as the history names it, by the id of its group. */
  readonly #names = new Map<number, string>();
  readonly #leaders = new Map<string, { readonly group: number; readonly term: number; readonly broker: number }>();

  /** @param lasting names of topics that are there once and for all: others are named with their id */
  constructor(metadata: MetadataFollower, lasting: ReadonlySet<string>) {
    this.#names.set(METADATA_GROUP, "metadata");
    metadata.replayed = (fact, index) => {
      if (!("groupId" in fact)) return;
      const { image } = metadata;
      const partition = image.partitionOfGroup(fact.groupId);
      const topic = partition === undefined ? undefined : image.topics.get(partition.topicId);
      if (partition === undefined || topic === undefined) return;
      const name = partitionName(lasting.has(topic.name) ? topic.name : `${topic.name}#${topic.id}`, partition.partition);
      this.#names.set(fact.groupId, name);
      this.placements.push({
        index,
        partition: name,
        wanted: topic.replicas,
        brokers: partition.replicas.map(({ brokerId }) => brokerId),
        replicas: placedReplicas(partition).map(({ replicaId }) => replicaId),
        inSync: partition.isr,
        ...(fact.kind === "leaderClaimed" ? { leader: fact.replicaId } : {}),
      });
    };
  }

  led(group: number, term: number, broker: number): void {
    this.#leaders.set(`${group} ${term} ${broker}`, { group, term, broker });
  }

  get leaders(): readonly LeaderSeen[] {
    return [...this.#leaders.values()].map(({ group, term, broker }) => ({
      partition: this.#names.get(group) ?? `group ${group}`,
      term,
      broker,
    }));
  }
}
