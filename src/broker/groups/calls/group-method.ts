import type { BrokerId } from "../../../base/ids.ts";
import type { Clock } from "../../../base/ports/clock.ts";
import type { Until } from "../../../base/until.ts";
import type { GroupsImage } from "../../../consumer-groups/image.ts";
import type { GroupSettings } from "../../../consumer-groups/settings.ts";
import type { CommittedOffset, TopicPartitions } from "../../../protocol/public/group-service.ts";
import type { Coordinator } from "../coordinator/coordinator.ts";
import type { GroupTopics } from "../coordinator/topic-directory.ts";
import type { Shard } from "../shards.ts";
import type { PartitionEnds } from "./partition-ends.ts";

/** What a call of a group rests on where it is executed: at the coordinator. */
export interface GroupCall {
  readonly shard: Pick<Shard<Coordinator>, "leader" | "read" | "view">;
  readonly until: Until;
  /** Of whoever called, for people to read. */
  readonly clientAddress: string;
  readonly parts: GroupCallParts;
}

export interface GroupCallParts {
  readonly clock: Clock;
  readonly brokerId: BrokerId;
  readonly settings: GroupSettings;
  readonly topics: GroupTopics;
  /** Ends of the partitions' logs, by their leaders. */
  readonly ends: PartitionEnds;
  /**
   * What another group has committed, by its coordinator, wherever that is; without topics: all of it. Linearizable.
   * @throws {MillraceError} UNKNOWN_GROUP
   */
  committed(groupId: string, topics: readonly TopicPartitions[], until: Until): Promise<readonly CommittedOffset[]>;
  /** This broker's metadata holds everything that was recorded when this was called. @throws {MillraceError} */
  barrier(until: Until): Promise<void>;
}

export interface GroupMethod {
  /** Makes `__groups` when it is not there: something may be recorded. */
  readonly makes: boolean;
  /** Changes nothing: it may be asked twice. */
  readonly reads: boolean;
  /** @throws {MillraceError} */
  run(call: GroupCall, request: Uint8Array): Promise<Uint8Array>;
  /** What is answered when there is no `__groups`, as of an empty one. @throws {MillraceError} */
  absent?(request: Uint8Array, parts: GroupCallParts, image: GroupsImage): Promise<Uint8Array>;
}
