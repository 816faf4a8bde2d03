import { MillraceError } from "../../base/errors.ts";
import type { ReplicaId } from "../../base/ids.ts";
import type { Clock } from "../../base/ports/clock.ts";
import type { Telemetry } from "../../base/ports/telemetry.ts";
import type { Command } from "../../cluster/commands.ts";
import type { PartitionImage, Replacing } from "../../cluster/image-state.ts";
import type { MetadataGroup } from "../metadata/metadata-group.ts";
import type { Partition } from "../partition/partition.ts";
import { changing, dropLearners, leavingVoters, moveTowards } from "./replacement.ts";

/** Time to record a replacement, milliseconds; asked again after it. */
const REPORT_MS = 2_000;

/**
 * The partition leader's part in replacing a replica whose disk is gone: brings about by Raft what the metadata says, and reports it.
 * The old replica leaves the ISR before a configuration without it is proposed (design §6). When its disk is back before that, and the one
 * of its successor is gone, the replacement is taken back.
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

  /** Call at every heartbeat while anything moves. @returns whether a replica is being replaced */
  tick(partition: Partition): boolean {
    const { replica, isr } = partition;
    const known = this.#group.view.image.partitionOfGroup(partition.options.groupId);
    // Before its claim is recorded nothing of this term would be taken; before it is read here, what was taken back might not be known.
    if (known === undefined || isr?.claimed !== true || known.claim?.term !== replica.core.term || !replica.serves) return false;
    const { replacing } = known;
    if (replacing === undefined) {
      if (this.#takeBack(partition, known)) return true;
      isr.expel([]);
      dropLearners(replica);
      return false;
    }
    const { removing, adding } = replacing;
    // Who was given up votes no more, and comes back one by one (ADR 0014).
    const target = known.replicas
      .map((each) => (each.replicaId === removing ? adding : each))
      .filter(({ lost }) => lost === undefined)
      .map(({ replicaId }) => replicaId);
    if (this.#keeps(partition, known, replacing)) {
      isr.expel([]);
      this.#submit(partition, "keepReplica", replacing, () => {
        this.#telemetry.log("info", "replica.kept", { partition: partition.name, replicaId: removing, instead: adding.replicaId });
      });
      return true;
    }
    const leaving = leavingVoters(replica, target, adding.replicaId);
    isr.expel(leaving);
    if (leaving.includes(replica.id)) this.#handOn(partition, target);
    const gone = (): boolean => leaving.every((voter) => !isr.required.includes(voter) && !isr.record.isr.includes(voter));
    if (!moveTowards(replica, target, adding, gone)) return true;
    this.#submit(partition, "reportReplaced", replacing, () => {
      this.#telemetry.log("info", "replica.replaced", { partition: partition.name, removing, replicaId: adding.replicaId });
    });
    return true;
  }

  /**
   * The metadata went on from a moment before a successor was placed (`recover`), and the disk that one was on is gone, while the former one
   * is back: what is placed there votes no more, and who votes in its place is nowhere. The former one votes again.
   *
   * @returns whether there is something to do
   */
  #takeBack({ replica, isr }: Partition, known: PartitionImage): boolean {
    const { image } = this.#group.view;
    const { members, core } = replica;
    const { voters, old = [] } = core.configuration;
    const placed = (id: ReplicaId): boolean => known.replicas.some(({ replicaId }) => replicaId === id);
    for (const back of known.replicas) {
      if (!image.isPresent(back) || (voters.includes(back.replicaId) && old.length === 0)) continue;
      const stray = [...voters, ...old].find((voter) => !placed(voter) && members.brokerOf(voter) === back.brokerId);
      if (stray === undefined) continue;
      const target = [...voters.filter((voter) => voter !== stray && voter !== back.replicaId), back.replicaId];
      const leaving = leavingVoters(replica, target, back.replicaId);
      isr?.expel(leaving);
      const gone = (): boolean =>
        leaving.every((voter) => isr?.required.includes(voter) !== true && isr?.record.isr.includes(voter) !== true);
      moveTowards(replica, target, back, gone);
      return true;
    }
    return false;
  }

  /** The old disk is there, the new one is not, and the old one votes: nothing is to be done, and that is to be said. */
  #keeps({ replica }: Partition, known: PartitionImage, { removing, adding }: Replacing): boolean {
    const { image } = this.#group.view;
    const kept = known.replicas.find(({ replicaId }) => replicaId === removing);
    if (kept === undefined || !image.isPresent(kept) || image.isPresent(adding) || changing(replica)) return false;
    const { voters } = replica.core.configuration;
    return voters.includes(removing) && !voters.includes(adding.replicaId);
  }

  /** It is itself the one that leaves: a disk that is gone from the metadata, but not yet from its process. */
  #handOn(partition: Partition, target: readonly ReplicaId[]): void {
    const { replica, isr } = partition;
    const to = target.find((voter) => voter !== replica.id && isr?.record.isr.includes(voter) === true);
    if (to !== undefined && partition.accepts) partition.transfer(to, () => {});
  }

  #submit(partition: Partition, kind: "reportReplaced" | "keepReplica", { removing, adding }: Replacing, done: () => void): void {
    if (this.#reporting.has(partition)) return;
    this.#reporting.add(partition);
    const { groupId } = partition.options;
    const command: Command = { kind, groupId, term: partition.replica.core.term, removing, replicaId: adding.replicaId };
    this.#group
      .submit(command, { deadline: this.#clock.monotonic() + REPORT_MS })
      .then(done, (error: unknown) => {
        // Another leader, or another replica by now: what the metadata says next is looked at.
        if (!(error instanceof MillraceError)) this.#failed(error);
      })
      .finally(() => this.#reporting.delete(partition));
  }
}
