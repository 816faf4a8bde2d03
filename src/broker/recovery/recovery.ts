import type { BrokerId, GroupId, Term } from "../../base/ids.ts";
import type { Clock } from "../../base/ports/clock.ts";
import type { Telemetry } from "../../base/ports/telemetry.ts";
import { refused, refuseRecoveryBelow } from "../../cluster/decide-recovery.ts";
import type { MetadataImage } from "../../cluster/image.ts";
import { type GroupPlan, planRecovery, type RecoveryPlan, type Standing, sameGroupPlan } from "../../cluster/recovery-plan.ts";
import { BrokerStanding } from "../../protocol/routing.ts";
import type { MetadataGroup } from "../metadata/metadata-group.ts";
import type { PeerLinks } from "../peers/peer-links.ts";
import { STANDING_METHOD, standingsOf } from "./standings.ts";

/** Time the other brokers have to say what they hold. */
const ASK_MS = 2_000;
/** Time until the recovered metadata has a controller again, and until partitions are recorded. */
const RECORD_MS = 30_000;
const LOOK_MS = 50;

export interface RecoveryParts {
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly links: Pick<PeerLinks, "call" | "connected">;
  readonly group: Pick<MetadataGroup, "submit">;
  readonly self: BrokerId;
  readonly clusterId: string;
  readonly recoveryEpoch: () => number;
  readonly image: () => MetadataImage;
  /** Brokers of the seed list: known before any metadata is. */
  readonly seeds: readonly BrokerId[];
  readonly here: () => BrokerStanding;
  /** The metadata goes on from the replica here: resolves when that is durably decided. */
  readonly recoverMetadata: () => Promise<void>;
}

/** What `millrace recover apply` says; both must be those of the plan. */
export interface RecoveryConfirmed {
  readonly clusterId: string;
  readonly digest: string;
}

export interface RecoveryOutcome {
  /** Recovery epoch from now on. */
  readonly recoveryEpoch: number;
  readonly metadata: boolean;
  /** Names of the partitions that go on from their survivor. */
  readonly partitions: readonly string[];
  /** Not done, because they changed while the metadata was being recovered: a new plan shows them as they are. */
  readonly changed: readonly string[];
}

/** `recover` after a lost majority (ADR 0014): what could be done, and doing it. */
export class Recovery {
  readonly #parts: RecoveryParts;
  #applying = false;

  constructor(parts: RecoveryParts) {
    this.#parts = parts;
  }

  /** Asks every broker that can be reached. @throws {MillraceError} RECOVERY_REFUSED: one of them does not know yet what it holds */
  async plan(): Promise<RecoveryPlan> {
    const { self, links, clusterId, recoveryEpoch, image, seeds, here } = this.#parts;
    const known = new Set<BrokerId>([...image().brokers.keys(), ...seeds]);
    known.delete(self);
    const said = new Map<BrokerId, BrokerStanding>([[self, here()]]);
    await Promise.all(
      [...known].map(
        (broker) =>
          new Promise<void>((resolve) => {
            links.call(broker, STANDING_METHOD, [], ASK_MS, (outcome) => {
              if ("body" in outcome) said.set(broker, BrokerStanding.decode(outcome.body));
              resolve();
            });
          }),
      ),
    );
    const held = [...said].filter(([, standing]) => standing.held).map(([broker]) => broker);
    const standings: Standing[] = [...said].flatMap(([broker, standing]) => standingsOf(broker, standing));
    const answered = new Set(said.keys());
    const alive = new Set(answered);
    for (const { connected } of said.values()) for (const broker of connected) alive.add(broker as BrokerId);
    const opening = (groupId: GroupId, broker: BrokerId): boolean => said.get(broker)?.opening.includes(groupId) === true;
    const plan = planRecovery({ clusterId, recoveryEpoch: recoveryEpoch(), image: image(), standings, answered, alive, opening, held });
    // What they are to read is the metadata: where that has lost its majority, nobody else helps them.
    if (plan.metadata === undefined && held.length > 0)
      throw refused("not_ready", `broker ${held.join(", ")} has not read yet which of its replicas stand; ask again`);
    return plan;
  }

  /**
   * Applies the plan of this digest, if it still is the plan.
   *
   * @throws {MillraceError} RECOVERY_REFUSED: nothing was changed · CONTROLLER_UNKNOWN and others of recording partitions: the metadata may
   * have been recovered by then; a new plan says what is left
   */
  async apply({ clusterId, digest }: RecoveryConfirmed): Promise<RecoveryOutcome> {
    if (clusterId !== this.#parts.clusterId)
      throw refused("wrong_cluster", `this broker belongs to cluster ${this.#parts.clusterId}, the plan to ${clusterId}`);
    if (this.#applying) throw refused("not_ready", "a plan is being applied");
    this.#applying = true;
    try {
      return await this.#apply(await this.plan(), digest);
    } finally {
      this.#applying = false;
    }
  }

  async #apply(plan: RecoveryPlan, digest: string): Promise<RecoveryOutcome> {
    const { self, telemetry, recoverMetadata } = this.#parts;
    const { metadata } = plan;
    if (metadata === undefined && plan.partitions.length === 0) {
      const [stuck] = plan.unplaced;
      if (stuck === undefined) throw refused("not_needed", "no group that could be recovered has lost its majority");
      throw refused("not_placeable", `${stuck.name} cannot be gone on from: ${stuck.why}. What can be done: ${stuck.ways.join("; ")}`);
    }
    if (plan.digest !== digest) throw refused("stale_plan", `the plan has digest ${plan.digest} now, not ${digest}: look at it again`);
    if (metadata !== undefined && metadata.survivor.brokerId !== self)
      throw refused("wrong_broker", `the best survivor of the metadata is on broker ${metadata.survivor.brokerId}: apply the plan there`);
    telemetry.log("warn", "recovery.applied", { digest, metadata: metadata !== undefined, partitions: plan.partitions.length });
    const confirmed = plan.partitions;
    let current: readonly GroupPlan[] = confirmed;
    if (metadata !== undefined) {
      await recoverMetadata();
      await this.#recorded();
      // Entries that nobody could commit are committed now, and brokers of the old epoch are gone: what was confirmed has to stand still.
      current = confirmed.length === 0 ? [] : (await this.plan()).partitions;
    }
    const same = confirmed.flatMap((one) => {
      const now = current.find(({ groupId }) => groupId === one.groupId);
      return now !== undefined && sameGroupPlan(one, now) ? [now] : [];
    });
    if (same.length > 0) await this.#recordPartitions(same);
    return {
      recoveryEpoch: this.#parts.recoveryEpoch(),
      metadata: metadata !== undefined,
      partitions: same.map(({ name }) => name),
      changed: confirmed.filter((one) => !same.some(({ groupId }) => groupId === one.groupId)).map(({ name }) => name),
    };
  }

  async #recordPartitions(plans: readonly GroupPlan[]): Promise<void> {
    const partitions = plans.map(({ groupId, survivor: { replicaId, brokerId }, term, isrVersion, adopting: incarnation, fenced }) => ({
      groupId,
      survivor: replicaId,
      term: term as Term,
      isrVersion,
      adopting: incarnation === undefined ? undefined : { brokerId, incarnation },
      fenced: [...fenced],
    }));
    const { group, clock, image } = this.#parts;
    // A controller of before would pass over what it does not know.
    for (const { groupId, adopting, fenced } of partitions) {
      const unread = refuseRecoveryBelow(image(), groupId, adopting !== undefined, fenced);
      if (unread !== undefined) throw unread;
    }
    await group.submit({ kind: "recoverPartitions", partitions }, { deadline: clock.monotonic() + RECORD_MS });
  }

  /** The recovered metadata has a controller, and says so. */
  async #recorded(): Promise<void> {
    const { clock, image, recoveryEpoch } = this.#parts;
    const end = clock.monotonic() + RECORD_MS;
    while (image().recoveryEpoch < recoveryEpoch()) {
      if (clock.monotonic() > end)
        throw refused("not_ready", "the metadata was recovered, but has no controller yet; make a new plan for the partitions");
      await new Promise<void>((resolve) => void clock.after(LOOK_MS, resolve));
    }
  }
}
