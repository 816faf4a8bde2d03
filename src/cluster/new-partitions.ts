import { MillraceError } from "../base/errors.ts";
import type { BrokerId, GroupId, ReplicaId, TopicId } from "../base/ids.ts";
import { counted } from "../base/plural.ts";
import type { DecideLimits } from "./decision.ts";
import type { Fact } from "./facts.ts";
import type { MetadataImage } from "./image.ts";
import { type PlacementBroker, placeReplicas } from "./placement.ts";

/** Partitions to be made: `count` of them, numbered from `from`. */
export interface NewPartitions {
  readonly topicId: TopicId;
  readonly from: number;
  readonly count: number;
  readonly replicas: number;
  /** Where placement starts among equals: any whole number; drawn by whoever sends the command. */
  readonly seed: number;
  /** Who may get replicas; undefined: the live brokers. */
  readonly among?: readonly BrokerId[];
}

/** Facts with new group and replica ids. There are live brokers enough (`refuseFewBrokers`). */
export function placePartitions(image: MetadataImage, { topicId, from, count, replicas, seed, among }: NewPartitions): Fact[] {
  const placed = placeReplicas(placementBrokers(image, topicId, among), count, replicas, Math.abs(seed));
  let nextGroup: number = image.nextIds.group;
  let nextReplica: number = image.nextIds.replica;
  return placed.map((brokers: readonly BrokerId[], at): Fact => {
    const groupId = nextGroup++ as GroupId;
    return {
      kind: "partitionCreated",
      topicId,
      partition: from + at,
      groupId,
      replicas: brokers.map((brokerId) => ({ brokerId, replicaId: nextReplica++ as ReplicaId })),
    };
  });
}

/** What each holds is counted anew, which is cheap beside the write that follows. */
function placementBrokers(image: MetadataImage, topicId: TopicId, among: readonly BrokerId[] | undefined): PlacementBroker[] {
  const held = new Map<BrokerId, { leaders: number; replicas: number; leadersHere: number; replicasHere: number }>();
  for (const partition of image.partitions.values()) {
    const here = partition.topicId === topicId ? 1 : 0;
    for (const [at, { brokerId }] of partition.replicas.entries()) {
      const counts = held.get(brokerId) ?? { leaders: 0, replicas: 0, leadersHere: 0, replicasHere: 0 };
      const first = at === 0 ? 1 : 0;
      counts.leaders += first * (1 - here);
      counts.leadersHere += first * here;
      counts.replicas += 1 - here;
      counts.replicasHere += here;
      held.set(brokerId, counts);
    }
  }
  const none = { leaders: 0, replicas: 0, leadersHere: 0, replicasHere: 0 };
  const brokers = among?.flatMap((id) => image.brokers.get(id) ?? []) ?? image.liveBrokers();
  return brokers.map(({ id, rack }) => ({ id, rack, ...(held.get(id) ?? none) }));
}

/**
 * @param total partitions the topic shall have
 * @param added of them, how many are new
 */
export function refusePartitions(image: MetadataImage, total: number, added: number, limits: DecideLimits): MillraceError | undefined {
  if (total < 1 || total > limits.partitionsPerTopicMax) {
    const text = `Cannot make a topic of ${total} partitions: 1 to ${limits.partitionsPerTopicMax} are allowed`;
    return new MillraceError("INVALID_REQUEST", text, { field: "partitions", limit: "partitions.per.topic.max" });
  }
  if (image.partitions.size + added > limits.partitionsMax) {
    const text = `Cannot create ${counted(added, "partition")}: the cluster has ${image.partitions.size} of ${limits.partitionsMax}`;
    return new MillraceError("TOO_MANY_REQUESTS", text, { limit: "partitions.max" });
  }
  return undefined;
}

export function refuseFewBrokers(live: number, replicas: number): MillraceError | undefined {
  if (live >= replicas) return undefined;
  return new MillraceError("INSUFFICIENT_BROKERS", `Cannot place ${counted(replicas, "replica")} on ${counted(live, "live broker")}`, {
    live_brokers: String(live),
    replicas: String(replicas),
  });
}
