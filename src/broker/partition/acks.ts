import { MillraceError } from "../../base/errors.ts";
import { type LogIndex, NO_PRODUCER, type ProducerId, type ReplicaId } from "../../base/ids.ts";
import { counted } from "../../base/plural.ts";

/**
 * What an acknowledgement names (design §6): NONE promises nothing · LEADER durable on the leader · QUORUM committed · ALL (the
 * default) committed, durable on the required set, and enough in-sync replicas recorded. Weakest first.
 */
export const ACKS_LEVELS = ["NONE", "LEADER", "QUORUM", "ALL"] as const;
export type AcksLevel = (typeof ACKS_LEVELS)[number];
/** Levels somebody waits for. */
export type WaitedLevel = Exclude<AcksLevel, "NONE">;

/** @returns undefined when `text` names no level (upper case, as in the proto without its prefix) */
export function parseAcks(text: string): AcksLevel | undefined {
  return ACKS_LEVELS.find((level) => level === text);
}

function rank(level: AcksLevel): number {
  return ACKS_LEVELS.indexOf(level);
}

/**
 * Whether a batch may ask for this level at all (design §6): a producer id needs QUORUM or ALL, because a retry must find what
 * was acknowledged; a topic may forbid weak levels (`acks.min`).
 *
 * @returns the refusal (ACKS_NOT_ALLOWED, nothing written), or undefined
 */
export function refuseLevel(level: AcksLevel, producerId: ProducerId, acksMin: AcksLevel): MillraceError | undefined {
  if (producerId !== NO_PRODUCER && rank(level) < rank("QUORUM")) {
    return new MillraceError("ACKS_NOT_ALLOWED", `Cannot produce at acks=${level} with a producer id: use QUORUM or ALL`, {
      acks: level,
      least: "QUORUM",
    });
  }
  if (rank(level) < rank(acksMin)) {
    return new MillraceError("ACKS_NOT_ALLOWED", `Cannot produce at acks=${level}: the topic asks for at least ${acksMin} (acks.min)`, {
      acks: level,
      least: acksMin,
    });
  }
  return undefined;
}

/** Before append: ALL is refused, and nothing written, while fewer replicas are recorded in sync than the minimum (design §6). */
export function refuseReplicas(level: AcksLevel, isrSize: number, minIsr: number): MillraceError | undefined {
  if (level !== "ALL" || isrSize >= minIsr) return undefined;
  return new MillraceError(
    "NOT_ENOUGH_REPLICAS",
    `Cannot produce at acks=ALL: ${counted(isrSize, "replica is", "replicas are")} in sync, min.insync.replicas is ${minIsr}`,
    {
      in_sync_replicas: String(isrSize),
      min_insync_replicas: String(minIsr),
    },
  );
}

/** `min.insync.replicas` when the topic does not set it: min(RF, ⌊RF/2⌋ + 1) (design §6). */
export function defaultMinIsr(replicationFactor: number): number {
  return Math.min(replicationFactor, Math.floor(replicationFactor / 2) + 1);
}

/** The minimum that applies: never above the number of replicas, or a topic made with fewer could not be written at ALL. */
export function effectiveMinIsr(configured: number | undefined, replicationFactor: number): number {
  return configured === undefined ? defaultMinIsr(replicationFactor) : Math.min(configured, replicationFactor);
}

/** Evidence for the reply: which replicas had `index` durable when it was made. */
export function durableReplicas(
  index: LogIndex,
  voters: readonly ReplicaId[],
  durableOf: (replica: ReplicaId) => LogIndex | undefined,
): readonly ReplicaId[] {
  return voters.filter((voter) => (durableOf(voter) ?? -1) >= index);
}
