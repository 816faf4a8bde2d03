import { MillraceError } from "../base/errors.ts";
import { counted } from "../base/plural.ts";
import type { CommandOf } from "./commands.ts";
import { type Decision, refuse } from "./decision.ts";
import { GROUPS_LEVEL, notBefore } from "./feature-levels.ts";
import type { MetadataImage } from "./image.ts";
import type { BrokerImage } from "./image-state.ts";
import { GROUPS_TOPIC } from "./internal-topics.ts";
import { placePartitions } from "./new-partitions.ts";

/** Partitions of `__groups`, for ever (design §9): the same number as `consumer-groups/shard.ts` knows. */
export const GROUPS_TOPIC_PARTITIONS = 16;
const REPLICAS_MAX = 3;

/**
 * Makes `__groups`, once. It is there for good, so it waits for brokers rather than have fewer replicas than it could: a seed that has not
 * registered yet counts, and a broker whose session is over gets its replicas, as long as most of them are where brokers live.
 */
export function decideEnsureGroups(image: MetadataImage, { topicId, seed }: CommandOf<"ensureGroups">): Decision {
  const known = image.topicByName(GROUPS_TOPIC);
  if (known !== undefined) {
    const reply = { kind: "topicMade", topicId: known.id, partitions: known.groups.length, replicas: known.replicas } as const;
    return { facts: [], reply };
  }
  if (topicId === "" || image.topics.has(topicId) || image.tombstones.has(topicId))
    return refuse(new MillraceError("INVALID_REQUEST", `Cannot make ${GROUPS_TOPIC}: topic_id must be a new uuid`, { field: "topic_id" }));
  const replicas = Math.min(REPLICAS_MAX, Math.max(image.seeds.length, image.brokers.size));
  const candidates = candidatesFor(image, replicas);
  const live = candidates.filter(({ state }) => state === "live").length;
  // On one of two, nobody could lead.
  if (candidates.length < replicas || live * 2 <= replicas) {
    const text = `Cannot make ${GROUPS_TOPIC} with ${counted(replicas, "replica")}: ${counted(live, "live broker")} of ${candidates.length} registered`;
    return refuse(new MillraceError("INSUFFICIENT_BROKERS", text, { live_brokers: String(live), replicas: String(replicas) }, RETRY_MS));
  }
  // A broker of before would take it for a topic of records, which anybody may write.
  if (image.featureLevel < GROUPS_LEVEL) {
    if (image.seeds.every(({ brokerId }) => image.brokers.has(brokerId)))
      return refuse(notBefore(GROUPS_LEVEL, `make ${GROUPS_TOPIC}`, image.featureLevel));
    const text = `Cannot make ${GROUPS_TOPIC}: a seed has not registered yet`;
    return refuse(new MillraceError("INSUFFICIENT_BROKERS", text, {}, RETRY_MS));
  }
  const among = candidates.map(({ id }) => id);
  const created = placePartitions(image, { topicId, from: 0, count: GROUPS_TOPIC_PARTITIONS, replicas, seed, among });
  return {
    facts: [{ kind: "topicCreated", topicId, name: GROUPS_TOPIC, replicas, configs: keptForEver }, ...created],
    reply: { kind: "topicMade", topicId, partitions: GROUPS_TOPIC_PARTITIONS, replicas },
  };
}

const RETRY_MS = 1_000;
/** Said outright for whoever describes it; no replica of it looks at settings. */
const keptForEver: ReadonlyMap<string, string> = new Map([
  ["retention.bytes", "-1"],
  ["retention.ms", "-1"],
]);

/** Live ones; only where those are too few, as many others as are missing. */
function candidatesFor(image: MetadataImage, replicas: number): readonly BrokerImage[] {
  const live = image.liveBrokers();
  if (live.length >= replicas) return live;
  const others = [...image.brokers.values()].filter(({ state }) => state !== "live").sort((a, b) => a.id - b.id);
  return [...live, ...others.slice(0, replicas - live.length)];
}
