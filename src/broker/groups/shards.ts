import { MillraceError } from "../../base/errors.ts";
import type { BrokerId, GroupId, LogIndex, TopicId } from "../../base/ids.ts";
import type { Random } from "../../base/ports/random.ts";
import type { Until } from "../../base/until.ts";
import type { MetadataImage } from "../../cluster/image.ts";
import type { PartitionImage, TopicImage } from "../../cluster/image-state.ts";
import { GROUPS_TOPIC } from "../../cluster/internal-topics.ts";
import type { GroupFacts } from "../../consumer-groups/facts.ts";
import type { GroupsImage } from "../../consumer-groups/image.ts";
import type { Admission } from "../machine/decider.ts";
import type { MachineView } from "../machine/machine-view.ts";
import type { Ask } from "../machine/turn-reads.ts";
import type { MetadataGroup } from "../metadata/metadata-group.ts";
import type { Replica } from "../replica.ts";

export type GroupsView = MachineView<GroupsImage, GroupFacts>;

/** What decides for a shard while its replica leads: the coordinator of the groups in it. Lives as long as the replica is open. */
export interface ShardLeader {
  /** Role, term or the committed image moved. Not called inside the replica's outputs: it may propose. */
  advanced(): void;
  /** The replica is closed: nothing of this leader has any effect any more. */
  closed(): void;
  /** It decides: leads, and everything appended is replayed. Calls are routed here only then. */
  readonly active: boolean;
  /** Answers that wait for a commit. A handover of the leadership begins when there are none, or after a second. */
  readonly waiting: number;
}

/** What a shard's leader is made with. */
export interface ShardParts {
  /** Partition of `__groups`, 0 to 15. */
  readonly shard: number;
  readonly groupId: GroupId;
  readonly replica: Replica;
  /** Committed, and no more. */
  readonly view: GroupsView;
  /** For the `Decider`: why a frame of so many bytes may not be appended now (full disk or ring, handing over, too large). */
  readonly admit: Admission;
  /** Asks others whether the replica leads still; undefined: it does not, or it is closed. */
  readonly confirmed: Ask<LogIndex>;
  /** `active` may have changed: held calls are routed again. */
  readonly changed: () => void;
}

export type MakeShardLeader<Leader extends ShardLeader> = (parts: ShardParts) => Leader;

/** A shard of which a replica is open on this broker. */
export interface Shard<Leader extends ShardLeader> extends Omit<ShardParts, "changed" | "confirmed"> {
  readonly leader: Leader;
  /** What was committed when this was asked, once the view holds it. @param done undefined: this replica does not lead. @returns forgets who asked */
  read(done: (image: GroupsImage | undefined) => void): () => void;
}

/** Open shards here, as whoever opens them knows. */
export interface OpenShards<Leader extends ShardLeader> {
  get(groupId: GroupId): Shard<Leader> | undefined;
  readonly all: Iterable<Shard<Leader>>;
}

export interface GroupsShardsPorts {
  readonly random: Pick<Random, "uuid" | "below">;
  readonly image: () => MetadataImage;
  readonly group: Pick<MetadataGroup, "submit" | "applied">;
  readonly leaderOf: (partition: PartitionImage) => { readonly broker: BrokerId; readonly term: number } | undefined;
}

/** The sixteen partitions of `__groups` as their coordinators and whoever looks for one need them (design §9). */
export class GroupsShards<Leader extends ShardLeader = ShardLeader> {
  readonly #ports: GroupsShardsPorts;
  readonly #open: OpenShards<Leader>;
  readonly #listeners: ((shard: number) => void)[] = [];
  /** Leader and term of each shard, as the listeners were told last. */
  readonly #known: string[] = [];

  constructor(ports: GroupsShardsPorts, open: OpenShards<Leader>) {
    this.#ports = ports;
    this.#open = open;
  }

  /** The topic is there, as far as this broker has read. */
  get made(): boolean {
    return this.#topic !== undefined;
  }

  get #topic(): TopicImage | undefined {
    return this.#ports.image().topicByName(GROUPS_TOPIC);
  }

  /** Raft group of a shard, for the `Router`; undefined: there is no `__groups` yet, or none that was read of here. */
  groupOf(shard: number): GroupId | undefined {
    return this.#topic?.groups[shard];
  }

  /** Broker and term of the leader of a shard, as far as it is known here. */
  leaderOf(shard: number): { readonly broker: BrokerId; readonly term: number } | undefined {
    const groupId = this.groupOf(shard);
    const partition = groupId === undefined ? undefined : this.#ports.image().partitionOfGroup(groupId);
    return partition === undefined ? undefined : this.#ports.leaderOf(partition);
  }

  /** The shard, if this broker has an open replica of it; whether it leads, its leader says. */
  here(shard: number): Shard<Leader> | undefined {
    const groupId = this.groupOf(shard);
    return groupId === undefined ? undefined : this.#open.get(groupId);
  }

  /** Those with an open replica here. */
  get all(): Iterable<Shard<Leader>> {
    return this.#open.all;
  }

  /**
   * Makes `__groups` unless it is there: on the first call of any group. Resolves when this broker has read of it.
   * @throws {MillraceError} INSUFFICIENT_BROKERS · CONTROLLER_UNKNOWN · METADATA_OUTCOME_UNKNOWN · NOT_READY
   */
  async ensure(until: Until): Promise<void> {
    if (this.made) return;
    const { random, group } = this.#ports;
    const command = { kind: "ensureGroups", topicId: random.uuid() as TopicId, seed: random.below(2 ** 31) } as const;
    const { metadataVersion } = await group.submit(command, until);
    await group.applied(metadataVersion as LogIndex, until);
    if (!this.made) throw new MillraceError("NOT_READY", `${GROUPS_TOPIC} was made, and is not there`, {}, 100);
  }

  /** Called when a leader here may have begun or ceased to decide, or another broker to lead. */
  onLeaderChanged(listener: (shard: number) => void): void {
    this.#listeners.push(listener);
  }

  /** From whoever hosts the replicas. */
  changed(groupId: GroupId): void {
    if (this.#listeners.length === 0) return;
    const shard = this.#topic?.groups.indexOf(groupId) ?? -1;
    if (shard < 0) return;
    this.#known[shard] = this.#nameOf(shard);
    for (const listener of this.#listeners) listener(shard);
  }

  /** Others may have claimed leaderships. */
  imageChanged(): void {
    if (this.#listeners.length === 0) return;
    for (const [shard, groupId] of (this.#topic?.groups ?? []).entries())
      if (this.#nameOf(shard) !== this.#known[shard]) this.changed(groupId);
  }

  #nameOf(shard: number): string {
    const leader = this.leaderOf(shard);
    return leader === undefined ? "" : `${leader.broker} ${leader.term}`;
  }
}
