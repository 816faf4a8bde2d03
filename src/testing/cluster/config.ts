import { type BrokerConfig, defaultLimits, defaultTimings, defaultTopicDefaults } from "../../base/broker-config.ts";
import { defaultGroupSettings } from "../../base/group-settings.ts";
import { toBrokerId } from "../../base/ids.ts";
import type { SimRandom } from "../sim/random.ts";

const KiB = 1024;

/** What producers put into one batch: several fit a block of the smallest log file. */
export const BATCH_BYTES_MAX = 16 * KiB;

/** As much as it takes to refuse a few batches before the disk is really full. */
export const DISK_RESERVE_BYTES = 256 * KiB;

/** In a run nothing is as old as a week; within some seconds a group without members is forgotten while others look. */
const GROUP_RETENTION_MS = [604_800_000, 604_800_000, 604_800_000, 10_000] as const;

/** Broker `n` is machine "b<n>". */
export const brokerHost = (n: number): string => `b${n}`;
export const brokerOn = (host: string): number => Number(host.slice(1));
export const clientAddress = (n: number): string => `${brokerHost(n)}:7400`;
export const peerAddress = (n: number): string => `${brokerHost(n)}:7401`;

/** How many brokers form a cluster of so many: the metadata has 1, 3 or 5 voters (design §7); the others join. */
export function seedCounts(brokers: number): readonly (1 | 3 | 5)[] {
  if (brokers < 3) return [1];
  return brokers < 5 ? [3] : [3, 5];
}

/** How soon files are full, for the length of a run: one of each is drawn. */
export interface FileAges {
  /** A segment in which a record is as old as this gets no more, milliseconds. */
  readonly segmentMs: readonly number[];
  /** A snapshot of the metadata is taken after so many bytes of facts. */
  readonly snapshotBytes: readonly number[];
}

/** For runs of a few seconds: they take some snapshots, trim behind them, and start from them. */
export const soon: FileAges = { segmentMs: [1_000, 60_000], snapshotBytes: [256, 512, 2048] };

/** For runs of a minute: where all of them did so every second, a third of all that happened was segments that rolled and snapshots. */
export const inAMinute: FileAges = { segmentMs: [1_000, 10_000, 60_000], snapshotBytes: [512, 4096, 16_384] };

/** Small files, so that a run fills, rolls and reuses them. Sizes are drawn: borders fall elsewhere in every seed. */
export function brokerConfigs(brokers: number, random: SimRandom, ages: FileAges = soon): readonly BrokerConfig[] {
  const numbers = Array.from({ length: brokers }, (_, i) => i + 1);
  const log = {
    walFileBytes: random.pick([128, 256, 512]) * KiB,
    walFilesMax: random.between(4, 8),
    segmentBytes: random.pick([16, 32, 128]) * KiB,
    segmentMs: random.pick(ages.segmentMs),
    hotTailBytes: random.pick([64, 256]) * KiB,
    readPendingMaxBytes: 8192 * KiB,
    diskReserveBytes: DISK_RESERVE_BYTES,
  };
  const metadataSnapshotBytes = random.pick(ages.snapshotBytes);
  const retentionCheckMs = random.pick([300, 2_000]);
  const groups = {
    ...defaultGroupSettings,
    sessionTimeoutMs: random.pick([2_000, 4_000]),
    heartbeatIntervalMs: random.pick([300, 700]),
    rebalanceTimeoutMs: 3_000,
    offsetsRetentionMs: random.pick(GROUP_RETENTION_MS),
  };
  const seeds = numbers.slice(0, random.pick(seedCounts(brokers))).map((id) => ({ id: toBrokerId(id), address: peerAddress(id) }));
  return numbers.map((n) => ({
    brokerId: toBrokerId(n),
    seeds,
    join: n <= seeds.length ? undefined : peerAddress(random.between(1, seeds.length)),
    rack: undefined,
    listen: clientAddress(n),
    advertise: clientAddress(n),
    peerListen: peerAddress(n),
    peerAdvertise: peerAddress(n),
    timings: { ...defaultTimings, replicaLagMaxMs: 2_000, brokerSessionMs: 3_000, shutdownGraceMs: 2_000, retentionCheckMs },
    limits: { ...defaultLimits, maxMessageBytes: BATCH_BYTES_MAX + KiB, metadataSnapshotBytes },
    log,
    topicDefaults: defaultTopicDefaults,
    groups,
  }));
}
