import { crc32c } from "../base/crc32c.ts";
import type { BrokerId, ReplicaId } from "../base/ids.ts";
import { NO_PRODUCER } from "../base/ids.ts";
import { GroupConfig } from "../protocol/routing.ts";
import { membersOf } from "../raft/quorum.ts";
import type { Configuration } from "../raft/types.ts";
import { Codec, type FrameDraft, FrameType, PayloadFormat } from "../records/frame-types.ts";

/** `role` of a member, as stored. Numbers are for ever. */
export const MemberRole = { voter: 0, learner: 1, incoming: 2, outgoing: 3 } as const;

/** A replica of a group and the broker it is on. */
export interface Member {
  readonly replicaId: ReplicaId;
  readonly brokerId: BrokerId;
}

/** What a stored configuration says besides who votes. */
interface Learned {
  readonly members: readonly { readonly replicaId: number; readonly brokerId: number }[];
  readonly recovery?: number;
  readonly fenced?: readonly number[];
}

/** The configuration a stored one says. */
export function configurationOf({ members }: GroupConfig): Configuration {
  const ids = (...roles: number[]): ReplicaId[] =>
    members.filter(({ role }) => roles.includes(role)).map(({ replicaId }) => replicaId as ReplicaId);
  const joint = members.some(({ role }) => role === MemberRole.incoming || role === MemberRole.outgoing);
  return {
    voters: ids(MemberRole.voter, MemberRole.incoming),
    ...(joint ? { old: ids(MemberRole.voter, MemberRole.outgoing) } : {}),
    learners: ids(MemberRole.learner),
  };
}

/**
 * Who belongs to one group now, and on which broker each replica is. The configuration in force is the core's; which broker a replica id
 * means never changes, so what was once learned (from a stored configuration, a configuration frame, the metadata) is kept.
 */
export class Members {
  /** What the group is a replica of; its members are not looked at. */
  readonly #about: GroupConfig;
  readonly #brokers = new Map<ReplicaId, BrokerId>();
  /** Of a replica no configuration here named yet: the metadata may know it. */
  readonly #lookUp: (replica: ReplicaId) => BrokerId | undefined;
  #configuration: Configuration;
  #inForce: readonly Member[] = [];
  #recovery = 0;
  readonly #fenced = new Set<ReplicaId>();

  constructor(stored: GroupConfig, lookUp: (replica: ReplicaId) => BrokerId | undefined) {
    this.#about = stored;
    this.#lookUp = lookUp;
    this.#configuration = configurationOf(stored);
    this.learn(stored);
    this.inForce(this.#configuration);
  }

  /** Which partition the group is; no topic: the metadata. */
  get partition(): Pick<GroupConfig, "topicId" | "topic" | "partition"> {
    return this.#about;
  }

  /** Voters in order of priority, then those of the old set, then learners. */
  get all(): readonly Member[] {
    return this.#inForce;
  }

  /** Those of the new set while joint. */
  get voters(): readonly Member[] {
    return this.#inForce.filter(({ replicaId }) => this.#configuration.voters.includes(replicaId));
  }

  /** Number of the newest recovery after a lost majority that a configuration here names (ADR 0014); 0: none. */
  get recovery(): number {
    return this.#recovery;
  }

  /** Undefined for a replica that a recovery has given up as well: nothing is heard from it, nothing sent to it. */
  brokerOf(replica: ReplicaId): BrokerId | undefined {
    if (this.#fenced.has(replica)) return undefined;
    return this.#brokers.get(replica) ?? this.#lookUp(replica);
  }

  /** A configuration frame, or the metadata, says where replicas are. */
  learn({ members, recovery, fenced }: Learned): void {
    this.#recovery = Math.max(this.#recovery, recovery ?? 0);
    for (const replicaId of fenced ?? []) this.#fenced.add(replicaId as ReplicaId);
    for (const { replicaId, brokerId } of members) if (brokerId > 0) this.#brokers.set(replicaId as ReplicaId, brokerId as BrokerId);
  }

  /** The core's configuration changed. */
  inForce(configuration: Configuration): void {
    this.#configuration = configuration;
    this.#inForce = membersOf(configuration).flatMap((replicaId) => {
      const brokerId = this.brokerOf(replicaId);
      return brokerId === undefined ? [] : [{ replicaId, brokerId }];
    });
  }

  /** The frame of a configuration the core appends itself. */
  draft({ voters, old, learners }: Configuration): FrameDraft {
    const roleOf = (replica: ReplicaId): number => {
      if (learners.includes(replica)) return MemberRole.learner;
      if (old === undefined || (voters.includes(replica) && old.includes(replica))) return MemberRole.voter;
      return voters.includes(replica) ? MemberRole.incoming : MemberRole.outgoing;
    };
    const members = membersOf({ voters, learners, ...(old === undefined ? {} : { old }) }).map((replicaId) => ({
      replicaId,
      brokerId: this.brokerOf(replicaId) ?? 0,
      role: roleOf(replicaId),
    }));
    const payload = GroupConfig.encode({ ...this.#about, members, recovery: this.#recovery, fenced: [...this.#fenced] });
    return { ...emptyDraft, type: FrameType.config, payloadCrc: crc32c(payload), payload };
  }
}

/** An entry without records. */
export const emptyDraft: FrameDraft = {
  type: FrameType.noop,
  format: PayloadFormat.records,
  codec: Codec.none,
  recordCount: 0,
  firstTimestamp: 0,
  maxTimestamp: 0,
  producerId: NO_PRODUCER,
  producerEpoch: 0,
  baseSequence: -1,
  payloadCrc: 0,
  payload: new Uint8Array(0),
};
