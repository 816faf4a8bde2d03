import { MillraceError } from "../../base/errors.ts";
import type { Clock } from "../../base/ports/clock.ts";
import type { Telemetry } from "../../base/ports/telemetry.ts";
import type { MetadataGroup } from "../metadata/metadata-group.ts";
import type { Partition } from "../partition/partition.ts";
import { moveTowards } from "./replacement.ts";

/** Time to record a replacement, milliseconds; asked again after it. */
const REPORT_MS = 2_000;

/**
 * The partition leader's part in replacing a replica whose disk is gone: brings about by Raft what the metadata says, and reports it.
 * The old replica leaves the ISR before a configuration without it is proposed (design §6).
 */
export class Succession {
  readonly #clock: Clock;
  readonly #telemetry: Telemetry;
  readonly #group: MetadataGroup;
  readonly #failed: (error: unknown) => void;
  readonly #reporting = new Set<Partition>();

  constructor(clock: Clock, telemetry: Telemetry, group: MetadataGroup, failed: (error: unknown) => void) {
    this.#clock = clock;
    this.#telemetry = telemetry;
    this.#group = group;
    this.#failed = failed;
  }

  /** Call at every heartbeat. */
  tick(partition: Partition): void {
    const { replica, isr } = partition;
    const known = this.#group.view.image.partitionOfGroup(partition.options.groupId);
    // Before its claim is recorded nothing of this term would be taken.
    if (known?.replacing === undefined || isr?.claimed !== true || !replica.serves || this.#reporting.has(partition)) return;
    const { removing, adding } = known.replacing;
    const target = known.replicas.map(({ replicaId }) => (replicaId === removing ? adding.replicaId : replicaId));
    const there = moveTowards(replica, target, adding, (leaving) => {
      for (const voter of leaving) isr.expel(voter);
      return leaving.every((voter) => !isr.required.includes(voter) && !isr.record.isr.includes(voter));
    });
    if (!there) return;
    this.#reporting.add(partition);
    const { groupId } = partition.options;
    const command = { kind: "reportReplaced", groupId, term: replica.core.term, removing, replicaId: adding.replicaId } as const;
    this.#group.submit(command, this.#clock.monotonic() + REPORT_MS).then(
      () => {
        this.#reporting.delete(partition);
        this.#telemetry.log("info", "replica.replaced", { partition: partition.name, removing, replicaId: adding.replicaId });
      },
      (error: unknown) => {
        this.#reporting.delete(partition);
        // Another leader, or another replica by now: what the metadata says next is looked at.
        if (!(error instanceof MillraceError)) this.#failed(error);
      },
    );
  }
}
