import type { BrokerId } from "../base/ids.ts";
import type { Clock } from "../base/ports/clock.ts";
import { type Caller, whileCalled } from "../base/until.ts";
import type { LogStore } from "../log/types.ts";
import { BrokerReport, type LedGroup } from "../protocol/routing.ts";
import type { PartitionSet } from "./partition-set.ts";
import type { PeerLinks } from "./peers/peer-links.ts";
import type { ClusterReports } from "./services/health.ts";

export const REPORT_METHOD = "broker.report";
/** Time other brokers have to report for health. */
const REPORT_MS = 1_000;

export interface ReportsParts {
  readonly clock: Clock;
  readonly store: Pick<LogStore, "space">;
  readonly links: Pick<PeerLinks, "call">;
  readonly self: BrokerId;
  readonly startedAt: number;
  readonly others: () => readonly BrokerId[];
  readonly partitions: () => Pick<PartitionSet, "all">;
  readonly metadataVersion: () => number;
}

/** What brokers say of themselves when somebody asks for the cluster's health. */
export class Reports {
  readonly #parts: ReportsParts;

  constructor(parts: ReportsParts) {
    this.#parts = parts;
  }

  get own(): BrokerReport {
    const { clock, store, startedAt, partitions, metadataVersion } = this.#parts;
    const { space } = store;
    const { all } = partitions();
    const led: LedGroup[] = [];
    for (const { partition } of all) {
      if (!partition.replica.leads) continue;
      led.push({
        groupId: partition.options.groupId,
        term: partition.replica.core.term,
        serving: partition.replica.serves,
        inSyncReplicas: partition.isr?.isrSize ?? 0,
        highWatermark: partition.highWatermark,
        logStartOffset: partition.logStartOffset,
      });
    }
    return {
      led,
      metadataVersion: metadataVersion(),
      // 0 says "unknown".
      diskFreeBytes: space.freeBytes ?? 0,
      diskReserveBytes: space.reserveBytes,
      diskFull: space.full,
      uptimeMs: Math.round(clock.monotonic() - startedAt),
      replicas: all.length,
    };
  }

  /** Those that do not answer in time are missing. */
  async ofAll(caller?: Caller): Promise<ClusterReports> {
    const { links, self, others } = this.#parts;
    const reports = new Map<BrokerId, BrokerReport>([[self, this.own]]);
    const ask = (broker: BrokerId): Promise<void> =>
      whileCalled(caller, (done) =>
        links.call(broker, REPORT_METHOD, [], REPORT_MS, (outcome) => {
          if ("body" in outcome) reports.set(broker, BrokerReport.decode(outcome.body));
          done(undefined);
        }),
      );
    await Promise.all(others().map(ask));
    return reports;
  }
}
