import { MillraceError } from "../base/errors.ts";
import type { BrokerId } from "../base/ids.ts";

/** One step of what brokers understand of each other and of the metadata. Numbers are for ever. */
interface FeatureLevel {
  readonly level: number;
  /** First version that understands it. */
  readonly since: string;
  readonly brings: string;
  /** Where it is made sure that nobody gets it who does not understand it. */
  readonly checked: string;
}

/**
 * The one list of feature levels (ADR 0020). Whoever writes a fact, a field of one, or a message that brokers of before do not know adds a
 * level here, and looks at the cluster's level (`MetadataImage.featureLevel`) before it writes or counts on it; or at the connection's
 * (`PeerLinks`), when it concerns the two ends of one connection alone.
 */
export const featureLevels: readonly FeatureLevel[] = [
  { level: 1, since: "0.1.0", brings: "all that no other line names", checked: "nowhere: every broker understands it" },
  {
    level: 2,
    since: "0.1.0",
    brings: "of a connection: rest, beats and `wake` (ADR 0016)",
    checked: "`PeerLinks.beats`; `PeerLinks.sendRecord` for `wake`",
  },
  {
    level: 3,
    since: "0.1.0",
    brings:
      "of the cluster: the fact `featureLevelRaised`; `in_place_of` and `fenced` of `partitionRecovered`; `topic_id` of requests is obeyed by every broker; `__groups` holds consumer groups, whose members may subscribe by pattern",
    checked:
      "`raiseLevel`, `refuseRecoveryBelow`, `decideEnsureGroups`; the client, before a change that names its topic by id (`TopicIdsObeyed`); brokers that do not understand it are refused (`refuseLevels`)",
  },
];

/** From this level on a broker knows of groups at rest, and of the beats that stand for their heartbeats (ADR 0016). */
export const BEATS_LEVEL = 2;
/** From this level on the cluster's level is a fact: it is raised to no lower one. */
export const RAISED_LEVEL_MIN = 3;
/** From this level on a topic of the name `__groups` is the one of consumer groups, to every broker. */
export const GROUPS_LEVEL = 3;
/** From this level on recovered partitions name who is out besides those that were placed, and where a forgotten survivor stands. */
export const RECOVERY_NAMES_LEVEL = 3;

/** From this level on every broker obeys `topic_id` of requests; one of before passes over it. */
export const TOPIC_ID_LEVEL = 3;

/** What a broker understands: it may be in a cluster whose level is one of these. */
export interface FeatureLevels {
  readonly min: number;
  readonly max: number;
}

/** By this version. */
export const supportedLevels: FeatureLevels = { min: 1, max: Math.max(...featureLevels.map(({ level }) => level)) };

/** By brokers that say nothing of levels when they register: those of before there were any for the cluster. */
const UNREPORTED: FeatureLevels = { min: 1, max: RAISED_LEVEL_MIN - 1 };

/** As they travel: two numbers, both 0 where nothing was said; an early hello has the higher one only. */
export function levelsOf(min: number, max: number): FeatureLevels {
  return max === 0 ? UNREPORTED : { min: Math.max(1, min), max };
}

/** First version that understands a level; empty for one that this version does not know. */
export function sinceOf(level: number): string {
  return featureLevels.find((known) => known.level === level)?.since ?? "";
}

const UNSUPPORTED = "UNSUPPORTED_FEATURE_LEVEL";

export function isUnsupported(error: unknown): boolean {
  return error instanceof MillraceError && error.code === UNSUPPORTED;
}

/**
 * Why a broker that understands these levels has no place in a cluster of that one; undefined: it has.
 *
 * @param cannot what it cannot do, with its name
 * @param level 0: not known yet
 * @param since first version that understands the cluster's level; empty: not known here
 */
export function refuseLevels(cannot: string, { min, max }: FeatureLevels, level: number, since: string): MillraceError | undefined {
  if (level === 0 || (level >= min && level <= max)) return undefined;
  const what = `${cannot}: it understands feature levels ${min} to ${max}, the cluster is at ${level}`;
  const todo =
    level > max
      ? `start it with ${since === "" ? "the version of the other brokers" : `version ${since} or later`}; what is on its disk is whole`
      : `run every broker with a version that understands both ${level} and ${min} first`;
  return new MillraceError(UNSUPPORTED, `${what}. To mend it, ${todo}.`, {
    feature_level: String(level),
    feature_level_min: String(min),
    feature_level_max: String(max),
    ...(since === "" ? {} : { needs_version: since }),
  });
}

/** What was asked for is there from that level on. */
export function notBefore(needs: number, what: string, level: number): MillraceError {
  const text = `Cannot ${what}: the cluster is at feature level ${level}, it takes ${needs}. To mend it, start every registered broker with version ${sinceOf(needs)} or later.`;
  return new MillraceError(UNSUPPORTED, text, { feature_level: String(level), needs_level: String(needs), needs_version: sinceOf(needs) });
}

/** The metadata holds what this version cannot read: it ends, it never passes over it. */
export function unreadable(what: string, { min, max }: FeatureLevels, needs: string): MillraceError {
  const todo = `start this broker with ${needs}; what is on its disk is whole`;
  return new MillraceError(
    UNSUPPORTED,
    `Cannot read the metadata: ${what}, and this version understands feature levels ${min} to ${max}. To mend it, ${todo}.`,
    { feature_level_min: String(min), feature_level_max: String(max) },
  );
}

/** As much of the image as is needed to raise its level. */
interface LevelledImage {
  readonly brokers: ReadonlyMap<BrokerId, { readonly id: BrokerId; readonly levels: FeatureLevels }>;
  readonly seeds: readonly { readonly brokerId: BrokerId }[];
  readonly featureLevel: number;
  /** By this version. */
  readonly supported: FeatureLevels;
}

/**
 * The level the cluster may be raised to: what every registered broker understands, and every seed is registered, because those read the
 * metadata log before they are. Automatic, and never lowered (ADR 0020).
 *
 * @param about a broker that is just being registered, and what it says
 * @returns undefined: it stays
 */
export function raiseLevel(
  { brokers, seeds, featureLevel, supported }: LevelledImage,
  about?: { readonly brokerId: BrokerId; readonly levels: FeatureLevels },
): number | undefined {
  if (featureLevel >= supported.max) return undefined;
  if (seeds.some(({ brokerId }) => brokerId !== about?.brokerId && !brokers.has(brokerId))) return undefined;
  let level = Math.min(supported.max, about?.levels.max ?? supported.max);
  for (const { id, levels } of brokers.values()) if (id !== about?.brokerId) level = Math.min(level, levels.max);
  return level > featureLevel && level >= RAISED_LEVEL_MIN ? level : undefined;
}
