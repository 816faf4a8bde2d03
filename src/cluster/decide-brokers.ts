import { parseAddress } from "../base/address.ts";
import { MillraceError } from "../base/errors.ts";
import type { Incarnation, ReplicaId } from "../base/ids.ts";
import type { CommandOf } from "./commands.ts";
import { type Decision, done, refuse } from "./decision.ts";
import type { Fact, FactOf } from "./facts.ts";
import { levelsOf, raiseLevel, refuseLevels, sinceOf } from "./feature-levels.ts";
import type { MetadataImage } from "./image.ts";
import { NO_REPLICA } from "./replay.ts";

/**
 * Records what the formation decided. Every controller of a young cluster sends it; only the first one changes anything. At the lowest
 * feature level: what the seeds understand is known when they have registered.
 */
export function decideFormCluster(image: MetadataImage, command: CommandOf<"formCluster">): Decision {
  if (image.clusterId === command.clusterId) return done([]);
  if (image.clusterId !== undefined) {
    return refuse(
      new MillraceError("WRONG_CLUSTER", `Cannot form cluster ${command.clusterId}: this metadata belongs to ${image.clusterId}`, {
        cluster_id: image.clusterId,
      }),
    );
  }
  return done([{ kind: "clusterFormed", clusterId: command.clusterId, seeds: command.seeds, recoveryEpoch: 0, featureLevel: 1 }]);
}

/**
 * A broker started. The same disk gets a new broker epoch. Another disk under the id of a live broker is refused (DUPLICATE_BROKER):
 * after the session of the former one it registers, and holds no replicas, because those are bound to the former disk (D5).
 */
export function decideRegisterBroker(image: MetadataImage, command: CommandOf<"registerBroker">): Decision {
  const { brokerId, incarnation, clientAddress, peerAddress, rack, version, featureLevelMin, featureLevelMax } = command;
  if (image.clusterId === undefined)
    return refuse(new MillraceError("NOT_READY", "Cannot register a broker: the cluster is not formed yet"));
  if (brokerId < 1) return refuse(invalid("broker_id", `it must be at least 1, got ${brokerId}`));
  if (incarnation === "") return refuse(invalid("incarnation", "it is empty"));
  if (parseAddress(clientAddress) === undefined)
    return refuse(invalid("client_address", `${JSON.stringify(clientAddress)} is no host:port`));
  if (parseAddress(peerAddress) === undefined) return refuse(invalid("peer_address", `${JSON.stringify(peerAddress)} is no host:port`));

  const levels = levelsOf(featureLevelMin, featureLevelMax);
  const unfit = refuseLevels(
    `Cannot register broker ${brokerId} (version ${version})`,
    levels,
    image.featureLevel,
    image.featureLevelSince,
  );
  // One of before there were levels would not know the code, and ask for ever.
  if (unfit !== undefined) return refuse(featureLevelMax === 0 ? new MillraceError("INVALID_REQUEST", unfit.message) : unfit);

  const before = image.brokers.get(brokerId);
  if (before !== undefined && before.incarnation !== incarnation && before.state === "live") {
    return refuse(
      duplicate(
        `Cannot register broker ${brokerId} from another disk: one with this id is live at ${before.peerAddress}`,
        before.peerAddress,
        before.incarnation,
      ),
    );
  }
  const twin = [...image.brokers.values()].find((broker) => broker.incarnation === incarnation && broker.id !== brokerId);
  if (twin !== undefined) {
    return refuse(
      duplicate(
        `Cannot register broker ${brokerId}: its data directory is the one of broker ${twin.id}, or a copy of it`,
        twin.peerAddress,
      ),
    );
  }
  const metadataReplicaId = metadataReplicaOf(image, command);
  return {
    facts: [
      {
        kind: "brokerRegistered",
        brokerId,
        incarnation,
        clientAddress,
        peerAddress,
        rack,
        version,
        metadataReplicaId,
        featureLevelMin,
        featureLevelMax,
      },
      ...raised(image, { brokerId, levels }),
    ],
    reply: { kind: "registered", metadataReplicaId },
  };
}

/** The last broker that did not understand a level was the only one that kept the cluster from it. */
function raised(image: MetadataImage, about?: Parameters<typeof raiseLevel>[1]): readonly FactOf<"featureLevelRaised">[] {
  const level = raiseLevel(image, about);
  return level === undefined ? [] : [{ kind: "featureLevelRaised", level, since: sinceOf(level) }];
}

/** The voter the formation gave this disk; what this disk got before; else a new id, for a learner. */
function metadataReplicaOf(image: MetadataImage, { brokerId, incarnation }: CommandOf<"registerBroker">): ReplicaId {
  const seed = image.seeds.find((each) => each.brokerId === brokerId && each.incarnation === incarnation);
  if (seed !== undefined) return seed.replicaId;
  const before = image.brokers.get(brokerId);
  return before?.incarnation === incarnation && before.metadataReplicaId !== NO_REPLICA ? before.metadataReplicaId : image.nextIds.replica;
}

/**
 * Says that the session lives; only lifting a fence is recorded. An older start of the same broker is refused (STALE_VERSION), and so is
 * one whose feature levels the controller that registered it did not know.
 */
export function decideBrokerHeartbeat(
  image: MetadataImage,
  { brokerId, incarnation, brokerEpoch, featureLevelMin, featureLevelMax }: CommandOf<"brokerHeartbeat">,
): Decision {
  const broker = image.brokers.get(brokerId);
  if (broker === undefined) return refuse(unknownBroker(brokerId));
  if (broker.incarnation !== incarnation) {
    return refuse(
      duplicate(
        `Cannot take a heartbeat of broker ${brokerId}: it is registered from another disk at ${broker.peerAddress}`,
        broker.peerAddress,
      ),
    );
  }
  if (broker.epoch !== brokerEpoch) {
    return refuse(
      new MillraceError(
        "STALE_VERSION",
        `Cannot take a heartbeat of broker ${brokerId}: its epoch is ${broker.epoch}, not ${brokerEpoch}; register again`,
        {
          broker_epoch: String(broker.epoch),
        },
      ),
    );
  }
  if (featureLevelMax > 0 && (broker.levels.min !== featureLevelMin || broker.levels.max !== featureLevelMax)) {
    const text = `Cannot take a heartbeat of broker ${brokerId}: other feature levels are recorded of it; register again`;
    return refuse(new MillraceError("STALE_VERSION", text, { broker_epoch: String(broker.epoch) }));
  }
  const wasFenced = broker.state === "fenced";
  const facts: Fact[] = wasFenced ? [{ kind: "brokerUnfenced", brokerId }] : [];
  return { facts: [...facts, ...raised(image)], reply: { kind: "heartbeatSeen", wasFenced } };
}

/** The controller's timer saw no heartbeat for a whole session. A broker that has registered since is left alone. */
export function decideFenceBroker(image: MetadataImage, { brokerId, brokerEpoch }: CommandOf<"fenceBroker">): Decision {
  const broker = image.brokers.get(brokerId);
  if (broker === undefined) return refuse(unknownBroker(brokerId));
  const applies = broker.epoch === brokerEpoch && broker.state === "live";
  return done(applies ? [{ kind: "brokerFenced", brokerId }] : []);
}

export function unknownBroker(id: number): MillraceError {
  return new MillraceError("UNKNOWN_BROKER", `No broker ${id} is registered`, { broker_id: String(id) });
}

/** @param until the disk whose session has to end before the same may be asked again; without it the refusal is final */
function duplicate(text: string, address: string, until?: Incarnation): MillraceError {
  return new MillraceError("DUPLICATE_BROKER", text, {
    peer_address: address,
    ...(until === undefined ? {} : { live_incarnation: until }),
  });
}

function invalid(field: string, why: string): MillraceError {
  return new MillraceError("INVALID_REQUEST", `Cannot register a broker: ${field}: ${why}`, { field });
}
