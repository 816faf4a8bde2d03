import type { BrokerConfig } from "../base/broker-config.ts";
import type { BrokerId } from "../base/ids.ts";
import type { BrokerNumbers, PartitionNumbers } from "../base/metrics.ts";
import type { Clock } from "../base/ports/clock.ts";
import { isInternalTopic } from "../cluster/internal-topics.ts";
import type { LogStore } from "../log/types.ts";
import { coordinatedGroups, groupNumbers } from "./groups/group-numbers.ts";
import { partitionEnds } from "./groups/group-parts.ts";
import type { GroupPlace } from "./groups/group-places.ts";
import type { Member } from "./member.ts";
import type { Partition } from "./partition/partition.ts";
import type { PeerLinks } from "./peers/peer-links.ts";

/** What a broker that belongs to a cluster knows about itself, for `/metrics`. */
export function brokerNumbers(member: Member, links: PeerLinks, store: LogStore, config: BrokerConfig, clock: Clock): BrokerNumbers {
  const { image, group, router, partitions } = member;
  const others = (): readonly BrokerId[] => [...image.brokers.keys()].filter((broker) => broker !== config.brokerId);
  return {
    controller: group.controller !== undefined,
    controllerKnown: group.controllerBroker !== undefined,
    metadataVersion: image.version,
    // Those of users.
    topics: [...image.topics.values()].filter(({ name }) => !isInternalTopic(name)).length,
    // Looked at only by who asks: these take every broker, and every other clock.
    get brokersKnown() {
      return others().length + 1;
    },
    get brokersConnected() {
      return others().filter((broker) => links.connected(broker)).length + 1;
    },
    heldBytes: router.heldBytes,
    forwardedBytes: router.forwardedBytes,
    walFilesUsed: store.walFilesUsed,
    walFilesMax: store.walFilesMax,
    uncommittedBytes: store.uncommittedBytes,
    uncommittedBytesMax: store.uncommittedBytesMax,
    diskFreeBytes: store.space.freeBytes,
    diskReserveBytes: store.space.reserveBytes,
    diskFull: store.space.full,
    catchUpBytesPerSecond: member.host.catchUpBytesPerSecond,
    get clockAheadSeconds() {
      const { aheadMs } = partitions.age.look();
      return aheadMs === undefined ? undefined : aheadMs / 1000;
    },
    get ageTrusted() {
      return partitions.age.look().trusted;
    },
    partitionCount: partitions.all.length,
    *partitions() {
      for (const { partition } of partitions.all) yield partitionNumbers(partition);
    },
    get groupCount() {
      return coordinatedGroups(member.shards.all);
    },
    groups(most) {
      const leads = ({ topicId, partition }: GroupPlace): boolean => {
        const groupId = image.topics.get(topicId)?.groups[partition];
        return groupId !== undefined && partitions.get(groupId)?.partition.replica.serves === true;
      };
      const ends = partitionEnds({ clock, image, log: member.log, partitions });
      return groupNumbers({ clock, shards: member.shards.all, topics: member.groupTopics, ends, leads }, most);
    },
  };
}

function partitionNumbers(partition: Partition): PartitionNumbers {
  const { replica, options } = partition;
  return {
    topic: options.topic,
    partition: options.number,
    leads: replica.leads,
    serves: replica.serves,
    led: replica.core.leader !== undefined,
    quarantined: replica.core.quarantined,
    replicas: options.members.length,
    inSyncReplicas: replica.leads ? (partition.isr?.isrSize ?? 0) : 0,
    minInSyncReplicas: partition.minIsr,
    logStartOffset: partition.logStartOffset,
    highWatermark: partition.highWatermark,
    logEndOffset: replica.log.endOffset,
    pendingBytes: partition.pendingBytes,
    pendingBatches: partition.pendingBatches,
  };
}
