import type { BrokerId } from "../../base/ids.ts";
import type { Background } from "../../base/ports/background.ts";
import type { Clock } from "../../base/ports/clock.ts";
import type { Telemetry } from "../../base/ports/telemetry.ts";
import type { Snapshots } from "../../log/snapshots.ts";
import { MachineSnapshots } from "../machine/machine-snapshots.ts";
import type { SnapshotKeeperOptions, SnapshotNotices } from "../machine/snapshot-keeper.ts";
import type { PeerLinks } from "../peers/peer-links.ts";
import { metadataGroup } from "./metadata-machine.ts";
import type { MetadataView } from "./metadata-view.ts";

export interface MetadataSnapshotPorts {
  readonly clock: Clock;
  readonly background: Background;
  readonly telemetry: Telemetry;
  readonly links: Pick<PeerLinks, "call">;
  /** The disk failed: the broker cannot go on. */
  readonly failed: (error: unknown) => void;
}

/** Snapshots of the metadata on a broker with a replica of the group. */
export class MetadataSnapshots extends MachineSnapshots {
  /** @param others brokers with a replica of the group */
  constructor(
    files: Snapshots,
    view: MetadataView,
    others: readonly BrokerId[],
    options: SnapshotKeeperOptions,
    { telemetry, ...ports }: MetadataSnapshotPorts,
  ) {
    super(metadataGroup, files, view, () => others, options, { ...ports, notices: metadataNotices(telemetry) });
  }
}

/** What is told of snapshots of the metadata. */
export function metadataNotices(telemetry: Pick<Telemetry, "log">): SnapshotNotices {
  return {
    taken: (index) => telemetry.log("info", "metadata.snapshot", { index }),
    postponed: () => telemetry.log("warn", "metadata.snapshot_postponed", {}),
    damaged: (path, position, what) => telemetry.log("warn", "metadata.snapshot_damaged", { path, position, what }),
  };
}
