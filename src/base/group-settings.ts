const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

/** What a coordinator's configuration says of consumer groups (design §12). */
export interface GroupSettings {
  /** A member that nothing is heard of for so long is removed. */
  readonly sessionTimeoutMs: number;
  /** How often members are told to send a heartbeat. */
  readonly heartbeatIntervalMs: number;
  /** Time a member has to give partitions back when it does not say. */
  readonly rebalanceTimeoutMs: number;
  readonly rebalanceTimeoutMsMax: number;
  /** Offsets of a group without members are forgotten after this. */
  readonly offsetsRetentionMs: number;
  /** Groups of one partition of `__groups`. */
  readonly groupsMax: number;
  readonly membersPerGroupMax: number;
  /** Topics a member subscribes to. */
  readonly topicsPerMemberMax: number;
  /** Partitions of which a group has a committed offset, or that are named in one seek or deletion. */
  readonly offsetsPerGroupMax: number;
  /** Partitions in one commit: each may be refused for a reason of its own, and nobody else is served meanwhile. */
  readonly offsetsPerCommitMax: number;
  /** Of the text beside a committed offset, as UTF-8. */
  readonly offsetMetadataBytesMax: number;
}

export const defaultGroupSettings: GroupSettings = {
  sessionTimeoutMs: 45_000,
  heartbeatIntervalMs: 5_000,
  rebalanceTimeoutMs: MINUTE_MS,
  rebalanceTimeoutMsMax: 60 * MINUTE_MS,
  offsetsRetentionMs: 7 * DAY_MS,
  groupsMax: 10_000,
  membersPerGroupMax: 1_000,
  topicsPerMemberMax: 1_000,
  offsetsPerGroupMax: 20_000,
  offsetsPerCommitMax: 1_000,
  offsetMetadataBytesMax: 4 * 1024,
};
