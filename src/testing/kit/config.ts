import { type BrokerConfig, defaultLimits, defaultLogOptions, defaultTimings, defaultTopicDefaults } from "../../base/broker-config.ts";
import { defaultGroupSettings } from "../../base/group-settings.ts";
import { toBrokerId } from "../../base/ids.ts";
import { brokerHost, clientAddress, peerAddress } from "../cluster/config.ts";

const MiB = 1024 * 1024;
/** The metadata is voted by so many brokers at most; there are 1, 3 or 5 of them (design §7). */
const SEEDS_MAX = 5;

/** A record set at most; several fit into a log file of this size. */
const MESSAGE_BYTES_MAX = 1.5 * MiB;

/**
 * Every setting has its default but the sizes of files: a test writes little, and starts often.
 */
export function kitBrokerConfigs(brokers: number): readonly BrokerConfig[] {
  const numbers = Array.from({ length: brokers }, (_, i) => i + 1);
  const voters = Math.min(SEEDS_MAX, brokers - 1 + (brokers % 2));
  const seeds = numbers.slice(0, voters).map((id) => ({ id: toBrokerId(id), address: peerAddress(id) }));
  return numbers.map((n) => ({
    brokerId: toBrokerId(n),
    seeds,
    join: n <= voters ? undefined : peerAddress(1),
    rack: undefined,
    listen: clientAddress(n),
    advertise: clientAddress(n),
    peerListen: peerAddress(n),
    peerAdvertise: peerAddress(n),
    timings: defaultTimings,
    limits: { ...defaultLimits, maxMessageBytes: MESSAGE_BYTES_MAX },
    log: { ...defaultLogOptions, walFileBytes: 8 * MiB, walFilesMax: 8, diskReserveBytes: 16 * MiB },
    topicDefaults: defaultTopicDefaults,
    groups: defaultGroupSettings,
  }));
}

export { brokerHost, clientAddress };
