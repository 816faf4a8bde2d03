import { unreachable } from "../base/invariant.ts";
import type { Command } from "./commands.ts";
import { decideBrokerHeartbeat, decideFenceBroker, decideFormCluster, decideRegisterBroker } from "./decide-brokers.ts";
import { decideAllocateProducerIds, decideAlterClusterConfigs } from "./decide-cluster.ts";
import { decideEnsureGroups } from "./decide-groups.ts";
import { decideAlterIsr, decideLeaderClaim } from "./decide-isr.ts";
import { decideAddPartitions } from "./decide-partitions.ts";
import { decideRecoverCluster, decideRecoverPartitions } from "./decide-recovery.ts";
import {
  decideAdoptReplica,
  decideKeepReplica,
  decideReplaceReplica,
  decideReplaceSeed,
  decideReportReplaced,
} from "./decide-replacement.ts";
import { decideAlterTopic, decideConfirmDeleted, decideCreateTopic, decideDeleteTopic } from "./decide-topics.ts";
import { type DecideLimits, type Decision, defaultDecideLimits, type Now } from "./decision.ts";
import type { MetadataImage } from "./image.ts";

/**
 * The metadata machine (design §3, §7): what one command changes, and what to answer once that is committed. Reads the image,
 * changes nothing. The controller calls it on its speculative image, replays the facts there when it appends them, and holds every
 * answer, refusals included, until the last index the image had then is committed; leadership lost before means METADATA_OUTCOME_UNKNOWN.
 */
export function decide(image: MetadataImage, command: Command, _now: Now, limits: DecideLimits = defaultDecideLimits): Decision {
  switch (command.kind) {
    case "formCluster":
      return decideFormCluster(image, command);
    case "registerBroker":
      return decideRegisterBroker(image, command);
    case "brokerHeartbeat":
      return decideBrokerHeartbeat(image, command);
    case "fenceBroker":
      return decideFenceBroker(image, command);
    case "createTopic":
      return decideCreateTopic(image, command, limits);
    case "ensureGroups":
      return decideEnsureGroups(image, command);
    case "alterTopic":
      return decideAlterTopic(image, command);
    case "addPartitions":
      return decideAddPartitions(image, command, limits);
    case "deleteTopic":
      return decideDeleteTopic(image, command);
    case "confirmDeleted":
      return decideConfirmDeleted(image, command);
    case "alterIsr":
      return decideAlterIsr(image, command);
    case "leaderClaim":
      return decideLeaderClaim(image, command);
    case "allocateProducerIds":
      return decideAllocateProducerIds(image, command);
    case "alterClusterConfigs":
      return decideAlterClusterConfigs(image, command);
    case "replaceReplica":
      return decideReplaceReplica(image, command);
    case "reportReplaced":
      return decideReportReplaced(image, command);
    case "replaceSeed":
      return decideReplaceSeed(image, command);
    case "keepReplica":
      return decideKeepReplica(image, command);
    case "adoptReplica":
      return decideAdoptReplica(image, command);
    case "recoverPartitions":
      return decideRecoverPartitions(image, command);
    case "recoverCluster":
      return decideRecoverCluster(image, command);
    default:
      return unreachable(command);
  }
}
